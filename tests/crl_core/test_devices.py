"""Tensors on their way to a device."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from crl_core.devices import to_device

CPU = torch.device("cpu")


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
