"""Conversions between what an environment shows or takes and what policies do, for one environment or for many.

Letters in shapes: N environments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import VectorEnv
from gymnasium.wrappers import TransformAction, TransformObservation
from gymnasium.wrappers import vector as of_vectors

from crl_core.errors import ExperimentError

__all__ = ["Conversion", "convert_actions", "convert_observations", "float_box"]

Env = gymnasium.Env[Any, Any]
Envs = VectorEnv[Any, Any, Any]


@dataclass(frozen=True)
class Conversion:
    """How values change between an environment and a policy.

    Attributes:
        space: what policies see or give.
        function: what makes an observation one of `space`, or an action of `space` one of the environment's. Applied to
            one value, and to arrays of them, `[N, *shape]`, as well.
    """

    space: gymnasium.Space[Any]
    function: Callable[[Any], Any]


def convert_observations(envs: Env | Envs, conversion: Conversion) -> Any:
    """Return an environment, or a vector environment, with other observations."""
    if isinstance(envs, VectorEnv):
        return of_vectors.TransformObservation(envs, conversion.function, single_observation_space=conversion.space)
    return TransformObservation(envs, conversion.function, conversion.space)


def convert_actions(envs: Env | Envs, name: str) -> Any:
    """Return an environment, or a vector environment, whose actions are Discrete from 0 or a float32 Box.

    Args:
        envs: any.
        name: the environment's, for messages.

    Raises:
        ExperimentError: its actions are neither Discrete nor a bounded Box of floats.
    """
    space = envs.single_action_space if isinstance(envs, VectorEnv) else envs.action_space
    conversion = _action_conversion(space, name)
    if conversion.space == space:
        return envs
    if isinstance(envs, VectorEnv):
        return of_vectors.TransformAction(envs, conversion.function, single_action_space=conversion.space)
    return TransformAction(envs, conversion.function, conversion.space)


def _action_conversion(space: gymnasium.Space[Any], name: str) -> Conversion:
    if isinstance(space, Discrete):
        return Conversion(Discrete(int(space.n)), lambda action: action + space.start)
    if not (isinstance(space, Box) and np.issubdtype(space.dtype, np.floating)):
        raise ExperimentError(
            f"environment '{name}' has the action space {space}, and policies act in Discrete spaces or bounded Boxes "
            "of floats; add to 'wrappers' one that gives it such a space"
        )
    if not space.is_bounded():
        raise ExperimentError(
            f"environment '{name}' has the action space {space}, which has no bounds; add to 'wrappers' one that gives "
            "it bounds"
        )
    # a bound may have been rounded outwards
    return Conversion(float_box(space), lambda action: np.clip(np.asarray(action, space.dtype), space.low, space.high))


def float_box(space: Box) -> Box:
    """Return a Box in float32; bounds that it cannot hold become infinite."""

    def rounded(bound: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        with np.errstate(over="ignore"):
            return bound.astype(np.float32)

    return Box(rounded(space.low), rounded(space.high), space.shape, np.float32)
