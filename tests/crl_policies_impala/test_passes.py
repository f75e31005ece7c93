"""Passes in parts give the gradients of one pass, whoever makes them."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from crl_policies_impala.network import NetworkOutput
from crl_policies_impala.passes import LearnerThreads, Passes


class Net(nn.Module):
    """Two weights that are added to each other share one gradient; one is used by nothing."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(3, 2))
        self.bias = nn.Parameter(torch.randn(2))
        self.twin = nn.Parameter(torch.randn(2))
        self.unused = nn.Parameter(torch.randn(2))
        self.frozen = nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, inputs: Tensor) -> NetworkOutput:
        logits = inputs @ self.weight + (self.bias + self.twin)
        return NetworkOutput(logits, logits.square().sum(dim=1) * self.frozen, None)


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[LearnerThreads]:
    threads = LearnerThreads(request.param)
    yield threads
    threads.close()


def loss_of(outputs: NetworkOutput, network: Net) -> Tensor:
    rows = torch.arange(len(outputs.values), dtype=torch.float32)
    of_outputs = (outputs.policy_logits.exp().sum(dim=1) * rows).sum() + (outputs.values * rows.cos()).mean()
    return of_outputs + network.twin.square().sum()  # some losses are of the weights themselves


@pytest.mark.parametrize("num_parts", [1, 2, 5])
def test_gradients_are_those_of_one_pass(threads: LearnerThreads, num_parts: int) -> None:
    network, whole = Net(), Net()
    inputs = torch.randn(11, 3, generator=torch.Generator().manual_seed(1))
    loss_of(whole(inputs), whole).backward()

    passes = Passes(network, [inputs], num_parts=num_parts, threads=threads)
    torch.testing.assert_close(passes.outputs.policy_logits, whole(inputs).policy_logits)
    loss_of(passes.outputs, network).backward()
    passes.backward()

    for mine, wanted in zip(network.parameters(), whole.parameters(), strict=True):
        assert (mine.grad is None) == (wanted.grad is None)
        if mine.grad is not None and wanted.grad is not None:
            torch.testing.assert_close(mine.grad, wanted.grad)


def test_outputs_without_a_gradient_give_none(threads: LearnerThreads) -> None:
    network = Net()
    passes = Passes(network, [torch.ones(4, 3)], num_parts=2, threads=threads)
    passes.outputs.values.sum().backward()
    passes.backward()
    assert network.weight.grad is not None


def test_what_a_part_raises_is_raised(threads: LearnerThreads) -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        Passes(Net(), [torch.ones(4, 2)], num_parts=2, threads=threads)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives threads a priority each")
def test_all_but_one_thread_yield_also_after_a_restart() -> None:
    threads = LearnerThreads(3)

    def niceness(barrier: threading.Barrier) -> int:
        barrier.wait(timeout=10)  # so that every thread has one
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    mine = os.getpriority(os.PRIO_PROCESS, 0)
    for _ in range(2):
        barrier = threading.Barrier(3)
        assert sorted(threads.map(niceness, [barrier] * 3)) == [mine, max(mine, 10), max(mine, 10)]
        threads.close()
