"""Which torch device a run uses, with how many threads, and in which precision its convolutions run there."""

from __future__ import annotations

import os

import torch

from crl_core.errors import DeviceError

__all__ = ["convolution_dtype", "limit_threads", "select_device"]


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


def limit_threads() -> int:
    """Leave half of the cores to the threads that collect, unless OMP_NUM_THREADS says how many torch may have.

    Torch's own choice, all cores for every operation, makes threads wait for each other as soon as anything else runs.

    Returns:
        How many threads one torch operation uses.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    return torch.get_num_threads()


def convolution_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return bfloat16 where it is asked for, or where `auto` finds that the device has it natively; else float32."""
    if precision == "auto":
        return torch.bfloat16 if _has_native_bfloat16(device) else torch.float32
    return torch.bfloat16 if precision == "bf16" else torch.float32


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
