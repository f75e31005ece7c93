"""The experiments of MinAtar's games."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from crl_core.experiment_source import build_experiment
from crl_tasks_minatar.games import GAMES
from crl_tasks_minatar.task import MinAtarTask

NUM_ACTIONS = {"asterix": 5, "breakout": 3, "freeway": 3, "seaquest": 6, "space_invaders": 4}


def test_three_games_twice() -> None:
    experiment = build_experiment("minatar_3_tasks_2_cycles")
    assert [task.id for task in experiment.tasks] == ["breakout", "space_invaders", "freeway"]
    assert experiment.cycle_count == 2
    assert experiment.total_steps == 1_800_000
    assert experiment.continual_testing_freq == 75_000


def test_five_games_have_action_sets_of_their_own() -> None:
    experiment = build_experiment("minatar_5_tasks_2_cycles")
    assert {task.id for task in experiment.tasks} == set(GAMES)
    assert {name: space.n for name, space in experiment.action_spaces.items()} == NUM_ACTIONS


@pytest.mark.parametrize("game", GAMES)
def test_one_game(game: str) -> None:
    (task,) = build_experiment(f"minatar_{game}").tasks
    assert isinstance(task, MinAtarTask)
    assert task.game == game
    assert task.action_space.n == NUM_ACTIONS[game]


def test_a_game_that_there_is_not_is_told() -> None:
    with pytest.raises(ValidationError, match="'asterix', 'breakout', 'freeway', 'seaquest' or 'space_invaders'"):
        MinAtarTask(id="pong", game="pong", num_timesteps=1)  # type: ignore[arg-type]  # that is what is tested
