"""Whatever a policy or an environment does wrong in a step, a message names it, its package, the task and the step."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Literal

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from tests.crl_core.scripted import Row, ScriptedEnvs, ScriptedTask, TellingPolicy

from crl_core.errors import EnvironmentFailure, PluginError
from crl_core.plugins import origin
from crl_core.policy import TimestepData
from crl_core.runners.batch import BatchRunner

SPACES: dict[str, gymnasium.Space[Any]] = {"discrete": Discrete(4), "box": Box(-1, 1, (2,), np.float32)}


class TwistedTask(ScriptedTask):
    """Two scripted environments whose answers are twisted from the third step on, or from the reset."""

    type: Literal["twisted"] = "twisted"  # type: ignore[assignment]  # a type of its own

    def make_envs(self, num_envs: int, *, seeds: Any, evaluation: bool) -> Any:
        return TwistedEnvs(self.scripts)


class TwistedEnvs(ScriptedEnvs):
    """What `twist` makes of (observations, rewards) is given instead."""

    twist: Callable[[Any, Any], tuple[Any, Any]]
    at_step = 3

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        observations, infos = super().reset()
        return (observations if self.at_step else type(self).twist(observations, None)[0]), infos

    def step(self, actions: Any) -> Any:
        observations, rewards, *rest = super().step(np.zeros(2))
        if len(self.received) == self.at_step:
            observations, rewards = type(self).twist(observations, rewards)
        return observations, rewards, *rest


class TwistedPolicy(TellingPolicy):
    """Returns `answer` at its third step."""

    def __init__(self, space: gymnasium.Space[Any], answer: Any) -> None:
        super().__init__()
        self.action_spaces = {0: space}
        self.answer = answer

    def compute_action(self, observations: Any, task: Any, last_timestep_data: Any, *, eval_mode: bool) -> Any:
        self.modes.append(eval_mode)
        if len(self.modes) == 3:
            return self.answer
        space = self.action_spaces[0]
        return TimestepData(actions=torch.from_numpy(np.zeros((2, *(space.shape or ())), space.dtype)))


def play(policy: TellingPolicy, *, eval_mode: bool = False) -> None:
    task = TwistedTask(id="twisted", num_timesteps=100, scripts=((Row(1.0),), (Row(1.0),)))
    runner = BatchRunner(policy, task, seed=np.random.SeedSequence(0), eval_mode=eval_mode, num_envs=2, num_steps=4)
    with runner:
        runner.collect_data()


def actions(values: Any, dtype: torch.dtype = torch.int64) -> TimestepData:
    return TimestepData(actions=torch.tensor(values, dtype=dtype))


NO_TENSOR = "returned actions that are no tensor on the CPU without a gradient"


@pytest.mark.parametrize(
    ("space", "answer", "why"),
    [
        ("discrete", torch.zeros(2), "returned a Tensor, where a TimestepData was expected"),
        ("discrete", None, "returned a NoneType, where a TimestepData was expected"),
        ("discrete", TimestepData(actions=[0, 0]), NO_TENSOR),  # type: ignore[arg-type]  # that is the fault
        ("discrete", actions([0, 4]), r"returned the action 4, which is not inside Discrete\(4\)"),
        ("discrete", actions([-1, 0]), r"returned the action -1, which is not inside Discrete\(4\)"),
        ("discrete", actions([0]), r"returned actions int64 \[1\], where int64 \[2\] was expected"),
        ("discrete", actions([[0], [0]]), r"returned actions int64 \[2, 1\], where int64 \[2\] was expected"),
        ("discrete", actions([0, 0], torch.int32), r"returned actions int32 \[2\], where int64 \[2\] was expected"),
        (
            "box",
            actions([[0, 0], [0, 1.5]], torch.float32),
            r"returned the action \[0\.  1\.5\], which is not inside Box",
        ),
        ("box", actions([[0, float("nan")], [0, 0]], torch.float32), r"returned the action \[ 0\. nan\], which is not"),
        ("box", actions([[0, 0], [0, 0]], torch.float64), r"returned actions float64 \[2, 2\], where float32 \[2, 2\]"),
        ("box", TimestepData(actions=torch.zeros(2, 2, requires_grad=True)), NO_TENSOR),
    ],
)
def test_a_policys_fault_names_the_policy(monkeypatch: pytest.MonkeyPatch, space: str, answer: Any, why: str) -> None:
    monkeypatch.setattr(TwistedEnvs, "twist", lambda observations, rewards: (observations, rewards), raising=False)
    named = r"task 'twisted', step 3: compute_action of TwistedPolicy of tests "
    with pytest.raises(PluginError, match=rf"^{named}{why}.*report this to its authors\.$"):
        play(TwistedPolicy(SPACES[space], answer))


@pytest.mark.parametrize("space", ["discrete", "box"])
def test_actions_at_the_bounds_are_inside(monkeypatch: pytest.MonkeyPatch, space: str) -> None:
    monkeypatch.setattr(TwistedEnvs, "twist", lambda observations, rewards: (observations, rewards), raising=False)
    fine = actions([0, 3]) if space == "discrete" else actions([[-1, 1], [1, -1]], torch.float32)
    play(TwistedPolicy(SPACES[space], fine))


def spoil(values: Any, value: float) -> Any:
    spoilt = np.array(values, np.float64 if values.dtype == np.float64 else np.float32)
    spoilt[1] = value
    return spoilt


@pytest.mark.parametrize(
    ("twist", "why"),
    [
        (
            lambda o, r: (o.astype(np.float64), r),
            r"observations are float64 \[2, 1\], where the space says float32 \[2, 1\]",
        ),
        (lambda o, r: (o[:, 0], r), r"observations are float32 \[2\], where the space says float32 \[2, 1\]"),
        (lambda o, r: (o[:1], r), r"observations are float32 \[1, 1\], where"),
        (lambda o, r: ({"image": o}, r), "observations are of type dict, not one array"),
        (lambda o, r: (spoil(o, np.nan), r), "environment 1 shows NaN or infinity"),
        (lambda o, r: (spoil(o, -np.inf), r), "environment 1 shows NaN or infinity"),
        (lambda o, r: (o, spoil(r, np.nan)), "environment 1 gave the reward nan"),
        (lambda o, r: (o, spoil(r, np.inf)), "environment 1 gave the reward inf"),
        (lambda o, r: (o, r[:1]), r"rewards are \[1\], where \[2\] was expected"),
    ],
)
@pytest.mark.parametrize("eval_mode", [False, True])
def test_an_environments_fault_names_the_task(
    monkeypatch: pytest.MonkeyPatch, twist: Callable[[Any, Any], Any], why: str, eval_mode: bool
) -> None:
    monkeypatch.setattr(TwistedEnvs, "twist", twist, raising=False)
    step = "evaluation step 3" if eval_mode else "step 3"
    with pytest.raises(EnvironmentFailure, match=rf"^task 'twisted' \(TwistedTask of tests\), {step}: {why}"):
        play(TwistedPolicy(SPACES["discrete"], actions([0, 0])), eval_mode=eval_mode)


def test_the_first_observations_are_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        TwistedEnvs, "twist", lambda observations, _: (spoil(observations, np.nan), None), raising=False
    )
    monkeypatch.setattr(TwistedEnvs, "at_step", 0)
    with pytest.raises(EnvironmentFailure, match=r"^task 'twisted' .*, step 0: environment 1 shows NaN"):
        play(TwistedPolicy(SPACES["discrete"], actions([0, 0])))


def test_a_package_is_named_by_its_distribution() -> None:
    assert origin(BatchRunner) == f"BatchRunner of crl-core {version('crl-core')}"
    assert origin(TwistedPolicy) == "TwistedPolicy of tests"


def test_large_numbers_are_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    def enlarge(observations: Any, rewards: Any) -> Any:
        return spoil(observations, 1e30), spoil(rewards, -1e30)

    monkeypatch.setattr(TwistedEnvs, "twist", enlarge, raising=False)
    play(TwistedPolicy(SPACES["discrete"], actions([0, 0])))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"rewards": [[1.0], 1.0]}, r"rewards cannot be read as float32 \[2\]: "),
        ({"rewards": np.array([0.0, 1e39])}, "environment 1 gave the reward inf"),
        ({"terminated": False}, r"terminated are \[\], where \[2\] was expected"),
        ({"truncated": np.zeros((2, 1), np.bool_)}, r"truncated are \[2, 1\], where \[2\] was expected"),
        ({"infos": {"is_reset": [True]}}, r"is_reset are \[1\], where"),
        ({"infos": {"episode_over": [True]}}, r"episode_over are \[1\], where"),
        ({"infos": {}, "extra": 0}, r"an environment raised in step\(\): ValueError"),
    ],
)
def test_answers_of_another_form_are_told(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], why: str) -> None:
    def step(self: Any, actions: Any) -> Any:
        fine = dict(zip(("shown", "rewards", "terminated", "truncated", "infos"), plain(self, actions), strict=True))
        return tuple({**fine, **answer}.values())

    plain = ScriptedEnvs.step
    monkeypatch.setattr(TwistedEnvs, "step", step)
    with pytest.raises(EnvironmentFailure, match=rf"^task 'twisted' .*, step 1: {why}"):
        play(TwistedPolicy(SPACES["discrete"], actions([0, 0])))


def test_ends_may_be_lists_and_rewards_whole_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(self: Any, actions: Any) -> Any:
        shown, _, *_, infos = plain(self, actions)
        return shown, [1, 2], [False, False], [False, True], infos

    plain = ScriptedEnvs.step
    monkeypatch.setattr(TwistedEnvs, "step", step)
    play(TwistedPolicy(SPACES["discrete"], actions([0, 0])))
