"""The contract of a task's vector environments, checked by playing at random: `check_vector_envs`.

Letters in shapes: N environments.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from crl_core.seeding import environment_seeds
from crl_core.task import Task
from crl_core.testing.checks import NotApplicable
from crl_core.testing.contracts import fail_if

__all__ = [
    "autoreset",
    "check_vector_envs",
    "close_twice",
    "evaluation_limit",
    "last_observation",
    "seeding",
    "spaces",
]

_NUM_ENVS = 3
_FEW_ROWS = 30
_MANY_ROWS = 1000  # in which an episode should have ended
_ENDS = 10  # enough of them to judge by
_LIMIT = 3

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Row:
    """What one step of N environments gave, copied; `before` is what they showed until then."""

    before: npt.NDArray[Any]
    actions: npt.NDArray[Any]
    observations: npt.NDArray[Any]
    rewards: Any
    terminated: Any
    truncated: Any
    infos: dict[str, Any]

    @property
    def done(self) -> Bools:
        ends: Bools = self.terminated | self.truncated
        return ends

    @property
    def over(self) -> Bools:
        """Which games really ended."""
        over: Bools = self.infos.get("episode_over", self.done)
        return over


def check_vector_envs(task: Task) -> None:
    """Check every rule that a task's vector environments have to keep; see `crl_core.Task.make_envs`.

    Raises:
        CheckFailure: one is broken.
    """
    for check in (spaces, autoreset, seeding, last_observation, evaluation_limit, close_twice):
        with contextlib.suppress(NotApplicable):
            check(task)


def spaces(task: Task) -> None:
    """Vector environments show what the task's spaces say, in shapes, dtypes and bounds, and reset themselves."""
    with _open(task) as envs:
        fail_if(envs.num_envs != _NUM_ENVS, f"asked for {_NUM_ENVS} environments, make_envs returned {envs.num_envs}")
        mode = envs.metadata.get("autoreset_mode")
        fail_if(
            mode != AutoresetMode.NEXT_STEP,
            f"metadata['autoreset_mode'] is {mode}; make the environments with AutoresetMode.NEXT_STEP",
        )
        for name, single, own in (
            ("observation", envs.single_observation_space, task.observation_space),
            ("action", envs.single_action_space, task.action_space),
        ):
            fail_if(single != own, f"the {name} space of the environments is {single}, but that of the task {own}")
        for row in _play(envs, task, _FEW_ROWS):
            _check_row(row, task.observation_space)


def autoreset(task: Task) -> None:
    """After an episode's end comes one row that is the reset, whose action is ignored, and which is no step.

    Where infos have `is_reset` and `episode_over` they tell it; else every `terminated | truncated` is such an end.
    """
    ends = 0
    shown_again = []
    with _open(task) as envs:
        for last, row in itertools.pairwise(_play(envs, task, _MANY_ROWS)):
            _check_reset_row(last, row)
            moved = [bool((last.before[n] != last.observations[n]).any()) for n in np.flatnonzero(last.over)]
            same = [bool((row.observations[n] == last.observations[n]).all()) for n in np.flatnonzero(last.over)]
            shown_again += [move and again for move, again in zip(moved, same, strict=True)]
            ends += int(last.over.sum())
            if ends >= _ENDS:
                break
    if not ends:
        raise NotApplicable(f"not seen: in {_MANY_ROWS} steps of {_NUM_ENVS} environments no episode ended")
    fail_if(
        ends >= _ENDS and all(shown_again),
        "at an episode's end the environments already show the next one's first observation; show the true last one "
        "there, and the new one with the reset row after it",
    )


def last_observation(task: Task) -> None:
    """Vector environments show what the task's single ones do, the last observation of every episode included."""
    make_env = getattr(task, "make_env", None)
    if make_env is None or task.vectorization == "native":
        raise NotApplicable("these environments do not come as single ones to compare with")
    env: gymnasium.Env[Any, Any] = make_env(evaluation=False)
    with _open(task) as envs, contextlib.closing(env):
        shown, _ = env.reset(seed=int(_seeds(0)[0]))
        was_over = False
        for step, row in enumerate(_play(envs, task, 10 * _FEW_ROWS)):
            fail_if(
                (row.before[0] != shown).any(),
                f"at step {step} the vector environment does not show what the single one does"
                + (", which is the true last observation of an episode" if was_over else ""),
            )
            shown, was_over = _step_or_reset(env, row.actions[0], reset=was_over)


def seeding(task: Task) -> None:
    """The same seeds give the same trajectory, other seeds another, and a later reset begins something new.

    Seeds come with the first `reset()`, which names none. One that seeded again would repeat the same episodes.
    """
    first, same, other = (_trajectory(task, seed) for seed in (0, 0, 1))
    fail_if(
        not _alike(first, same),
        "the same seeds and actions gave another trajectory; draw everything random from what `seeds` seeds",
    )
    if _alike(first, other):
        raise NotApplicable("not seen: other seeds changed nothing, so there may be nothing random here")
    with _open(task) as envs:
        list(_play(envs, task, _FEW_ROWS))  # as some environments draw nothing until they are stepped
        again = list(_play(envs, task, _FEW_ROWS))
    fail_if(
        _alike(first, again),
        "a second reset() begins the same episode as the first; pass the seeds to the first reset() alone (see "
        "crl_core.task.SeededReset)",
    )


