"""Networks that turn observations into features: Nature CNN, IMPALA's residual network, a small-grid CNN, an MLP.

Letters in shapes: B batch, C channels, H height, W width, F features.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from crl_core.errors import ExperimentError

__all__ = ["GridCnn", "Mlp", "NatureCnn", "ResidualCnn", "encode", "make_encoder", "prepare_observations"]

_SMALLEST_UNPADDED_IMAGE = 8
_SMALLEST_NATURE_IMAGE = 36  # below it the Nature CNN's strides leave nothing of an image


class NatureCnn(nn.Module):
    """The convolutional network of Mnih et al. (2015), `[B, C, H, W]` in [0, 1] to `[B, 512]`.

    `width` multiplies the channels of the first convolution; the next two have twice as many as that, as in the
    original.
    """

    def __init__(self, shape: tuple[int, ...], *, width: int = 1, features: int = 512) -> None:
        """Make a network for images of `shape` (C, H, W)."""
        super().__init__()
        first = 32 * width
        self.convolutions = nn.Sequential(
            nn.Conv2d(shape[0], first, kernel_size=8, stride=4),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, 2 * first, kernel_size=4, stride=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * first, 2 * first, kernel_size=3, stride=1),
            nn.ReLU(inplace=True),
            nn.Flatten(),
        )
        self.linear = nn.Linear(_output_size(self.convolutions, shape), features)
        self.num_features = features

    def forward(self, images: Tensor) -> Tensor:
        """Return features `[B, F]`."""
        return torch.relu_(self.linear(self.convolutions(images)))


class ResidualCnn(nn.Module):
    """The deep residual network of Espeholt et al. (2018), figure 3, without the LSTM: `[B, C, H, W]` to `[B, 256]`."""

    def __init__(self, shape: tuple[int, ...], *, features: int = 256) -> None:
        """Make a network for images of `shape` (C, H, W)."""
        super().__init__()
        channels = (shape[0], 16, 32, 32)
        sections = [_ResidualSection(into, out) for into, out in itertools.pairwise(channels)]
        self.convolutions = nn.Sequential(*sections, nn.ReLU(), nn.Flatten())
        self.linear = nn.Linear(_output_size(self.convolutions, shape), features)
        self.num_features = features

    def forward(self, images: Tensor) -> Tensor:
        """Return features `[B, F]`."""
        return torch.relu(self.linear(self.convolutions(images)))


class _ResidualSection(nn.Module):
    """A convolution, a max-pooling that halves the image, and two residual blocks."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.head = nn.Sequential(
            nn.Conv2d(into, out, kernel_size=3, padding=1), nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                nn.Conv2d(out, out, kernel_size=3, padding=1),
                nn.ReLU(),
                nn.Conv2d(out, out, kernel_size=3, padding=1),
            )
            for _ in range(2)
        )

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.head(images)
        for block in self.blocks:
            out = out + block(out)
        return out


class GridCnn(nn.Module):
    """One 3x3 convolution and a linear layer, for images too small for strides: `[B, C, H, W]` to `[B, 128]`.

    The network of Young and Tian (2019, arXiv 1903.03176), which does not pad images of 10 x 10. Those below 8 x 8 are
    padded, as they would lose much of their width.
    """

    def __init__(self, shape: tuple[int, ...], *, features: int = 128) -> None:
        """Make a network for images of `shape` (C, H, W)."""
        super().__init__()
        padding = int(min(shape[1:]) < _SMALLEST_UNPADDED_IMAGE)
        self.convolutions = nn.Sequential(
            nn.Conv2d(shape[0], 16, kernel_size=3, padding=padding), nn.ReLU(inplace=True), _FlattenChannelsLast()
        )
        self.linear = nn.Linear(_output_size(self.convolutions, shape), features)
        self.num_features = features

    def forward(self, images: Tensor) -> Tensor:
        """Return features `[B, F]`."""
        return torch.relu_(self.linear(self.convolutions(images)))


class _FlattenChannelsLast(nn.Module):
    """Flattens images as convolutions lay them out here, which copies nothing."""

    def forward(self, images: Tensor) -> Tensor:
        return images.permute(0, 2, 3, 1).flatten(1)


class Mlp(nn.Module):
    """Two hidden layers with tanh, for vectors: `[B, *shape]` to `[B, 64]`."""

    def __init__(self, shape: tuple[int, ...], *, features: int = 64) -> None:
        """Make a network for vectors of `shape`, flattened."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(math.prod(shape), features), nn.Tanh(), nn.Linear(features, features), nn.Tanh()
        )
        self.num_features = features

    def forward(self, vectors: Tensor) -> Tensor:
        """Return features `[B, F]`."""
        features: Tensor = self.layers(vectors)
        return features


def make_encoder(
    observation_space: gymnasium.Space[Any], *, architecture: str = "nature", width: int = 1
) -> NatureCnn | ResidualCnn | GridCnn | Mlp:
    """Return the network that fits an observation space.

    Args:
        observation_space: a Box; uint8 of three dimensions is an image, channels first, and anything else a vector.
        architecture: `nature` (a grid CNN for small images), `residual` or `mlp`.
        width: multiplies the Nature CNN's channels.

    Raises:
        ExperimentError: the space is no Box.
    """
    if not isinstance(observation_space, Box):
        raise ExperimentError(f"observations must come from a Box space, not from {observation_space}")
    shape = observation_space.shape
    is_image = len(shape) == 3 and observation_space.dtype == np.uint8
    if architecture == "mlp" or not is_image:
        return Mlp(shape)
    if architecture == "residual":
        return ResidualCnn(shape)
    if min(shape[1:]) < _SMALLEST_NATURE_IMAGE:
        return GridCnn(shape)
    return NatureCnn(shape, width=width)


def prepare_observations(observations: Tensor, dtype: torch.dtype) -> Tensor:
    """Return `[B, *obs]` as encoders take them: bytes brought into [0, 1], images laid out as convolutions like best.

    Args:
        observations: as environments give them.
        dtype: the precision of convolutions, which bytes become; other observations become float32.
    """
    if observations.dtype != torch.uint8:
        return observations.to(torch.float32)
    layout = torch.channels_last if observations.ndim == 4 else torch.contiguous_format
    return observations.to(dtype, memory_format=layout).mul_(1 / 255)


def encode(encoder: nn.Module, prepared: Tensor) -> Tensor:
    """Return features, float32 `[B, F]`, of prepared observations, computed in the precision that these have.

    Vectors stay float32: bfloat16 has 8 bits, as many as a byte of an image, and too few for a position.
    """
    with torch.autocast(prepared.device.type, prepared.dtype, enabled=prepared.dtype != torch.float32):
        features: Tensor = encoder(prepared)
    return features.to(torch.float32)


def _output_size(network: nn.Module, shape: tuple[int, ...]) -> int:
    with torch.no_grad():
        return int(network(torch.zeros(1, *shape)).shape[1])
