"""Observations that are images, brought into the one form policies take: uint8, channels first, stacked.

Letters in shapes: N environments, H height, W width, C channels, K frames; `...` is N or nothing.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers import FrameStackObservation

from crl_core.conversions import Conversion, convert_observations
from crl_core.errors import ExperimentError

__all__ = ["images", "shows_images"]

_LUMINANCE = np.array([0.2125, 0.7154, 0.0721])  # of red, green and blue, as in Gymnasium's GrayscaleObservation

Image = npt.NDArray[np.uint8]


def shows_images(space: gymnasium.Space[Any]) -> bool:
    """Tell whether observations are uint8 `[H, W]` or `[H, W, C]`."""
    return isinstance(space, Box) and space.dtype == np.uint8 and len(space.shape) in {2, 3}


def images(envs: Any, name: str, *, image_size: tuple[int, int] | None, grayscale: bool, frame_stack: int) -> Any:
    """Return an environment, or a vector environment, whose observations are uint8 `[K * C, H, W]`.

    Args:
        envs: a `gymnasium.Env`, or a `VectorEnv` with NEXT_STEP autoreset.
        name: the environment's, for messages.
        image_size: height and width to resize to; None keeps the size.
        grayscale: whether three colours become one grey channel; other channels are left as they are.
        frame_stack: how many of the latest frames are stacked; before an episode's start they are black.

    Raises:
        ExperimentError: it does not show uint8 images `[H, W]` or `[H, W, C]`.
    """
    space = envs.single_observation_space if isinstance(envs, VectorEnv) else envs.observation_space
    if not shows_images(space):
        raise ExperimentError(
            f"environment '{name}' does not show images: its observation space is {space}, not a uint8 Box of shape "
            "(height, width) or (height, width, channels). Use a task of type 'vector', or add to 'wrappers' one that "
            "shows images."
        )
    envs = convert_observations(envs, _conversion(space.shape or (), image_size, grayscale=grayscale))
    if frame_stack == 1:
        return envs
    return _StackedEnvs(envs, frame_stack) if isinstance(envs, VectorEnv) else _stacked(envs, frame_stack)


def _conversion(shape: tuple[int, ...], image_size: tuple[int, int] | None, *, grayscale: bool) -> Conversion:
    height, width, *channels = shape
    to_grey = grayscale and channels == [3]
    size = image_size or (height, width)
    rows, columns = _areas(size[0], height), _areas(size[1], width)

    def convert(image: Image) -> Image:  # [..., H, W] or [..., H, W, C] -> [..., C, H, W]
        if to_grey:
            image = np.sum(image * _LUMINANCE, axis=-1).astype(np.uint8)
        image = np.moveaxis(image, -1, -3) if channels and not to_grey else image[..., None, :, :]
        if size != (height, width):
            image = np.rint(rows @ image.astype(np.float32) @ columns.T).astype(np.uint8)
        return np.ascontiguousarray(image)

    num_channels = 1 if to_grey or not channels else channels[0]
    return Conversion(Box(0, 255, (num_channels, *size), np.uint8), convert)


def _areas(new: int, old: int) -> npt.NDArray[np.float32]:
    """Return `[new, old]`, the share that each old pixel has in the area of each new one."""
    edges = np.linspace(0, old, new + 1)
    starts, ends, pixels = edges[:-1, None], edges[1:, None], np.arange(old)
    overlaps: npt.NDArray[np.float64] = np.clip(np.minimum(ends, pixels + 1) - np.maximum(starts, pixels), 0, None)
    shares: npt.NDArray[np.float32] = (overlaps / overlaps.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def _stacked(env: gymnasium.Env[Any, Any], frames: int) -> Any:
    stacked = FrameStackObservation(env, frames, padding_type="zero")  # [K, C, H, W]
    channels, *size = env.observation_space.shape or ()
    space = Box(0, 255, (frames * channels, *size), np.uint8)
    return convert_observations(stacked, Conversion(space, lambda images: images.reshape(space.shape)))


class _StackedEnvs(VectorWrapper[Any, Any, Any, Any, Any]):
    """Shows the latest frames of each environment, `[N, K * C, H, W]`."""

    def __init__(self, envs: VectorEnv[Any, Any, Any], frames: int) -> None:
        super().__init__(envs)
        self._channels, *size = envs.single_observation_space.shape or ()
        self.single_observation_space = Box(0, 255, (frames * self._channels, *size), np.uint8)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self._frames = np.zeros((self.num_envs, frames * self._channels, *size), np.uint8)
        self._was_done = np.zeros(self.num_envs, np.bool_)  # [N], whether the next row is a reset

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        newest, infos = self.env.reset(seed=seed, options=options)
        self._was_done[:] = False
        return self._pushed(newest, np.ones(self.num_envs, np.bool_)), infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        newest, rewards, terminated, truncated, infos = self.env.step(actions)
        is_reset = infos.get("is_reset", self._was_done)
        self._was_done = terminated | truncated
        return self._pushed(newest, is_reset), rewards, terminated, truncated, infos

    def _pushed(self, newest: Image, is_reset: npt.NDArray[np.bool_]) -> Image:
        self._frames = np.concatenate([self._frames[:, self._channels :], newest], axis=1)
        self._frames[is_reset, : -self._channels] = 0
        return self._frames.copy()