def evaluation_limit(task: Task) -> None:
    """In evaluation every episode is over after `eval_max_steps`, cut off where it did not end by itself."""
    limited = task.model_copy(update={"eval_max_steps": _LIMIT})
    lengths = np.zeros(_NUM_ENVS, np.int64)
    with _open(limited, evaluation=True) as envs:
        last: _Row | None = None
        for row in _play(envs, limited, _FEW_ROWS):
            if last is not None:
                _check_reset_row(last, row)
            was_over = last.over if last is not None else np.zeros(_NUM_ENVS, np.bool_)
            lengths += ~was_over
            late = (lengths >= _LIMIT) & ~row.over & ~was_over
            fail_if(
                late.any(),
                f"with eval_max_steps {_LIMIT} and evaluation=True an episode went on past {_LIMIT} steps; truncate it "
                "(gymnasium.wrappers.TimeLimit around each environment)",
            )
            lengths[row.over] = 0
            last = row


def close_twice(task: Task) -> None:
    """Vector environments can be closed twice, and before they were reset."""
    for play in (False, True):
        envs = task.make_envs(_NUM_ENVS, seeds=_seeds(0), evaluation=False)
        if play:
            envs.reset()
        envs.close()
        envs.close()


def _seeds(seed: int) -> npt.NDArray[np.int32]:
    return environment_seeds(np.random.SeedSequence(seed), _NUM_ENVS)


@contextlib.contextmanager
def _open(task: Task, *, seed: int = 0, evaluation: bool = False) -> Iterator[VectorEnv[Any, Any, Any]]:
    envs = task.make_envs(_NUM_ENVS, seeds=_seeds(seed), evaluation=evaluation)
    try:
        yield envs
    finally:
        envs.close()


def _play(envs: VectorEnv[Any, Any, Any], task: Task, steps: int) -> Iterator[_Row]:
    """Reset, and act at random, the same way every time."""
    actions = batch_space(task.action_space, _NUM_ENVS)
    actions.seed(0)
    observations, _ = envs.reset()
    for _ in range(steps):
        before, chosen = np.array(observations), actions.sample()
        observations, rewards, terminated, truncated, infos = envs.step(chosen)
        yield _Row(before, chosen, np.array(observations), rewards, terminated, truncated, infos)


def _trajectory(task: Task, seed: int) -> list[_Row]:
    with _open(task, seed=seed) as envs:
        return list(_play(envs, task, _FEW_ROWS))


def _alike(one: list[_Row], other: list[_Row]) -> bool:
    return all(
        np.array_equal(getattr(mine, name), getattr(theirs, name))
        for mine, theirs in zip(one, other, strict=True)
        for name in ("before", "observations", "rewards", "terminated", "truncated")
    )


def _step_or_reset(env: gymnasium.Env[Any, Any], action: Any, *, reset: bool) -> tuple[Any, bool]:
    if reset:
        return env.reset()[0], False
    observation, _, terminated, truncated, _ = env.step(action)
    return observation, terminated or truncated


def _check_row(row: _Row, space: gymnasium.Space[Any]) -> None:
    shape, dtype = (_NUM_ENVS, *(space.shape or ())), space.dtype
    for what, observations in (("reset()", row.before), ("step()", row.observations)):
        fail_if(
            observations.shape != shape or observations.dtype != dtype,
            f"observations from {what} are {observations.dtype} {observations.shape}, but the space says {dtype} "
            f"{shape}",
        )
        fail_if(
            not all(space.contains(observation) for observation in observations),
            f"an observation from {what} lies outside {space}",
        )
    flags: dict[str, Any] = {"terminated": row.terminated, "truncated": row.truncated}
    flags.update((name, row.infos[name]) for name in ("is_reset", "episode_over") if name in row.infos)
    for name, flag in flags.items():
        fail_if(
            getattr(flag, "shape", None) != (_NUM_ENVS,) or flag.dtype != np.bool_,
            f"{name} is {getattr(flag, 'dtype', type(flag).__name__)} {getattr(flag, 'shape', '')}; it has to be a "
            f"bool array ({_NUM_ENVS},)",
        )
    rewards = np.asarray(row.rewards)
    fail_if(
        rewards.shape != (_NUM_ENVS,) or rewards.dtype.kind not in "fiu" or not np.isfinite(rewards).all(),
        f"rewards are {rewards.dtype} {rewards.shape}, {rewards}; they have to be {_NUM_ENVS} finite numbers",
    )


def _check_reset_row(last: _Row, row: _Row) -> None:
    """Check a row by what the one before it said."""
    fail_if(
        (last.over & ~last.done).any(),
        "infos['episode_over'] is true where neither terminated nor truncated is; the end of a game is an end",
    )
    is_reset = row.infos.get("is_reset", last.over)
    fail_if(
        (is_reset != last.over).any(),
        "infos['is_reset'] is not true exactly in the row after a game was over (infos['episode_over'], or where that "
        "is absent terminated | truncated)",
    )
    fail_if(
        (is_reset & (row.done | (np.asarray(row.rewards) != 0))).any(),
        "the row after an episode's end has a reward or is an end itself; with NEXT_STEP autoreset it is the reset, "
        "whose reward is 0",
    )
