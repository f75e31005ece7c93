"""Processes that act on their own: the batch runner's alignment, the newest weights, and no way to hang.

Starting processes takes seconds, so each test looks at several things in one start.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest
import torch
from tests.crl_core.scripted import Row, ScriptedEnvs, ScriptedTask, TellingData, TellingPolicy

from crl_core.errors import EnvironmentFailure, PluginError
from crl_core.rollout import PER_COLUMN, TIME_MAJOR, Rollout
from crl_core.runners.base import CollectedData, Episode
from crl_core.runners.batch import BatchRunner
from crl_core.runners.full_parallel import FullParallelRunner
from crl_core.runners.processes import WorkerProcesses
from crl_core.seeding import child_sequences, environment_seeds
from crl_core.workers import WorkerTraceback

SEED = np.random.SeedSequence(3)
SHORT = (Row(1.0), Row(2.0, terminated=True), Row(0.0))
LONG = (Row(4.0), Row(8.0), Row(16.0), Row(32.0, truncated=True), Row(0.0))


class OneOfTask(ScriptedTask):
    """One environment, whose seed picks its script; it may fail or hang in its third step."""

    type: Literal["one_of"] = "one_of"  # type: ignore[assignment]  # a type of its own
    behaviour: str = "fine"

    def make_envs(self, num_envs: int, *, seeds: Any, evaluation: bool) -> Any:
        assert num_envs == 1
        script = int(seeds[0]) % len(self.scripts)
        kinds = {"fine": ScriptedEnvs, "fails": FailingEnvs, "hangs": HangingEnvs if script else ScriptedEnvs}
        return kinds[self.behaviour](self.scripts[script : script + 1])


class FailingEnvs(ScriptedEnvs):
    def step(self, actions: Any) -> Any:
        if len(self.received) == 2:
            raise ValueError("the joystick broke")
        return super().step(actions)


class HangingEnvs(ScriptedEnvs):
    def step(self, actions: Any) -> Any:
        if len(self.received) == 2:
            time.sleep(60)
        return super().step(actions)


@dataclass(kw_only=True)
class WeighedData(TellingData):
    """Also the weight it was computed with, and a random number."""

    weight: torch.Tensor
    noise: torch.Tensor


class WeighedPolicy(TellingPolicy):
    def compute_action(self, *args: Any, **kwargs: Any) -> WeighedData:
        telling = super().compute_action(*args, **kwargs)
        return WeighedData(
            actions=telling.actions,
            seen=telling.seen,
            weight=self.network.weight.view(1).clone(),
            noise=torch.rand(1, generator=self.generator),
        )

    def weigh(self, weight: float) -> None:
        with torch.no_grad():
            self.network.weight.fill_(weight)


def make_task(**fields: Any) -> OneOfTask:
    return OneOfTask(id="scripted", num_timesteps=100, scripts=(SHORT, LONG), **fields)


def make_runner(
    policy: TellingPolicy, task: OneOfTask, *, num_envs: int, num_steps: int | None = 6, eval_mode: bool = False
) -> FullParallelRunner:
    return FullParallelRunner(policy, task, seed=SEED, eval_mode=eval_mode, num_envs=num_envs, num_steps=num_steps)


def scripts() -> list[int]:
    """Return which script each of the two processes plays."""
    return [int(environment_seeds(child, 1)[0]) % 2 for child in child_sequences(SEED, 2)]


def has_played(runner: FullParallelRunner, index: int) -> bool:
    """Return whether a process has answered what it collected, while others still play."""
    return runner._processes is not None and runner._processes.answered.get(index) is not None


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


def in_batches(num_steps: int | None, collections: int) -> list[list[CollectedData]]:
    """Return what the batch runner collects of each process's environment alone."""
    found = []
    for child in child_sequences(SEED, 2):
        with BatchRunner(
            WeighedPolicy(), make_task(), seed=child, eval_mode=False, num_envs=1, num_steps=num_steps
        ) as runner:
            found.append([runner.collect_data() for _ in range(collections)])
    return found


