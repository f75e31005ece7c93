"""The pipelined runner: whole batches, old weights that nobody writes to, and threads that always end."""

from __future__ import annotations

import threading
from typing import Any, Literal

import numpy as np
import pytest
import torch
from tests.crl_core.scripted import Row, ScriptedEnvs, ScriptedTask, TellingPolicy

from crl_core.errors import EnvironmentFailure
from crl_policies_impala.runner import PipelinedRunner, _sharing_cores, count_collectors

SEED = np.random.SeedSequence(0)


class FailingEnvs(ScriptedEnvs):
    """Raises at the seventh step."""

    def step(self, actions: Any) -> Any:
        if len(self.received) == 6:
            raise ValueError("the joystick broke")
        return super().step(actions)


class HangingEnvs(ScriptedEnvs):
    """Hangs in its third step until it is let go."""

    hanging, let_go = threading.Event(), threading.Event()

    def step(self, actions: Any) -> Any:
        if len(self.received) == 2:
            self.hanging.set()
            self.let_go.wait(timeout=60)
        return super().step(actions)


class SomeTask(ScriptedTask):
    """A task that may fail or hang."""

    type: Literal["some"] = "some"
    behaviour: str = "fine"

    def make_envs(self, num_envs: int, *, seeds: Any, evaluation: bool) -> Any:
        kinds = {"fine": ScriptedEnvs, "fails": FailingEnvs, "hangs": HangingEnvs}
        return kinds[self.behaviour](self.scripts[:num_envs])


def make_runner(
    num_envs: int,
    batch_size: int,
    *,
    behaviour: str = "fine",
    script: tuple[Row, ...] = (Row(1.0),),
    lock_step: bool = False,
) -> tuple[PipelinedRunner, TellingPolicy]:
    policy = TellingPolicy()
    task = SomeTask(id="scripted", num_timesteps=100, scripts=(script,) * num_envs, behaviour=behaviour)
    runner = PipelinedRunner(
        policy,
        task,
        seed=SEED,
        eval_mode=False,
        num_envs=num_envs,
        num_steps=4,
        batch_size=batch_size,
        lock_step=lock_step,
    )
    return runner, policy


def collectors() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("collector")]


@pytest.mark.parametrize(("num_envs", "batch_size"), [(1, 1), (3, 2), (2, 5), (4, 4), (8, 3)])
def test_every_batch_has_exactly_as_many_columns_and_none_is_lost_on_the_way(num_envs: int, batch_size: int) -> None:
    runner, _ = make_runner(num_envs, batch_size)
    starts: list[tuple[int, int]] = []

    with runner:
        for _ in range(8):  # so few that the clocks stay below 100
            (rollout,) = runner.collect_data().rollouts
            assert rollout.num_columns == batch_size
            shown = rollout.observations[..., 0].to(torch.int64)
            assert (shown[1:] - shown[:-1] == 1).all()  # rows of one environment, one after the other
            starts += [divmod(int(first), 100) for first in shown[0]]

    for environment in range(num_envs):
        clocks = [clock for which, clock in starts if which == environment]
        assert clocks == list(range(0, 4 * len(clocks), 4))
    assert collectors() == []


def test_in_lock_step_columns_come_in_order_from_the_newest_weights() -> None:
    runner, _ = make_runner(2, 3, lock_step=True)
    firsts: list[int] = []

    with runner:
        for update in range(4):
            data = runner.collect_data()
            (rollout,) = data.rollouts
            firsts += rollout.observations[0, :, 0].to(torch.int64).tolist()
            # a column left over from the update before is the only one that may be older
            assert (update - rollout.policy_version).tolist() == [int(update % 2 == 1), 0, 0]
            assert collectors() == []

    assert firsts == [0, 100, 4, 104, 8, 108, 12, 112, 16, 116, 20, 120]


