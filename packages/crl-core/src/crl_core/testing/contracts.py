"""What runners and policies hand each other, checked: `check_rollout` and `check_timestep_data`.

Letters in shapes: T steps, N columns.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from crl_core.policy import Policy, TimestepData
from crl_core.rollout import Rollout
from crl_core.runners.checks import StepChecks
from crl_core.task import Task
from crl_core.testing.checks import CheckFailure

__all__ = ["check_rollout", "check_timestep_data", "fail_if", "torch_dtype"]


def torch_dtype(space: gymnasium.Space[Any]) -> torch.dtype:
    """Return the torch dtype of a space's samples; discrete actions are int64."""
    dtype = np.dtype(space.dtype if space.dtype is not None else np.float32)
    return torch.from_numpy(np.empty(0, dtype)).dtype


def fail_if(wrong: object, message: str) -> None:
    """Raise `CheckFailure` with the message if something is wrong.

    Raises:
        CheckFailure: `wrong` is true.
    """
    if wrong:
        raise CheckFailure(message)


def check_timestep_data(data: object, policy: Policy[Any], task: Task, num_envs: int) -> None:
    """Check what a policy's `compute_action` returned for `num_envs` observations of a task.

    Raises:
        CheckFailure: a field is no tensor that a runner can stack over time.
        PluginError: it is no `TimestepData`, or its actions lie outside the task's action space.
    """
    StepChecks(policy, task, num_envs, eval_mode=False).actions(data)
    assert isinstance(data, TimestepData)
    for name, value in data.extras().items():
        fail_if(not isinstance(value, Tensor), f"compute_action: {name} is a {type(value).__name__}, not a tensor")
        fail_if(
            value.device.type != "cpu" or value.requires_grad,
            f"compute_action: {name} is on {value.device} and requires_grad is {value.requires_grad}; return tensors "
            "on the CPU that hold no graph (decorate it with @torch.inference_mode(), end with .cpu())",
        )
        fail_if(
            value.shape[:1] != (num_envs,),
            f"compute_action: {name} has shape {tuple(value.shape)} for {num_envs} observations; its first dimension "
            "has to be one per observation, for the runner to stack over time",
        )


def check_rollout(
    rollout: Rollout, *, observation_space: gymnasium.Space[Any], action_space: gymnasium.Space[Any]
) -> None:
    """Check that a rollout is what `crl_core.Rollout` says: shapes, dtypes, and what its fields say about each other.

    Raises:
        CheckFailure: something is not.
    """
    _check_shapes(rollout, observation_space, action_space)
    ended = rollout.terminated | rollout.truncated
    fail_if(
        (ended & ~rollout.valid).any(),
        "a row that is a reset (valid is false) is also terminated or truncated; a reset ends nothing",
    )
    fail_if(
        (~rollout.valid[1:] & ~ended[:-1]).any(),
        "a row is not valid although no episode ended with the row before; only a reset is invalid",
    )
    fail_if(
        (rollout.num_actions != (int(action_space.n) if isinstance(action_space, Discrete) else 0)).any(),
        f"num_actions is {rollout.num_actions.tolist()}, but the action space is {action_space}",
    )
    _check_carried("last_actions", rollout.last_actions, rollout.actions, rollout.valid)
    _check_carried("last_rewards", rollout.last_rewards, rollout.rewards, rollout.valid)


def _check_shapes(
    rollout: Rollout, observation_space: gymnasium.Space[Any], action_space: gymnasium.Space[Any]
) -> None:
    steps, columns = rollout.valid.shape
    observation = (observation_space.shape or (), torch_dtype(observation_space))
    action = (action_space.shape or (), torch_dtype(action_space))
    wanted: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
        "observations": ((steps + 1, columns, *observation[0]), observation[1]),
        "actions": ((steps, columns, *action[0]), action[1]),
        "rewards": ((steps, columns), torch.float32),
        "terminated": ((steps, columns), torch.bool),
        "truncated": ((steps, columns), torch.bool),
        "valid": ((steps, columns), torch.bool),
        "last_actions": ((steps + 1, columns, *action[0]), action[1]),
        "last_rewards": ((steps + 1, columns), torch.float32),
        "num_actions": ((columns,), torch.int64),
        "policy_version": ((columns,), torch.int64),
    }
    for name, (shape, dtype) in wanted.items():
        value: Tensor = getattr(rollout, name)
        fail_if(
            tuple(value.shape) != shape or value.dtype != dtype,
            f"rollout.{name} is {value.dtype} {tuple(value.shape)}; with {steps} steps and {columns} columns it has to "
            f"be {dtype} {shape}",
        )
    for name, value in rollout.extras.items():
        fail_if(
            tuple(value.shape[:2]) != (steps, columns),
            f"rollout.extras['{name}'] has shape {tuple(value.shape)}; it has to begin with {(steps, columns)}",
        )
    fail_if(len(rollout.task_id) != columns, f"rollout.task_id names {len(rollout.task_id)} of {columns} columns")


def _check_carried(name: str, carried: Tensor, source: Tensor, valid: Tensor) -> None:
    """Check that row t + 1 carries the action or reward of row t, or zero where row t is a reset."""
    keep = valid.reshape(*valid.shape, *[1] * (source.ndim - 2))
    wrong = (carried[1:] != source * keep).reshape(*valid.shape, -1).any(dim=-1)
    if wrong.any():
        row, column = (int(index) for index in wrong.nonzero()[0])
        raise CheckFailure(
            f"rollout.{name}[{row + 1}, {column}] is {carried[row + 1, column].tolist()}, but row {row} of "
            f"{name.removeprefix('last_')} is {source[row, column].tolist()} and "
            f"{'valid' if valid[row, column] else 'a reset, which carries zero'}"
        )
