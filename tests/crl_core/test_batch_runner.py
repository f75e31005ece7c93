"""The one alignment of rollouts, with numbers made by hand, and the rules for ends of episodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.crl_core.scripted import Row, ScriptedEnvs, ScriptedTask, TellingPolicy

from crl_core.runners.base import Episode
from crl_core.runners.batch import BatchRunner

SEED = np.random.SeedSequence(0)


def make_runner(
    *scripts: list[Row], num_steps: int | None = 4, eval_mode: bool = False
) -> tuple[BatchRunner, TellingPolicy]:
    task = ScriptedTask(id="scripted", num_timesteps=100, scripts=tuple(tuple(script) for script in scripts))
    policy = TellingPolicy(num_envs=len(scripts), num_steps=num_steps)
    runner = policy.get_environment_runner(task, seed=SEED, eval_mode=eval_mode)
    assert isinstance(runner, BatchRunner)
    return runner, policy


def test_every_field_of_a_row_belongs_to_its_observation() -> None:
    runner, _ = make_runner([Row(1.0), Row(2.0), Row(3.0), Row(4.0)], [Row(5.0), Row(6.0), Row(7.0), Row(8.0)])

    with runner:
        (first,) = runner.collect_data().rollouts
        (second,) = runner.collect_data().rollouts

    assert first.observations[..., 0].tolist() == [[0, 100], [1, 101], [2, 102], [3, 103], [4, 104]]
    assert first.extras["seen"].tolist() == [[0, 100], [1, 101], [2, 102], [3, 103]]
    assert first.actions.tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]
    assert first.rewards.tolist() == [[1, 5], [2, 6], [3, 7], [4, 8]]
    assert first.rewards.dtype == torch.float32
    assert first.last_actions.tolist() == [[0, 0], [0, 0], [1, 1], [2, 2], [3, 3]]
    assert first.last_rewards.tolist() == [[0, 0], [1, 5], [2, 6], [3, 7], [4, 8]]
    assert first.valid.all()
    assert first.task_id == ("scripted", "scripted")
    assert first.num_actions.tolist() == [4, 4]
    assert first.policy_version.tolist() == [0, 0]
    # the second rollout goes on where the first stopped
    assert second.observations[:, 0, 0].tolist() == [4, 5, 6, 7, 8]
    assert second.last_actions[0].tolist() == [3, 3]
    assert second.last_rewards[0].tolist() == [4, 8]
    assert second.policy_version.tolist() == [1, 1]


def test_the_row_after_an_end_is_a_reset_and_nothing_is_carried_over_it() -> None:
    runner, policy = make_runner([Row(1.0), Row(2.0, terminated=True), Row(0.0), Row(4.0), Row(5.0, truncated=True)])

    with runner:
        (first,) = runner.collect_data().rollouts
        (second,) = runner.collect_data().rollouts

    assert first.valid[:, 0].tolist() == [True, True, False, True]
    assert first.steps == 3
    assert first.last_rewards[:, 0].tolist() == [0, 1, 2, 0, 4]
    assert first.last_actions[:, 0].tolist() == [0, 0, 1, 0, 3]
    # row 4 is cut off, and the reset after it opens the second rollout's row 1
    assert second.truncated[:, 0].tolist() == [True, False, False, False]
    assert second.valid[:, 0].tolist() == [True, False, True, False]
    assert second.last_rewards[:, 0].tolist() == [4, 5, 0, 2, 0]
    handed = [data for data in policy.handed_back if data is not None]
    assert [bool(data.is_reset) for data in handed[:4]] == [False, False, True, False]
    assert policy.handed_back[0] is None


def test_a_rollout_that_begins_behind_a_reset_row_carries_nothing() -> None:
    runner, _ = make_runner([Row(1.0), Row(2.0), Row(3.0, terminated=True), Row(0.0)])

    with runner:
        runner.collect_data()
        (second,) = runner.collect_data().rollouts

    assert second.last_rewards[:, 0].tolist() == [0, 1, 2, 3, 0]
    assert second.last_actions[0, 0].item() == 0


def test_returns_and_lengths_count_valid_rows_of_whole_games() -> None:
    script = [Row(1.0), Row(2.0, terminated=True), Row(64.0), Row(4.0)]  # a reset row's reward counts for nothing
    runner, _ = make_runner(script, num_steps=8)

    with runner:
        data = runner.collect_data()

    assert data.episodes == [Episode(0, 3.0, 2), Episode(0, 7.0, 3)]
    assert data.steps == 6


def test_a_lost_life_ends_no_game_and_is_followed_by_a_real_row() -> None:
    rows = [
        Row(1.0, is_reset=False, episode_over=False),
        Row(2.0, terminated=True, is_reset=False, episode_over=False),
        Row(4.0, is_reset=False, episode_over=False),
        Row(8.0, terminated=True, is_reset=False, episode_over=True),
        Row(0.0, is_reset=True, episode_over=False),
    ]
    runner, _ = make_runner(rows, num_steps=5)

    with runner:
        data = runner.collect_data()

    (rollout,) = data.rollouts
    assert data.episodes == [Episode(0, 15.0, 4)]
    assert rollout.valid[:, 0].tolist() == [True, True, True, True, False]
    assert rollout.terminated[:, 0].tolist() == [False, True, False, True, False]
    assert rollout.last_rewards[:, 0].tolist() == [0, 1, 2, 4, 8, 0]


def test_evaluation_keeps_no_rollouts_and_tells_the_policy() -> None:
    runner, policy = make_runner([Row(1.0), Row(2.0, terminated=True), Row(0.0)], num_steps=6, eval_mode=True)

    with runner:
        data = runner.collect_data()

    assert list(data.rollouts) == []
    assert data.episodes == [Episode(0, 3.0, 2), Episode(0, 3.0, 2)]
    assert data.steps == 4
    assert policy.modes == [True] * 6


def test_closing_closes_the_environments_and_may_be_repeated() -> None:
    runner, _ = make_runner([Row()])
    runner.collect_data()
    envs = runner._collector.loop._envs

    runner.close()
    runner.close()

    assert envs.closed


def test_environments_may_use_their_arrays_again() -> None:
    class Reusing(ScriptedEnvs):
        def step(self, actions: Any) -> Any:
            observations, *answer, infos = super().step(actions)
            self.kept = getattr(
                self, "kept", [each.astype(np.float32 if each.dtype == float else bool) for each in answer]
            )
            for kept, new in zip(self.kept, answer, strict=True):
                kept[:] = new
            return observations, *self.kept, infos

    class ReusingTask(ScriptedTask):
        def make_envs(self, num_envs: int, *, seeds: Any, evaluation: bool) -> Any:
            return Reusing(self.scripts)

    script = (Row(1.0), Row(2.0, terminated=True), Row(0.0), Row(4.0, truncated=True))
    task = ReusingTask(id="reusing", num_timesteps=100, scripts=(script,))
    with TellingPolicy().get_environment_runner(task, seed=SEED) as runner:
        (rollout,) = runner.collect_data().rollouts

    assert rollout.rewards[:, 0].tolist() == [1, 2, 0, 4]
    assert rollout.terminated[:, 0].tolist() == [False, True, False, False]
    assert rollout.truncated[:, 0].tolist() == [False, False, False, True]
    assert rollout.valid[:, 0].tolist() == [True, True, False, True]


def test_without_a_number_of_steps_it_plays_until_every_environment_has_ended_a_game() -> None:
    short, long = [Row(1.0, terminated=True), Row(0.0)], [Row(1.0)] * 4 + [Row(1.0, truncated=True), Row(0.0)]
    runner, _ = make_runner(short, long, num_steps=None)

    with runner:
        lengths = [runner.collect_data().rollouts[0].num_steps for _ in range(3)]

    assert lengths == [5, 6, 6]


def test_a_game_that_never_ends_is_handed_over_in_parts() -> None:
    task = ScriptedTask(id="endless", num_timesteps=100, scripts=((Row(1.0),),), eval_max_steps=150)
    with TellingPolicy(num_steps=None).get_environment_runner(task, seed=SEED) as runner:
        (first,), (second,) = runner.collect_data().rollouts, runner.collect_data().rollouts

    for number, rollout in enumerate((first, second)):  # more rows than there was room for at first
        assert rollout.observations[:, 0, 0].tolist() == list(range(150 * number, 150 * number + 151))
        assert rollout.observations.untyped_storage().nbytes() == 151 * 4
        assert rollout.rewards.sum() == 150


def test_what_on_wait_raises_ends_a_collection() -> None:
    class AskedToStopError(Exception):
        pass

    def ask() -> None:
        if len(policy.modes) == 3:
            raise AskedToStopError

    for eval_mode in (False, True):
        runner, policy = make_runner([Row(1.0)], num_steps=1000, eval_mode=eval_mode)
        runner.on_wait = ask
        with runner, pytest.raises(AskedToStopError):
            runner.collect_data()


def test_an_episode_as_long_as_the_limit_is_handed_over_whole_with_its_reset() -> None:
    rows = (*[Row(1.0)] * 9, Row(1.0, truncated=True), Row(0.0))
    task = ScriptedTask(id="long", num_timesteps=100, scripts=(rows,), eval_max_steps=10)
    with TellingPolicy(num_steps=None).get_environment_runner(task, seed=SEED) as runner:
        collected = [runner.collect_data() for _ in range(3)]
    assert [data.rollouts[0].num_steps for data in collected] == [10, 11, 11]
    assert [data.steps for data in collected] == [10, 10, 10]
