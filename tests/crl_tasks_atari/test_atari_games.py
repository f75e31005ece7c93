"""The static list of games, and what the plugin registers from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ale_py.roms import get_all_rom_ids
from gymnasium.spaces import Discrete

from crl_core.experiment_source import build_experiment
from crl_core.specs import load_object
from crl_tasks_atari import plugin, single_games
from crl_tasks_atari.games import EXCLUDED_GAMES, EXPERIMENT_NAMES, GAMES

CONTINUAL = ("atari_6_tasks_5_cycles", "atari", "mini_atari_3_tasks_3_cycles")
NAMES_TO_KEEP = """
    adventure air_raid alien amidar assault asterix asteroids atlantis bank_heist battle_zone beam_rider berzerk bowling
    boxing breakout carnival centipede chopper_command crazy_climber demon_attack double_dunk elevator_action
    fishing_derby frostbite gopher gravitar hero ice_hockey james_bond journey_escape kangaroo krull kung_fu_master
    montezuma_revenge ms_pacman name_this_game phoenix pitfall pong pooyan private_eye qbert riverraid road_runner
    robotank seaquest space_invaders star_gunner tennis time_pilot tutankham up_n_down video_pinball wizard_of_wor
    yars_revenge zaxxon
"""


def test_games_are_those_ale_ships_for_one_player() -> None:
    assert len(GAMES) == 104
    assert sorted(GAMES + EXCLUDED_GAMES) == sorted(get_all_rom_ids())


def test_the_names_users_know_are_experiments() -> None:
    assert set(NAMES_TO_KEEP.split()) <= set(EXPERIMENT_NAMES)
    assert EXPERIMENT_NAMES["james_bond"] == "jamesbond"
    assert sorted(EXPERIMENT_NAMES.values()) == sorted(GAMES)


def test_every_spec_names_something_that_loads() -> None:
    specs = {spec.name: spec for spec in plugin.crl_experiments()}
    assert set(specs) == {*CONTINUAL, *EXPERIMENT_NAMES}
    for spec in specs.values():
        assert callable(load_object(spec.build, owner="crl-tasks-atari"))
    (task_type,) = plugin.crl_task_types()
    assert load_object(task_type.task, owner="crl-tasks-atari").model_fields["type"].default == task_type.name


def test_every_single_game_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    # Loading 104 games takes too long here; the sample below loads a few.
    monkeypatch.setattr("crl_tasks_atari.task.count_actions", lambda game, full_action_space: 18)
    for name, game in EXPERIMENT_NAMES.items():
        (task,) = build_experiment(name).tasks
        assert (task.id, task.game, task.full_action_space) == (name, game, False)  # type: ignore[attr-defined]
        assert (task.num_timesteps, task.max_episode_steps) == (50_000_000, 10_000)  # type: ignore[attr-defined]


def test_every_experiment_survives_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("crl_tasks_atari.task.count_actions", lambda game, full_action_space: 18)
    path = tmp_path / "experiment.json"
    for name in (*CONTINUAL, *EXPERIMENT_NAMES):
        experiment = build_experiment(name)
        path.write_text(experiment.model_dump_json())
        assert build_experiment(str(path)) == experiment


@pytest.mark.parametrize(("name", "num_actions"), [("breakout", 4), ("james_bond", 18), ("freeway", 3), ("pong", 6)])
def test_a_single_game_has_its_minimal_action_set(name: str, num_actions: int) -> None:
    experiment = build_experiment(name)
    assert experiment.action_spaces == {0: Discrete(num_actions)}
    assert (experiment.cycle_count, experiment.continual_testing_freq) == (1, 250_000)


@pytest.mark.parametrize(
    ("name", "games", "cycles"),
    [
        ("atari_6_tasks_5_cycles", ["space_invaders", "krull", "beam_rider", "hero", "star_gunner", "ms_pacman"], 5),
        ("mini_atari_3_tasks_3_cycles", ["space_invaders", "beam_rider", "ms_pacman"], 3),
    ],
)
def test_continual_experiments(name: str, games: list[str], cycles: int) -> None:
    experiment = build_experiment(name)
    assert [task.id for task in experiment.tasks] == games
    assert experiment.cycle_count == cycles
    assert experiment.continual_testing_freq == 250_000
    assert experiment.action_spaces == {0: Discrete(18)}
    assert experiment.total_steps == cycles * len(games) * 50_000_000
    assert build_experiment(name) == experiment
    assert build_experiment(name) is not experiment


def test_atari_is_another_name() -> None:
    assert build_experiment("atari") == build_experiment("atari_6_tasks_5_cycles")


def test_an_unknown_single_game_is_named_with_a_hint() -> None:
    with pytest.raises(AttributeError, match=r"no Atari experiment 'breakuot'\. Did you mean 'breakout'"):
        _ = single_games.breakuot


def test_the_plugin_module_imports_nothing_heavy() -> None:
    code = (
        "import sys, crl_tasks_atari.plugin\n"
        "heavy = {'torch', 'gymnasium', 'numpy', 'ale_py', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
