"""The ends of lives and games, truncation, seeds and failures of `AtariEnvs`."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from ale_py.vector_env import AtariVectorEnv
from gymnasium.vector import AutoresetMode

from crl_core.errors import EnvironmentFailure
from crl_core.seeding import Purpose, environment_seeds, seed_sequence
from crl_tasks_atari import AtariTask

# Games with lives, without, with one, with lives won back, and with time limits of their own.
GAMES = """
    asterix atlantis boxing breakout centipede demon_attack freeway gravitar hero montezuma_revenge ms_pacman pong qbert
    skiing star_gunner
"""

ONE = np.array([0], dtype=np.int32)
TWO = np.array([0, 1], dtype=np.int32)


def make(game: str, seeds: npt.NDArray[np.int32], *, evaluation: bool = False, **settings: Any) -> Any:
    task = AtariTask(**{"id": game, "game": game, "num_timesteps": 1, **settings})
    return task.make_envs(len(seeds), seeds=seeds, evaluation=evaluation)


def play(envs: Any, steps: int) -> list[tuple[Any, ...]]:
    """Reset, play random actions, always the same ones, and close; return every row, the first reset's apart."""
    rng = np.random.default_rng(3)
    envs.reset()
    rows = [envs.step(rng.integers(envs.single_action_space.n, size=envs.num_envs)) for _ in range(steps)]
    envs.close()
    return rows


def column(rows: list[tuple[Any, ...]], name: str) -> npt.NDArray[Any]:
    """Return one of a row's arrays over time, `[T, N, ...]`."""
    places = {"observations": 0, "rewards": 1, "terminated": 2, "truncated": 3}
    return np.stack([row[places[name]] if name in places else row[4][name] for row in rows])


@pytest.mark.parametrize("game", GAMES.split())
def test_resets_follow_exactly_where_a_game_was_over(game: str) -> None:
    rows = play(make(game, ONE, max_episode_steps=110), 230)
    assert column(rows, "is_reset").sum() >= 2
    check_ends(rows, limit=110)


def test_each_copy_ends_on_its_own() -> None:
    rows = play(make("breakout", TWO, max_episode_steps=230), 500)
    is_reset = column(rows, "is_reset")
    assert is_reset.any(axis=0).all()
    assert not np.array_equal(is_reset[:, 0], is_reset[:, 1])
    check_ends(rows, limit=230)


def check_ends(rows: list[tuple[Any, ...]], *, limit: int) -> None:
    """Check every kind of end against what ALE counts: frames since the game began, and lives."""
    is_reset, over = column(rows, "is_reset"), column(rows, "episode_over")
    frame, total = column(rows, "episode_frame_number"), column(rows, "frame_number")
    lives = column(rows, "lives")
    terminated, truncated = column(rows, "terminated"), column(rows, "truncated")

    new_game = np.diff(frame, axis=0) < 0
    assert np.array_equal(is_reset[1:], new_game)
    assert not is_reset[0].any()
    assert np.array_equal(over[:-1], new_game)
    assert np.array_equal(np.diff(total, axis=0)[new_game], frame[1:][new_game])

    life_lost = (np.diff(lives, axis=0) < 0) & (lives[1:] > 0) & ~new_game
    assert np.array_equal(terminated[1:] & ~over[1:], life_lost & ~over[1:])
    assert (terminated | truncated)[over].all()
    assert not (terminated & truncated).any()
    assert not (terminated | truncated | column(rows, "rewards").astype(bool))[is_reset].any()
    assert (steps_per_game(is_reset, over) <= limit).all()
    assert set(steps_per_game(is_reset, truncated)) <= {limit}


