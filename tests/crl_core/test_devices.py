"""Tensors on their way to a device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from crl_core.devices import convolution_dtype, to_device

CPU = torch.device("cpu")
IMAGES = Box(0, 255, (4, 84, 84), np.uint8)
VECTORS = Box(-1.0, 1.0, (4,))


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_images_are_computed_in_bfloat16_where_it_is_native(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, dtype: torch.dtype, *, native: bool
) -> None:
    monkeypatch.setattr("crl_core.devices._has_native_bfloat16", lambda device: native)
    with caplog.at_level("INFO"):
        assert convolution_dtype("auto", CPU, IMAGES) == dtype
    assert "convolutions: " in caplog.text


def test_of_vectors_no_precision_of_convolutions_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("crl_core.devices._has_native_bfloat16", lambda device: True)
    with caplog.at_level("INFO"):
        assert convolution_dtype("auto", CPU, VECTORS) == torch.float32
    assert caplog.text == ""
    assert convolution_dtype("bf16", CPU, VECTORS) == torch.float32
    assert "--precision bf16: has no effect on these observations" in caplog.text


def test_what_is_there_already_is_returned_as_it_is() -> None:
    tensor = torch.arange(3)
    assert to_device(tensor, CPU) is tensor


def test_to_a_gpu_goes_page_locked_memory_that_nobody_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # as far as this can be seen without a GPU: the calls, in their order, and what they are made on
    calls: list[Any] = []

    def pin(tensor: torch.Tensor) -> torch.Tensor:
        calls.append(("pin", tensor.is_contiguous(), tensor.tolist()))
        return tensor

    def to(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        calls.append(("to", *args, kwargs))
        return tensor

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    monkeypatch.setattr(torch.Tensor, "to", to)
    gpu = torch.device("cuda")
    to_device(torch.arange(6).view(3, 2)[:, 1], gpu)
    assert calls == [("pin", True, [1, 3, 5]), ("to", gpu, {"non_blocking": True})]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_values_arrive_on_a_gpu() -> None:
    column = torch.arange(6).view(3, 2)[:, 1]
    assert to_device(column, torch.device("cuda")).tolist() == [1, 3, 5]
