"""Observations that are vectors, brought into the one form policies take: float32."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, flatten, flatten_space
from gymnasium.vector import VectorEnv

from crl_core.conversions import Conversion, convert_observations, float_box
from crl_core.errors import ExperimentError
from crl_core.images import shows_images

__all__ = ["vectors"]


def vectors(envs: Any, name: str) -> Any:
    """Return an environment, or a vector environment, whose observations are a float32 Box.

    A Box keeps its shape. Discrete, MultiDiscrete, MultiBinary and what Dict and Tuple make of them are flattened as
    Gymnasium does, a Discrete observation into a one-hot vector.

    Args:
        envs: a `gymnasium.Env` or `VectorEnv`.
        name: the environment's, for messages.

    Raises:
        ExperimentError: its observations are images, or cannot be flattened.
    """
    space = envs.single_observation_space if isinstance(envs, VectorEnv) else envs.observation_space
    if shows_images(space):
        raise ExperimentError(
            f"environment '{name}' shows images, {space}: use a task of type 'image', or add "
            "'gymnasium.wrappers:FlattenObservation' to 'wrappers'"
        )
    if isinstance(space, Box) and space.shape:
        if space.dtype == np.float32:
            return envs
        return convert_observations(envs, Conversion(float_box(space), lambda values: values.astype(np.float32)))
    flat = _flat_space(space)
    if flat is None:
        raise ExperimentError(
            f"environment '{name}' has the observation space {space}, which cannot be made one vector; add to "
            "'wrappers' one that leaves what should be seen"
        )
    if isinstance(envs, VectorEnv):
        raise ExperimentError(
            f"the vector environment of '{name}' has the observation space {space}, which is flattened only for one "
            "environment at a time; use vectorization in_process or processes"
        )
    return convert_observations(envs, Conversion(flat, lambda values: np.asarray(flatten(space, values), np.float32)))


def _flat_space(space: gymnasium.Space[Any]) -> Box | None:
    try:
        flat = flatten_space(space)
    except NotImplementedError:  # a kind of space that is not Gymnasium's own
        return None
    return float_box(flat) if isinstance(flat, Box) else None
