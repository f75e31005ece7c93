"""Gymnasium environments that show images, brought into the one form policies take: uint8, channels first, stacked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box
from gymnasium.wrappers import (
    FrameStackObservation,
    GrayscaleObservation,
    TimeLimit,
    TransformObservation,
)

from crl_core.errors import ExperimentError, PluginError
from crl_core.specs import load_object

__all__ = ["make_image_env"]

Env = gymnasium.Env[Any, Any]


def make_image_env(
    env_id: str,
    env_kwargs: Mapping[str, Any],
    *,
    image_size: tuple[int, int] | None,
    grayscale: bool,
    frame_stack: int,
    max_episode_steps: int | None,
) -> Env:
    """Return one environment whose observations are uint8 `[frame_stack * channels, height, width]`.

    Args:
        env_id: a registered Gymnasium id, or the `module:function` of a factory.
        env_kwargs: what the environment is made with.
        image_size: height and width to resize to; None keeps the size.
        grayscale: whether three colours become one grey channel; other channels are left as they are.
        frame_stack: how many of the latest frames are stacked; before an episode's start they are black.
        max_episode_steps: steps after which an episode is truncated, besides the environment's own limit.

    Raises:
        ExperimentError: the environment cannot be made, or does not show uint8 images `[height, width(, channels)]`.
    """
    env = _make(env_id, env_kwargs)
    space = env.observation_space
    if not (isinstance(space, Box) and space.dtype == np.uint8 and len(space.shape) in {2, 3}):
        env.close()
        raise ExperimentError(
            f"environment '{env_id}' does not show images: its observation space is {space}, not a uint8 Box of shape "
            "(height, width) or (height, width, channels). Name a factory that wraps it so that it does."
        )
    if max_episode_steps is not None:
        env = TimeLimit(env, max_episode_steps)
    if grayscale and space.shape[2:] == (3,):
        env = GrayscaleObservation(env)
    env = _channels_first(env)
    if image_size is not None:
        env = _resize(env, image_size)
    if frame_stack > 1:
        env = _fold_stack(FrameStackObservation(env, frame_stack, padding_type="zero"))
    return env


def _make(env_id: str, env_kwargs: Mapping[str, Any]) -> Env:
    is_factory = ":" in env_id and "/" not in env_id and "-v" not in env_id
    try:
        if is_factory:
            env: Env = load_object(env_id, owner="the task's 'env'")(**env_kwargs)
        else:
            env = gymnasium.make(env_id, **env_kwargs)
    except PluginError as error:
        raise ExperimentError(str(error)) from error
    except Exception as error:
        raise ExperimentError(f"environment '{env_id}' cannot be made: {type(error).__name__}: {error}") from error
    if not isinstance(env, gymnasium.Env):
        raise ExperimentError(f"'{env_id}' returned a {type(env).__name__}, where a gymnasium.Env was expected")
    return env


def _channels_first(env: Env) -> Env:
    def move(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        return image[None] if image.ndim == 2 else np.ascontiguousarray(np.moveaxis(image, -1, 0))

    shape = env.observation_space.shape or ()
    moved = (1, *shape) if len(shape) == 2 else (shape[2], *shape[:2])
    return TransformObservation(env, move, Box(0, 255, moved, np.uint8))


def _resize(env: Env, size: tuple[int, int]) -> Env:
    channels, height, width = env.observation_space.shape or ()
    rows, columns = _areas(size[0], height), _areas(size[1], width)

    def resize(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        resized: npt.NDArray[np.uint8] = np.rint(rows @ image.astype(np.float32) @ columns.T).astype(np.uint8)
        return resized

    return TransformObservation(env, resize, Box(0, 255, (channels, *size), np.uint8))


def _areas(new: int, old: int) -> npt.NDArray[np.float32]:
    """Return `[new, old]`, the share that each old pixel has in the area of each new one."""
    edges = np.linspace(0, old, new + 1)
    starts, ends, pixels = edges[:-1, None], edges[1:, None], np.arange(old)
    overlaps: npt.NDArray[np.float64] = np.clip(np.minimum(ends, pixels + 1) - np.maximum(starts, pixels), 0, None)
    shares: npt.NDArray[np.float32] = (overlaps / overlaps.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def _fold_stack(env: Env) -> Env:
    def fold(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        return images.reshape(-1, *images.shape[2:])

    frames, channels, height, width = env.observation_space.shape or ()
    return TransformObservation(env, fold, Box(0, 255, (frames * channels, height, width), np.uint8))