def steps_per_game(is_reset: npt.NDArray[np.bool_], ends: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return, for each row of `ends`, how many steps its game had."""
    lengths = []
    for resets, over in zip(is_reset.T, ends.T, strict=True):
        starts = np.flatnonzero(resets)
        for end in np.flatnonzero(over):
            earlier = starts[starts < end]
            lengths.append(end - earlier[-1] if earlier.size else end + 1)
    return np.array(lengths, dtype=np.int64)


def test_a_truncated_game_is_reset_although_lives_remain() -> None:
    rows = play(make("breakout", TWO, max_episode_steps=10), 23)
    truncated, lives = column(rows, "truncated"), column(rows, "lives")
    assert np.flatnonzero(truncated[:, 0]).tolist() == [9, 20]
    assert (lives[[9, 20]] == 5).all()
    assert np.flatnonzero(column(rows, "is_reset")[:, 1]).tolist() == [10, 21]
    assert not column(rows, "terminated").any()


def test_a_life_lost_at_the_step_limit_ends_the_game_too() -> None:
    rows = play(make("breakout", ONE), 150)
    first_loss = int(np.flatnonzero(column(rows, "terminated"))[0])
    assert column(rows, "lives")[first_loss] == 4
    rows = play(make("breakout", ONE, max_episode_steps=first_loss + 1), first_loss + 2)
    _, _, terminated, truncated, infos = rows[first_loss]
    assert (terminated[0], truncated[0], infos["episode_over"][0], infos["lives"][0]) == (True, False, True, 4)
    assert rows[first_loss + 1][4]["is_reset"][0]


def test_a_copy_plays_on_the_same_when_another_is_left_out() -> None:
    both, one = (make("breakout", TWO, evaluation=True, max_episode_steps=60) for _ in range(2))
    both.reset()
    one.reset()
    actions = np.random.default_rng(4).integers(4, size=(100, 2))
    for step in range(40):
        both.step(actions[step])
        one.step(actions[step])
    one.keep([1])
    assert one.num_envs == 1
    assert one.observation_space.shape == (1, 4, 84, 84)
    for step in range(40, 100):
        *of_both, infos_of_both = both.step(actions[step])
        *of_one, infos_of_one = one.step(actions[step, 1:])
        for pair, single in zip(of_both, of_one, strict=True):
            assert np.array_equal(pair[1:], single)
        for name in ("lives", "is_reset", "episode_over", "episode_frame_number"):
            assert np.array_equal(infos_of_both[name][1:], infos_of_one[name])
        assert infos_of_one["is_reset"][0] == (step == 60)
    both.close()
    one.close()


_HANGS = """
import threading, time, numpy
from ale_py.vector_env import AtariVectorEnv
from crl_tasks_atari import AtariTask
AtariVectorEnv.reset = lambda *args, **kwargs: time.sleep(600)
task = AtariTask(id="pong", game="pong", num_timesteps=1)
envs = task.make_envs(2, seeds=numpy.array([0, 1], numpy.int32), evaluation=True)
threading.Thread(target=envs.reset, daemon=True).start()
time.sleep(1)
print(sum(thread.name.startswith("reset-") for thread in threading.enumerate()))
"""


def test_a_reset_that_hangs_keeps_no_process() -> None:
    ended = subprocess.run([sys.executable, "-c", _HANGS], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "2\n"), ended.stderr


def test_what_a_reset_of_separate_games_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    envs = make("pong", TWO, evaluation=True)
    monkeypatch.setattr(AtariVectorEnv, "reset", lambda self, *, seed: int("no number"))
    with pytest.raises(EnvironmentFailure, match="Atari game 'pong' failed while it was being reset: ValueError"):
        envs.reset()
    envs.close()


def test_separate_games_are_those_of_one_vector_environment() -> None:
    training, evaluation = (
        play(make("pong", TWO, evaluation=flag, max_episode_steps=40), 90) for flag in (False, True)
    )
    for name in ("observations", "rewards", "terminated", "truncated", "is_reset", "episode_over", "lives"):
        assert np.array_equal(column(training, name), column(evaluation, name)), name


def test_copies_in_training_cannot_be_left_out() -> None:
    envs = make("breakout", TWO)
    assert envs.keep is None
    envs.close()


def test_evaluation_plays_whole_games() -> None:
    training, evaluation = (play(make("breakout", ONE, evaluation=flag), 400) for flag in (False, True))
    for name in ("observations", "rewards", "truncated", "is_reset", "episode_over", "lives"):
        assert np.array_equal(column(training, name), column(evaluation, name))
    over = column(evaluation, "episode_over")
    assert np.array_equal(column(evaluation, "terminated"), over)
    assert over.any()
    assert (column(training, "terminated") & ~over).any()


@pytest.mark.parametrize(("limits", "expected"), [((20, 12), 12), ((12, 20), 12)])
def test_evaluation_keeps_the_shorter_limit(limits: tuple[int, int], expected: int) -> None:
    envs = make("pong", ONE, evaluation=True, max_episode_steps=limits[0], eval_max_steps=limits[1])
    assert np.flatnonzero(column(play(envs, 22), "truncated")).tolist() == [expected - 1]


def test_the_same_seeds_play_the_same_games() -> None:
    first, again = (play(make("breakout", ONE, max_episode_steps=100), 210) for _ in range(2))
    assert column(first, "is_reset").any()
    for name in ("observations", "rewards", "terminated", "frame_number"):
        assert np.array_equal(column(first, name), column(again, name))


def test_neighbouring_runs_share_no_stream() -> None:
    runs = [make("freeway", environment_seeds(seed_sequence(seed, Purpose.TRAINING), 2)) for seed in (0, 1)]
    starts = [np.stack([envs.reset()[1]["episode_frame_number"] for _ in range(6)]) for envs in runs]
    for envs in runs:
        envs.close()
    assert len({tuple(stream) for stream in np.concatenate(starts, axis=1).T}) == 4
    assert 0 <= np.min(starts) <= np.max(starts) <= 30


def test_the_most_noops_are_the_most() -> None:
    envs = make("freeway", ONE, noop_max=2)
    starts = {int(envs.reset()[1]["episode_frame_number"][0]) for _ in range(30)}
    envs.close()
    assert starts == {0, 1, 2}


def test_sticky_actions_depend_on_the_seed_alone() -> None:
    first, again, other = (
        play(make("pong", seeds, noop_max=0, repeat_action_probability=0.25), 60) for seeds in (ONE, ONE, ONE + 1)
    )
    observed = [column(rows, "observations") for rows in (first, again, other)]
    assert np.array_equal(observed[0], observed[1])
    assert not np.array_equal(observed[0], observed[2])


def test_a_seed_given_to_reset_wins() -> None:
    envs = make("freeway", ONE)
    frames = [envs.reset(seed=ONE + 7)[1]["episode_frame_number"].tolist() for _ in range(2)]
    envs.close()
    assert frames[0] == frames[1]


def test_arrays_keep_what_they_held() -> None:
    envs = make("breakout", ONE)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    envs.reset()
    action = np.ones(1, dtype=np.int64)
    first = envs.step(action)
    arrays = [*first[:4], *first[4].values()]
    held = [array.copy() for array in arrays]
    for _ in range(50):
        envs.step(action)
    envs.close()
    assert all(np.array_equal(array, copy) for array, copy in zip(arrays, held, strict=True))
    assert [array.dtype for array in first[:4]] == [np.uint8, np.float32, np.bool_, np.bool_]


@pytest.mark.parametrize("actions", [[0, 4], [-1, 0]])
def test_an_action_out_of_range_is_an_error_and_not_a_hang(actions: list[int]) -> None:
    envs = make("breakout", TWO)
    envs.reset()
    with pytest.raises(EnvironmentFailure, match=r"Atari game 'breakout' has actions 0 to 3, but got \["):
        envs.step(np.array(actions))
    envs.close()


def test_what_goes_wrong_names_the_game() -> None:
    envs = make("breakout", ONE)
    with pytest.raises(EnvironmentFailure, match="Atari game 'breakout' failed while it was being stepped"):
        envs.step(np.zeros(1, dtype=np.int64))
    with pytest.raises(ValueError, match="take no reset options"):
        envs.reset(options={"reset_mask": np.ones(1, dtype=np.bool_)})
    envs.close()
    envs.close()
    with pytest.raises(EnvironmentFailure, match="Atari game 'breakout' failed while it was being reset"):
        envs.reset()


def test_a_filmed_game_is_the_one_that_is_evaluated_with_the_consoles_screen() -> None:
    task = AtariTask(id="breakout", game="breakout", num_timesteps=100)
    seeds = np.array([5], np.int32)
    filmed = task.make_filmed_envs(seeds=seeds)
    plain = task.make_envs(1, seeds=seeds, evaluation=True)
    try:
        np.testing.assert_array_equal(filmed.reset()[0], plain.reset()[0])
        for action in np.random.default_rng(0).integers(4, size=(300, 1)):
            for seen, expected in zip(filmed.step(action)[:4], plain.step(action)[:4], strict=True):
                np.testing.assert_array_equal(seen, expected)
        (screen,) = filmed.render() or ()
        assert screen.shape == (210, 160, 3)
        assert len(np.unique(screen.reshape(-1, 3), axis=0)) > 5  # in colour
        assert (filmed.render_mode, filmed.metadata["render_fps"]) == ("rgb_array", 15)
    finally:
        filmed.close()
        plain.close()
