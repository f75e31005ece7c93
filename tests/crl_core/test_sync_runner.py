"""One environment for all steps: the batch runner's alignment in a single column."""

from __future__ import annotations

import numpy as np
from tests.crl_core.scripted import Row, ScriptedTask, TellingPolicy

from crl_core.runners.base import Episode
from crl_core.runners.batch import BatchRunner
from crl_core.runners.sync import SyncRunner

SEED = np.random.SeedSequence(0)
SCRIPT = (Row(1.0), Row(2.0, terminated=True), Row(0.0), Row(4.0), Row(8.0, truncated=True), Row(0.0))


def play(
    runner_class: type[BatchRunner], *, num_envs: int, num_steps: int | None, eval_mode: bool = False
) -> BatchRunner:
    task = ScriptedTask(id="scripted", num_timesteps=100, scripts=(SCRIPT,), eval_max_steps=9)
    return runner_class(TellingPolicy(), task, seed=SEED, eval_mode=eval_mode, num_envs=num_envs, num_steps=num_steps)


def test_one_column_has_as_many_steps_as_a_batch() -> None:
    with play(SyncRunner, num_envs=3, num_steps=2) as runner, play(BatchRunner, num_envs=1, num_steps=6) as batch:
        for version in range(3):
            data, expected = runner.collect_data(), batch.collect_data()
            (rollout,), (same,) = data.rollouts, expected.rollouts
            assert (rollout.num_steps, rollout.num_columns) == (6, 1)
            assert rollout.observations[:, 0, 0].tolist() == list(range(6 * version, 6 * version + 7))
            assert rollout.rewards[:, 0].tolist() == [1, 2, 0, 4, 8, 0]
            assert rollout.valid[:, 0].tolist() == [True, True, False, True, True, False]
            assert rollout.last_rewards[:, 0].tolist() == [0, 1, 2, 0, 4, 8, 0]
            assert rollout.last_actions.equal(same.last_actions)
            assert rollout.extras["seen"].equal(same.extras["seen"])
            assert rollout.policy_version.tolist() == [version]
            assert data.steps == 4
            assert data.episodes == expected.episodes == [Episode(0, 3.0, 2), Episode(0, 12.0, 2)]
    assert runner.num_envs == 1


def test_without_a_number_of_steps_it_plays_whole_games() -> None:
    with play(SyncRunner, num_envs=3, num_steps=None) as runner:
        lengths = [runner.collect_data().rollouts[0].num_steps for _ in range(4)]
    assert lengths == [2, 3, 3, 3]  # from the second on, the first row is the reset


def test_it_evaluates_too() -> None:
    with play(SyncRunner, num_envs=3, num_steps=2, eval_mode=True) as runner:
        data = runner.collect_data()
    assert (list(data.rollouts), data.steps, len(data.episodes)) == ([], 4, 2)
