"""Evaluation: fixed quotas of whole games, training untouched, and nothing that can hang."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any, Literal

import numpy as np
import pytest
import torch
from tests.crl_core.scripted import Row, ScriptedEnvs, ScriptedTask, TellingData, TellingPolicy
from tests.crl_core.small_runs import guessing_policy, scripted_task

from crl_core.errors import EnvironmentFailure
from crl_core.evaluation import EvaluationProgress, episode_quotas, evaluate
from crl_core.gymnasium_tasks import ImageTask
from crl_core.policy import Policy, TimestepData
from crl_core.runners.base import Episode
from crl_core.task import SeededReset, Task


def play(policy: Policy[Any], *tasks: Task, on_progress: Any = lambda progress: None) -> dict[int, list[Any]]:
    seeds = {index: np.random.SeedSequence([1, index]) for index in range(len(tasks))}
    return evaluate(policy, dict(enumerate(tasks)), seeds=seeds, on_progress=on_progress)


@pytest.mark.parametrize(
    ("episodes", "envs", "quotas"), [(10, 10, [1] * 10), (10, 4, [3, 3, 2, 2]), (2, 3, [1, 1, 0]), (1, 1, [1])]
)
def test_quotas(episodes: int, envs: int, quotas: list[int]) -> None:
    assert episode_quotas(episodes, envs) == quotas


def test_an_environment_with_short_episodes_counts_no_more_than_another() -> None:
    # while the second plays one game, the first plays five; taking the first to end would give 1.0 and not 5.5
    (episodes,) = play(TellingPolicy(num_envs=2, num_steps=3), scripted_task(continual_eval_num_returns=6)).values()

    assert sorted(each.episode_return for each in episodes) == [1, 1, 1, 10, 10, 10]
    assert [each.environment for each in episodes].count(0) == 3
    assert {each.length for each in episodes} == {1, 10}


def test_an_odd_number_of_episodes_is_exact() -> None:
    (episodes,) = play(TellingPolicy(num_envs=2), scripted_task(continual_eval_num_returns=5)).values()
    assert sorted(each.episode_return for each in episodes) == [1, 1, 1, 10, 10]


def test_tasks_are_told_apart() -> None:
    one = scripted_task("one", [Row(2.0, terminated=True), Row()], continual_eval_num_returns=3)
    other = scripted_task("other", [Row(7.0, truncated=True), Row()], continual_eval_num_returns=2)
    found = play(TellingPolicy(num_envs=1), one, other)
    assert {index: [each.episode_return for each in episodes] for index, episodes in found.items()} == {
        0: [2, 2, 2],
        1: [7, 7],
    }


class SeparableEnvs(ScriptedEnvs):
    """Scripted environments that can be stepped apart."""

    def __init__(self, scripts: Any) -> None:
        super().__init__(scripts)
        self.numbers = list(range(len(scripts)))

    def keep(self, environments: list[int]) -> None:
        self.scripts = [self.scripts[n] for n in environments]
        self.numbers = [self.numbers[n] for n in environments]
        self.num_envs = len(environments)

    def _show(self) -> Any:
        return np.array([[100 * n + self._clock] for n in self.numbers], np.float32)


class SeparableTask(ScriptedTask):
    def make_envs(self, num_envs: int, *, seeds: Any, evaluation: bool) -> Any:
        MADE.append(SeparableEnvs(self.scripts))
        return SeededReset(MADE[-1], seeds)


MADE: list[SeparableEnvs] = []


def test_environments_that_have_played_their_episodes_are_stepped_no_more() -> None:
    scripts = (
        (Row(), Row(1.0, terminated=True)),
        (*[Row()] * 9, Row(2.0, terminated=True)),
        (*[Row()] * 4, Row(3.0, terminated=True)),
    )
    settings: dict[str, Any] = {"id": "apart", "num_timesteps": 1, "continual_eval_num_returns": 3, "scripts": scripts}
    policy = TellingPolicy(num_envs=3, num_steps=1)
    (episodes,) = play(policy, SeparableTask(**settings)).values()
    (together,) = play(TellingPolicy(num_envs=3, num_steps=1), ScriptedTask(**settings)).values()

    assert episodes == together == [Episode(0, 1, 2), Episode(2, 3, 5), Episode(1, 2, 10)]
    assert [len(actions) for actions in MADE[-1].received] == [3] * 2 + [2] * 3 + [1] * 5
    assert MADE[-1].received[5] == [105 % 4]
    handed_back = MADE[-1].num_envs, policy.handed_back[5]
    assert handed_back[0] == 1
    assert isinstance(handed_back[1], TellingData)
    assert handed_back[1].seen.tolist() == [104]
    assert handed_back[1].actions.tolist() == [0]
    assert handed_back[1].rewards is not None
    assert handed_back[1].rewards.tolist() == [0]


def test_an_endless_one_among_others_that_are_done_is_told_soon() -> None:
    scripts = (*[(Row(terminated=True), Row())] * 9, (Row(1.0),))
    task = SeparableTask(
        id="endless", num_timesteps=1, continual_eval_num_returns=10, scripts=scripts, eval_max_steps=100
    )
    with pytest.raises(EnvironmentFailure, match=r"went on past eval_max_steps \(100\)"):
        play(TellingPolicy(num_envs=10, num_steps=4), task)
    assert len(MADE[-1].received) <= 101 + 4


class Unkeeping(SeparableEnvs):
    def keep(self, environments: list[int]) -> None:
        raise ValueError("they cling together")


class UnkeepingTask(ScriptedTask):
    def make_envs(self, num_envs: int, *, seeds: Any, evaluation: bool) -> Any:
        return Unkeeping(self.scripts)


def test_environments_that_cannot_be_parted_after_all_are_named() -> None:
    scripts = ((Row(terminated=True), Row()), (*[Row()] * 9, Row(terminated=True)))
    task = UnkeepingTask(id="clinging", num_timesteps=1, continual_eval_num_returns=2, scripts=scripts)
    with pytest.raises(EnvironmentFailure, match=r"task 'clinging' .* raised in keep\(\): ValueError: they cling"):
        play(TellingPolicy(num_envs=2, num_steps=1), task)


@dataclasses.dataclass(kw_only=True)
class OddData(TimestepData):
    """What a policy may add that is no tensor."""

    note: tuple[int, ...]
    missing: torch.Tensor | None = None
    made: int = dataclasses.field(init=False, default=3)


def test_rows_of_timestep_data_leave_alone_what_is_no_tensor() -> None:
    data = OddData(actions=torch.arange(3), note=(7, 8), rewards=torch.tensor([0.5, 1.5, 2.5]))
    kept = data.rows(torch.tensor([0, 2]))
    assert kept.actions.tolist() == [0, 2]
    assert kept.rewards is not None
    assert kept.rewards.tolist() == [0.5, 2.5]
    assert (kept.note, kept.missing, kept.made, kept.is_reset) == ((7, 8), None, 3, None)
    assert data.actions.tolist() == [0, 1, 2]


def test_players_share_torchs_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(4)), raising=False)
    seen: list[int] = []

    class Watching(TellingPolicy):
        def compute_action(self, *args: Any, **kwargs: Any) -> TellingData:
            seen.append(torch.get_num_threads())
            return super().compute_action(*args, **kwargs)

    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        play(Watching(num_envs=1), *(scripted_task(f"{n}", [Row(terminated=True), Row()]) for n in range(2)))
        assert set(seen) == {2}
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_no_tasks_are_no_episodes() -> None:
    assert play(TellingPolicy()) == {}


def test_a_lost_life_does_not_end_an_episode() -> None:
    alive = {"is_reset": False, "episode_over": False}
    rows = [
        Row(1.0, terminated=True, **alive),
        Row(2.0, **alive),
        Row(4.0, terminated=True, is_reset=False, episode_over=True),
        Row(0.0, is_reset=True, episode_over=False),
    ]
    (episodes,) = play(TellingPolicy(num_envs=1), scripted_task("lives", rows, continual_eval_num_returns=2)).values()
    assert [each.episode_return for each in episodes] == [7, 7]


def test_the_same_seed_plays_the_same_games_whatever_was_trained_in_between() -> None:
    task = catch()
    policy = guessing_policy(task)
    first = play(policy, task)
    torch.rand(7, generator=policy.generator)
    assert play(policy, task) == first


def test_training_state_is_left_as_it_was() -> None:
    policy = guessing_policy(catch())
    policy.network.weight.grad = torch.ones(1, 1)
    policy.optimizer.step()  # so that there is momentum
    before = flat(policy.state_dict())
    global_state = torch.get_rng_state()

    play(policy, catch())

    after = flat(policy.state_dict())
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(value, after[name]) if isinstance(value, torch.Tensor) else value == after[name], name
    assert torch.equal(policy.network.weight.grad, torch.ones(1, 1))
    assert policy.network.training
    assert policy.network.weight.requires_grad
    assert torch.equal(torch.get_rng_state(), global_state)


def test_progress_is_told_to_the_end() -> None:
    told: list[EvaluationProgress] = []
    play(TellingPolicy(num_envs=2), scripted_task(continual_eval_num_returns=6), on_progress=told.append)
    assert (told[-1].episodes, told[-1].num_episodes) == (6, 6)
    assert told[-1].steps >= 33


def test_eval_max_steps_ends_the_episodes_of_image_tasks() -> None:
    task = catch(eval_max_steps=3)
    (episodes,) = play(guessing_policy(task), task).values()
    assert {each.length for each in episodes} == {3}
    assert {each.episode_return for each in episodes} == {0.0}


def test_an_environment_that_never_ends_is_a_failure_that_names_the_task() -> None:
    endless = scripted_task("endless", [Row(1.0)], eval_max_steps=20, continual_eval_num_returns=1)
    with pytest.raises(EnvironmentFailure, match=r"task 'endless': .* went on past eval_max_steps \(20\)"):
        play(TellingPolicy(num_envs=1), endless)


def test_an_episode_of_exactly_eval_max_steps_is_fine() -> None:
    script = [*[Row(1.0)] * 19, Row(1.0, truncated=True), Row()]
    task = scripted_task("long", script, eval_max_steps=20, continual_eval_num_returns=3)
    (episodes,) = play(TellingPolicy(num_envs=1, num_steps=7), task).values()
    assert [each.length for each in episodes] == [20, 20, 20]


class WatchedTask(ScriptedTask):
    """Fails where it is told to, and remembers its environments."""

    type: Literal["watched"] = "watched"  # type: ignore[assignment]  # a type of its own
    fails_in: Literal["make_envs", "reset", "step", ""] = ""

    def make_envs(self, num_envs: int, *, seeds: Any, evaluation: bool) -> Any:
        def fail(*args: Any, **kwargs: Any) -> Any:
            raise ValueError("the joystick broke")

        if self.fails_in == "make_envs":
            fail()
        envs = super().make_envs(num_envs, seeds=seeds, evaluation=evaluation)
        if self.fails_in:
            setattr(envs, self.fails_in, fail)
        made.append(envs)
        return envs


made: list[ScriptedEnvs] = []


@pytest.mark.parametrize("where", ["make_envs", "reset", "step"])
def test_an_environment_that_raises_is_named_and_closed(where: Any) -> None:
    made.clear()
    task = WatchedTask(id="broken", num_timesteps=1, scripts=((Row(),),), fails_in=where)
    healthy = scripted_task("endless", [Row(1.0)], eval_max_steps=10**9, continual_eval_num_returns=1)

    with pytest.raises(EnvironmentFailure) as raised:
        play(TellingPolicy(num_envs=1), healthy, task)

    what = f"an environment raised in {where}(): ValueError: the joystick broke. log.txt has the traceback"
    assert str(raised.value) == f"task 'broken' (WatchedTask of tests), evaluation step {int(where == 'step')}: {what}"
    assert isinstance(raised.value.__cause__, ValueError)
    assert all(envs.closed for envs in made)
    assert evaluation_threads() == []


def test_what_progress_raises_ends_the_evaluation_and_its_threads() -> None:
    class AskedToStopError(Exception):
        pass

    def stop(progress: EvaluationProgress) -> None:
        if made:  # the first call comes before there are any environments
            raise AskedToStopError

    made.clear()
    tasks = [
        WatchedTask(id=f"endless{index}", num_timesteps=1, scripts=((Row(1.0),),), eval_max_steps=10**9)
        for index in range(9)  # more than there are threads, so that some are not begun
    ]
    with pytest.raises(AskedToStopError):
        play(TellingPolicy(num_envs=1), *tasks, on_progress=stop)
    assert evaluation_threads() == []
    assert made
    assert all(envs.closed for envs in made)


def catch(**fields: Any) -> ImageTask:
    values = {"num_timesteps": 1, "continual_eval_num_returns": 6, "eval_max_steps": 6, **fields}
    return ImageTask(id="catch", env="crl_core.tutorial:Catch", **values)


def flat(state: Any, name: str = "") -> dict[str, Any]:
    """Return every leaf of nested containers, tensors copied."""
    if isinstance(state, dict):
        return {key: value for k, v in state.items() for key, value in flat(v, f"{name}.{k}").items()}
    if isinstance(state, list):
        return {key: value for i, v in enumerate(state) for key, value in flat(v, f"{name}.{i}").items()}
    return {name: state.clone() if isinstance(state, torch.Tensor) else state}


def evaluation_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("evaluation")]