def assert_same(rollout: Rollout, expected: Rollout) -> None:
    for name in (*TIME_MAJOR, *PER_COLUMN):
        assert getattr(rollout, name).equal(getattr(expected, name)), name
        assert getattr(rollout, name).dtype == getattr(expected, name).dtype
    assert rollout.extras["seen"].equal(expected.extras["seen"])
    assert rollout.task_id == expected.task_id


def test_columns_are_what_the_batch_runner_plays_with_the_newest_weights_and_the_same_each_time() -> None:
    assert scripts() == [1, 0]

    def collect() -> list[CollectedData]:
        policy = WeighedPolicy()
        collected = []
        with make_runner(policy, make_task(), num_envs=2) as runner:
            for weight in (1.0, 2.0, 3.0):
                policy.weigh(weight)
                collected.append(runner.collect_data())
            runner.close()
            runner.close()
        assert runner.dropped_steps == 0
        assert policy.modes == []  # only copies act
        return collected

    first, again = collect(), collect()
    for update, (data, same, *alone) in enumerate(zip(first, again, *in_batches(6, 3), strict=True)):
        (rollout,) = data.rollouts
        assert_same(rollout, Rollout.concatenate([each.rollouts[0] for each in alone]))
        assert rollout.extras["weight"].tolist() == [[update + 1.0] * 2] * 6
        noise = rollout.extras["noise"]
        assert not noise[:, 0].equal(noise[:, 1])
        assert noise.equal(same.rollouts[0].extras["noise"])
        assert data.steps == rollout.steps == sum(each.steps for each in alone)
    # by hand: the column of the long script, over the ends of its games
    (rollout,) = first[0].rollouts
    assert rollout.rewards[:, 0].tolist() == [4, 8, 16, 32, 0, 4]
    assert rollout.valid[:, 0].tolist() == [True, True, True, True, False, True]
    assert rollout.last_rewards[:, 0].tolist() == [0, 4, 8, 16, 32, 0, 4]
    assert rollout.last_actions[:, 0].tolist() == [0, 0, 1, 2, 3, 0, 1]
    assert first[0].episodes == [Episode(0, 60.0, 4), Episode(1, 3.0, 2), Episode(1, 3.0, 2)]


def test_whole_episodes_are_rollouts_of_their_own_lengths() -> None:
    with make_runner(WeighedPolicy(), make_task(), num_envs=2, num_steps=None) as runner:
        collected = [runner.collect_data() for _ in range(3)]

    assert [[each.num_steps for each in data.rollouts] for data in collected] == [[4, 2], [5, 3], [5, 3]]
    assert [data.steps for data in collected] == [6, 6, 6]
    for data, *alone in zip(collected, *in_batches(None, 3), strict=True):
        for rollout, expected in zip(data.rollouts, alone, strict=True):
            assert_same(rollout, expected.rollouts[0])
    assert collected[1].rollouts[0].valid[:, 0].tolist() == [False, True, True, True, True]
    assert collected[1].episodes == [Episode(0, 60.0, 4), Episode(1, 3.0, 2)]


def test_evaluation_keeps_no_rollouts() -> None:
    task = make_task(vectorization="processes")  # which would be a process of a process
    with make_runner(WeighedPolicy(), task, num_envs=1, eval_mode=True) as runner:
        data = runner.collect_data()
    assert list(data.rollouts) == []
    assert (data.steps, data.episodes) == (5, [Episode(0, 60.0, 4)])


def test_what_an_environment_raises_is_told_with_its_traceback() -> None:
    with make_runner(WeighedPolicy(), make_task(behaviour="fails"), num_envs=1) as runner:
        with pytest.raises(EnvironmentFailure) as raised:
            runner.collect_data()
        message = r"process 0 of task 'scripted' failed: task 'scripted' \(OneOfTask of tests\), step 3: .*joystick"
        assert raised.match(message)
        assert isinstance(raised.value.__cause__, WorkerTraceback)
        assert "in step\n" in str(raised.value.__cause__)


