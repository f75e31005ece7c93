"""Which torch device a run uses, and in which precision its convolutions run there."""

from __future__ import annotations

import logging
from typing import Any

import gymnasium
import numpy as np
import torch

from crl_core.errors import DeviceError

__all__ = ["convolution_dtype", "select_device", "to_device"]

_log = logging.getLogger(__name__)

_IMAGE_DIMENSIONS = 3


def select_device(name: str) -> torch.device:
    """Return the device a user named; `auto` is the first CUDA device if there is one, else the CPU.

    Raises:
        DeviceError: this machine does not have it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        raise DeviceError(
            f"--device: '{name}' is not there on this machine; here are: {', '.join(_available())}."
        ) from error
    return device


def convolution_dtype(precision: str, device: torch.device, observations: gymnasium.Space[Any]) -> torch.dtype:
    """Return bfloat16 where it is asked for, or where `auto` finds that the device has it natively; else float32.

    Observations that are no images of bytes are float32 always: bfloat16 is too coarse for positions.
    """
    if observations.dtype != np.uint8 or len(observations.shape or ()) != _IMAGE_DIMENSIONS:
        if precision == "bf16":
            _log.warning("--precision bf16: has no effect on these observations, which are no images of bytes")
        return torch.float32
    if precision == "auto":
        native = _has_native_bfloat16(device)
        _log.info("convolutions: %s, as bf16 is %s here", *(("bf16", "native") if native else ("fp32", "not native")))
        return torch.bfloat16 if native else torch.float32
    if precision == "bf16" and not _has_native_bfloat16(device):
        _log.warning("--precision bf16: it is not native here, and several times slower than fp32")
    return torch.bfloat16 if precision == "bf16" else torch.float32


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return a tensor on a device; on that device already, it is returned as it is.

    To a GPU it goes by way of page-locked memory, without waiting for the copy: kernels started later wait for it by
    themselves. Do not write to the tensor afterwards.
    """
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.contiguous().pin_memory().to(device, non_blocking=True)


def _available() -> list[str]:
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ["cpu", *cuda, *mps]


def _has_native_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # torch has no public way to ask
        return any(getattr(torch.cpu, name)() for name in names if hasattr(torch.cpu, name))
    return False
