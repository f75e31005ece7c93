"""Shapes of the encoders, which of them fits what, and masks that make no NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from torch import nn

from crl_core.discrete import mask_logits
from crl_core.errors import ExperimentError
from crl_core.networks import (
    GridCnn,
    Mlp,
    NatureCnn,
    ResidualCnn,
    encode,
    make_encoder,
    prepare_observations,
)


def images(channels: int, height: int, width: int) -> Box:
    return Box(0, 255, (channels, height, width), np.uint8)


@pytest.mark.parametrize(
    ("space", "options", "kind", "features"),
    [
        (images(4, 84, 84), {}, NatureCnn, 512),
        (images(4, 84, 84), {"width": 2}, NatureCnn, 512),
        (images(3, 36, 40), {}, NatureCnn, 512),
        (images(3, 35, 84), {}, GridCnn, 128),
        (images(10, 10, 10), {}, GridCnn, 128),
        (images(4, 84, 84), {"architecture": "residual"}, ResidualCnn, 256),
        (images(1, 6, 7), {"architecture": "residual"}, ResidualCnn, 256),
        (images(1, 6, 6), {"architecture": "mlp"}, Mlp, 64),
        (Box(-1, 1, (5,), np.float32), {}, Mlp, 64),
        (Box(-1, 1, (2, 3), np.float32), {"architecture": "residual"}, Mlp, 64),
        (Box(0, 255, (128,), np.uint8), {}, Mlp, 64),
    ],
)
def test_the_encoder_that_fits(space: Box, options: dict[str, Any], kind: type[nn.Module], features: int) -> None:
    encoder = make_encoder(space, **options)
    out = encoder(torch.rand(3, *space.shape))
    assert type(encoder) is kind
    assert out.shape == (3, encoder.num_features) == (3, features)
    assert out.isfinite().all()


def test_other_spaces_are_refused() -> None:
    with pytest.raises(ExperimentError, match=r"must come from a Box space, not from Discrete\(4\)"):
        make_encoder(Discrete(4))


def test_the_nature_network_is_the_published_one() -> None:
    assert sum(parameter.numel() for parameter in NatureCnn((4, 84, 84)).parameters()) == 1_684_128
    wide = [
        layer.out_channels for layer in NatureCnn((4, 84, 84), width=6).convolutions if isinstance(layer, nn.Conv2d)
    ]
    assert wide == [192, 384, 384]


def test_the_grid_network_is_the_published_one_and_pads_what_is_smaller() -> None:
    assert GridCnn((10, 10, 10)).linear.in_features == 16 * 8 * 8
    assert GridCnn((1, 6, 7)).linear.in_features == 16 * 6 * 7


def test_the_residual_network_is_the_published_one() -> None:
    network = ResidualCnn((4, 84, 84))
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [16] * 5 + [32] * 10
    assert network.linear.in_features == 32 * 11 * 11


def test_the_residual_networks_blocks_add_to_what_they_are_given() -> None:
    network = ResidualCnn((1, 8, 8))
    section = next(network.convolutions.children())
    with torch.no_grad():
        for parameter in section.blocks.parameters():  # type: ignore[union-attr]  # nn.Module types are loose
            parameter.zero_()
        image = torch.rand(1, 1, 8, 8)
        assert torch.equal(section(image), section.head(image))  # type: ignore[operator]
        assert section(image).shape == (1, 16, 4, 4)


def test_masked_actions_are_never_taken_and_nothing_becomes_nan() -> None:
    logits = torch.randn(5, 3, 6, requires_grad=True)
    masked = mask_logits(logits, torch.tensor([6, 3, 1]))

    assert masked.isfinite().all()
    assert torch.equal(masked[:, 0], logits[:, 0])
    policy = masked.softmax(-1)
    assert (policy[:, 1, 3:] == 0).all()
    assert torch.equal(policy[:, 2, 0], torch.ones(5))
    log_policy = masked.log_softmax(-1)
    entropy = -(policy * log_policy).sum(-1)
    divergence = (policy * (log_policy - log_policy.detach())).sum(-1)
    assert entropy.isfinite().all()
    assert entropy[:, 2].abs().max() == 0
    assert divergence.isfinite().all()
    torch.autograd.backward(entropy.sum() + divergence.sum())
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert (logits.grad[:, 1, 3:] == 0).all()


def test_masks_fit_any_number_of_leading_dimensions_and_half_precision() -> None:
    masked = mask_logits(torch.zeros(2, 3, dtype=torch.bfloat16), torch.tensor([2, 3]))
    assert masked.isfinite().all()
    assert masked[0, 2] == torch.finfo(torch.bfloat16).min
    assert masked.argmax(1).tolist() == [0, 0]


def test_vectors_are_not_rounded_where_convolutions_are() -> None:
    vectors, images = torch.randn(4, 3), torch.randint(0, 256, (4, 2, 12, 12), dtype=torch.uint8)
    mlp, grid = Mlp((3,)), GridCnn((2, 12, 12))
    assert torch.equal(encode(mlp, prepare_observations(vectors, torch.bfloat16)), mlp(vectors))
    rounded, exact = (encode(grid, prepare_observations(images, dtype)) for dtype in (torch.bfloat16, torch.float32))
    assert rounded.dtype == exact.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, rtol=0.1, atol=0.02)