def test_the_alignment_is_that_of_the_batch_runner() -> None:
    script = (Row(1.0), Row(2.0, terminated=True), Row(0.0), Row(4.0))
    runner, _ = make_runner(1, 1, script=script)

    with runner:
        (first,), (second,) = runner.collect_data().rollouts, runner.collect_data().rollouts

    assert first.valid[:, 0].tolist() == [True, True, False, True]
    assert first.last_rewards[:, 0].tolist() == [0, 1, 2, 0, 4]
    assert second.last_rewards[:, 0].tolist() == [4, 1, 2, 0, 4]


def test_columns_say_how_old_their_weights_were_and_the_lag_is_bounded() -> None:
    runner, policy = make_runner(2, 2)
    lags = []

    with runner:
        for update in range(30):
            data = runner.collect_data()
            (rollout,) = data.rollouts
            assert (rollout.policy_version <= update).all()
            lags.append(data.timings["policy_lag_max"])
            assert lags[-1] == update - int(rollout.policy_version.min())
            with torch.no_grad():
                policy.network.weight.fill_(float(update))  # what a learner does to its own weights

    assert max(lags) <= 4


def test_published_weights_are_never_written_to() -> None:
    runner, policy = make_runner(1, 1)

    with runner:
        runner.collect_data()
        published = runner._published.network
        before = published.weight.clone()
        with torch.no_grad():
            policy.network.weight.add_(1.0)
        runner.collect_data()

        assert torch.equal(published.weight, before)
        assert torch.equal(runner._published.network.weight, policy.network.weight)
        assert not runner._published.network.weight.requires_grad


def test_an_environment_that_fails_ends_the_wait_with_its_own_error() -> None:
    runner, _ = make_runner(2, 2, behaviour="fails")

    def play() -> None:
        for _ in range(10):
            runner.collect_data()

    with (
        runner,
        pytest.raises(EnvironmentFailure, match=r"task 'scripted' .*, step 7: .*: the joystick broke") as raised,
    ):
        play()

    assert isinstance(raised.value.__cause__, ValueError)
    assert collectors() == []


def test_waiting_for_a_hanging_environment_can_be_ended_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    class AskedToStopError(Exception):
        pass

    def ask() -> None:
        if HangingEnvs.hanging.is_set():
            raise AskedToStopError

    HangingEnvs.let_go.clear()
    runner, _ = make_runner(1, 1, behaviour="hangs")
    runner.on_wait = ask

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crl_policies_impala.runner._CLOSE_SECONDS", 0.3)
        with pytest.raises(AskedToStopError), runner:
            runner.collect_data()
    assert "collector-0 did not stop" in caplog.text

    HangingEnvs.let_go.set()
    for thread in threading.enumerate():
        if thread.name.startswith("collector"):
            thread.join(timeout=10)
    assert collectors() == []


def test_what_was_ready_but_never_handed_over_is_counted() -> None:
    runner, _ = make_runner(6, 2)

    with runner:
        runner.collect_data()  # two of six columns; the other four wait

    assert runner.dropped_steps >= 4 * 4
    assert runner.dropped_steps % 4 == 0


@pytest.mark.parametrize(("num_envs", "collectors", "threads"), [(64, 4, 2), (24, 1, 8), (4, 1, 8)])
def test_collectors_share_the_cores_that_the_learner_leaves(
    monkeypatch: pytest.MonkeyPatch, num_envs: int, collectors: int, threads: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(16)), raising=False)
    assert count_collectors("auto", num_envs) == collectors
    assert count_collectors(3, num_envs) == 3
    runner, _ = make_runner(num_envs, batch_size=1)
    with runner:
        assert runner._collected_task.native_threads(100) == threads
        assert runner.task.native_threads(100) == 16
    assert _sharing_cores(runner.task, collectors, on_cpu=False).native_threads(100) == 16 // collectors
    task = runner.task.model_copy(update={"environment_threads": 5})
    runner = PipelinedRunner(
        TellingPolicy(), task, seed=SEED, eval_mode=False, num_envs=num_envs, num_steps=4, batch_size=1
    )
    assert runner._collected_task is task