class OutsidePolicy(TellingPolicy):
    """Takes an action that is not there."""

    def compute_action(self, *args: Any, **kwargs: Any) -> TellingData:
        data = super().compute_action(*args, **kwargs)
        data.actions += 4
        return data


def test_errors_keep_their_kind() -> None:
    with make_runner(OutsidePolicy(), make_task(), num_envs=1) as runner, pytest.raises(PluginError) as raised:
        runner.collect_data()
    assert raised.match(
        "failed: task 'scripted', step 1: compute_action of OutsidePolicy of tests returned the action 4"
    )


def test_a_process_that_dies_is_noticed() -> None:
    with make_runner(WeighedPolicy(), make_task(behaviour="hangs"), num_envs=2) as runner:

        def kill() -> None:
            if has_played(runner, 1):
                assert runner._processes is not None
                (hanging, _) = runner._processes._workers
                os.kill(hanging.process.pid or 0, signal.SIGKILL)

        runner.on_wait = kill
        with pytest.raises(EnvironmentFailure, match=r"process 0 of task 'scripted' died \(exit code -9\)"):
            runner.collect_data()
    assert runner.dropped_steps == 4  # what the other one had ready


def test_waiting_for_a_process_that_hangs_can_be_ended_and_does_not_last(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class AskedToStopError(Exception):
        pass

    def ask() -> None:
        if has_played(runner, 1):
            raise AskedToStopError

    monkeypatch.setattr("crl_core.runners.processes._CLOSE_SECONDS", 0.5)
    with make_runner(WeighedPolicy(), make_task(behaviour="hangs"), num_envs=2) as runner:
        runner.on_wait = ask
        with pytest.raises(AskedToStopError):
            runner.collect_data()
        processes = runner._processes
        assert processes is not None
        runner.on_wait = lambda: None
        processes.answered.clear()
        with pytest.raises(EnvironmentFailure, match="gave no sign of life for 1 seconds"):
            processes.answers(runner.on_wait, silence=1.0)
    assert "task 'scripted': ended what did not stop within 0.5 s: full_parallel-0" in caplog.text


def test_being_asked_to_stop_goes_before_a_death_that_came_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class AskedToStopError(Exception):
        pass

    def wait_while_ctrl_c_ends_a_process(self: WorkerProcesses, indices: Any) -> list[int]:
        process = self._workers[0].process
        process.terminate()
        process.join(10)
        asked.set()
        return [0]

    def ask() -> None:
        if asked.is_set():
            raise AskedToStopError

    asked = threading.Event()
    monkeypatch.setattr(WorkerProcesses, "_wait_for", wait_while_ctrl_c_ends_a_process)
    with make_runner(WeighedPolicy(), make_task(), num_envs=1) as runner:
        runner.on_wait = ask
        with pytest.raises(AskedToStopError):
            runner.collect_data()


def test_a_policy_that_cannot_be_sent_is_named_before_anything_starts() -> None:
    policy = TellingPolicy()
    policy.lock = threading.Lock()  # type: ignore[attr-defined]  # an attribute that cannot be pickled
    with (
        make_runner(policy, make_task(), num_envs=1) as runner,
        pytest.raises(
            PluginError, match="'full_parallel' cannot send policy TellingPolicy of tests and task 'scripted'"
        ),
    ):
        runner.collect_data()


ORPHANS = """
import os, signal
from tests.crl_core.test_full_parallel_runner import WeighedPolicy, make_runner, make_task
if __name__ == "__main__":
    runner = make_runner(WeighedPolicy(), make_task(), num_envs=1)
    runner.collect_data()
    print("collected", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_no_process_outlives_its_parent_and_none_says_a_word(tmp_path: Any) -> None:
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    # the pipes end only when the last process that holds them does
    result = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert (result.stdout, result.stderr, result.returncode) == ("collected\n", "", -signal.SIGKILL)
