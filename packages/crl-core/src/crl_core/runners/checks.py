"""What a policy's actions and an environment's answers must be, checked at every step, so that faults name authors.

Letters in shapes: N environments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Discrete
from torch import Tensor

from crl_core.errors import EnvironmentFailure, PluginError
from crl_core.plugins import origin
from crl_core.policy import Policy, TimestepData
from crl_core.task import Task

__all__ = ["StepChecks"]

Array = npt.NDArray[Any]


class _Form(NamedTuple):
    """What an array looks like."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


class StepChecks:
    """Checks what passes between a policy and the environments of a task.

    Attributes:
        steps: steps begun in each environment; messages name it.
    """

    def __init__(self, policy: Policy[Any], task: Task, num_envs: int, *, eval_mode: bool) -> None:
        """Make checks for `num_envs` environments, those of an evaluation or of training."""
        self.steps = 0
        self._where = "evaluation step" if eval_mode else "step"
        self._policy = policy
        self._task = task
        self._action_space = policy.action_spaces[task.action_space_id]
        self._inside = _inside(self._action_space)
        self.expect(num_envs)

    def expect(self, num_envs: int) -> None:
        """From now on, expect `num_envs` environments."""
        self._num_envs = num_envs
        self._actions_form = _batch_form(self._action_space, num_envs)
        self._observations_form = _batch_form(self._policy.observation_space, num_envs)

    def actions(self, data: object) -> Array:
        """Return the actions `[N, *act]` of what `compute_action` returned.

        Raises:
            PluginError: they are not as the action space says.
        """
        if not isinstance(data, TimestepData):
            raise self.fault(f"returned a {type(data).__name__}, where a TimestepData was expected")
        if not isinstance(data.actions, Tensor) or not data.actions.is_cpu or data.actions.requires_grad:
            raise self.fault("returned actions that are no tensor on the CPU without a gradient")
        actions: Array = data.actions.numpy()
        if (actions.shape, actions.dtype) != self._actions_form:
            found = _Form(actions.shape, actions.dtype)
            raise self.fault(f"returned actions {found}, where {self._actions_form} was expected")
        if not self._inside(actions):
            outside = next(index for index in range(len(actions)) if not self._inside(actions[index : index + 1]))
            raise self.fault(f"returned the action {actions[outside]}, which is not inside {self._action_space}")
        return actions

    def observations(self, observations: object) -> Array:
        """Return observations `[N, *obs]`.

        Raises:
            EnvironmentFailure: they are not as the observation space says, or not finite.
        """
        if not isinstance(observations, np.ndarray):
            raise self.failure(f"observations are of type {type(observations).__name__}, not one array")
        if (observations.shape, observations.dtype) != self._observations_form:
            found = _Form(observations.shape, observations.dtype)
            raise self.failure(f"observations are {found}, where the space says {self._observations_form}")
        if observations.dtype.kind == "f" and not _all_finite(observations):
            raise self.failure(f"environment {_first_not_finite(observations)} shows NaN or infinity")
        return observations

    def rewards(self, rewards: object) -> npt.NDArray[np.float32]:
        """Return rewards as float32 `[N]`, copied, as environments may use their array again.

        Raises:
            EnvironmentFailure: they are no numbers, of another shape, or not finite.
        """
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is told
            checked = self._copied("rewards", rewards, np.float32)
        if not _all_finite(checked):
            environment = _first_not_finite(checked)
            raise self.failure(f"environment {environment} gave the reward {checked[environment]}")
        return checked

    def flags(self, name: str, flags: object) -> npt.NDArray[np.bool_]:
        """Return flags as bool `[N]`, copied, as environments may use their array again.

        Raises:
            EnvironmentFailure: they are of another shape.
        """
        return self._copied(name, flags, np.bool_)

    def _copied(self, name: str, values: Any, dtype: Any) -> Array:
        try:
            copied: Array = np.array(values, dtype)
        except (TypeError, ValueError) as error:
            raise self.failure(f"{name} cannot be read as {np.dtype(dtype)} [{self._num_envs}]: {error}") from error
        if copied.shape != (self._num_envs,):
            raise self.failure(f"{name} are {list(copied.shape)}, where [{self._num_envs}] was expected")
        return copied

    def raised(self, where: str, error: Exception) -> EnvironmentFailure:
        """Return the failure of environments that raised."""
        return self.failure(
            f"an environment raised in {where}(): {type(error).__name__}: {error}. log.txt has the traceback"
        )

    def failure(self, what: str) -> EnvironmentFailure:
        """Return a failure of the environments, which names the task, whose it is and the step."""
        return EnvironmentFailure(
            f"task '{self._task.id}' ({self._task.made_by()}), {self._where} {self.steps}: {what}"
        )

    def fault(self, what: str) -> PluginError:
        """Return a fault of the policy, which names it, its package, the task and the step."""
        return PluginError(
            f"task '{self._task.id}', {self._where} {self.steps}: compute_action of {origin(type(self._policy))} "
            f"{what}. Update that package, or report this to its authors."
        )


def _inside(space: Any) -> Callable[[Array], bool]:
    """Return what tells whether actions `[N, *act]` all lie inside a space, Discrete or Box."""
    if isinstance(space, Discrete):
        number = int(space.n)
        return lambda actions: min(actions.tolist()) >= 0 and max(actions.tolist()) < number  # faster than arrays
    return lambda actions: bool(((actions >= space.low) & (actions <= space.high)).all())  # neither is true of NaN


def _batch_form(space: gymnasium.Space[Any], num_envs: int) -> _Form:
    return _Form((num_envs, *(space.shape or ())), space.dtype)


def _all_finite(values: Array) -> bool:
    # the quick look errs where squares are too large for the dtype
    return math.isfinite(np.vdot(values, values)) or bool(np.isfinite(values).all())


def _first_not_finite(values: Array) -> int:
    """Return the first environment with a value that is NaN or infinite, of values `[N, ...]`."""
    return int(np.argwhere(~np.isfinite(values))[0, 0])
