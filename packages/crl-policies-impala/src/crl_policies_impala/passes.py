"""`Passes`: a network that is shown many rows in parts, forwards and later backwards; `LearnerThreads`, who shows them.

Letters in shapes: R rows.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor, nn

from crl_policies_impala.network import NetworkOutput

__all__ = ["LearnerThreads", "Passes"]

_HELPERS_NICENESS = 10

T = TypeVar("T")
R = TypeVar("R")


class LearnerThreads:
    """Threads that share out calls, each taking the next one as soon as it is free.

    All but the first yield their cores to whatever else wants to run, where the system can be told so: threads that
    collect go on as if the learner had one thread, and cores that would be idle learn.

    Attributes:
        count: how many there are.
    """

    def __init__(self, count: int) -> None:
        """Share calls out among `count` threads, which start when they are needed; 1 is the caller's own."""
        self.count = count
        self._indices = itertools.count()
        self._pool: ThreadPoolExecutor | None = None

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Return what `function` makes of each item."""
        if self.count == 1 or len(items) == 1:
            return [function(item) for item in items]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.count, "learner", initializer=self._begin)
        return list(self._pool.map(function, items))

    def close(self) -> None:
        """End the threads, which start again when they are needed."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool, self._indices = None, itertools.count()

    def _begin(self) -> None:
        if next(self._indices) and sys.platform == "linux":  # elsewhere only processes have a niceness
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _HELPERS_NICENESS)


class Passes:
    """A forward pass in parts, and the backward pass of each part once the loss of all rows together is known.

        passes = Passes(network, inputs, num_parts=4, threads=threads)
        torch.autograd.backward(loss(passes.outputs))
        passes.backward()

    Attributes:
        outputs: of all R rows, in their order; leaves, whose gradients `backward` takes on into the network.
    """

    def __init__(
        self, network: nn.Module, inputs: Sequence[Tensor], *, num_parts: int, threads: LearnerThreads
    ) -> None:
        """Show the network `inputs`, each `[R, ...]`, in parts as equal as can be."""
        self._network = network
        self._threads = threads
        parts = list(zip(*(each.chunk(num_parts) for each in inputs), strict=True))
        self._parts: list[NetworkOutput] = threads.map(lambda part: network(*part), parts)
        self.outputs = _joined(self._parts).map(lambda output: output.detach().requires_grad_())

    def backward(self) -> None:
        """Add to the gradients of the network's parameters what the gradients of `outputs` come to."""
        sizes = [len(part.values) for part in self._parts]
        leaves = self.outputs.present()
        split = [None if leaf.grad is None else torch.split(leaf.grad, sizes) for leaf in leaves]
        parameters = [each for each in self._network.parameters() if each.requires_grad]

        def gradients(part: int) -> tuple[Tensor | None, ...]:
            pairs = [
                (output, of_leaf[part])
                for output, of_leaf in zip(self._parts[part].present(), split, strict=True)
                if of_leaf is not None
            ]
            outputs, of_outputs = zip(*pairs, strict=True)
            return torch.autograd.grad(outputs, parameters, of_outputs, allow_unused=True)

        for of_part in self._threads.map(gradients, range(len(sizes))):  # summed in order, so always to the same
            for parameter, gradient in zip(parameters, of_part, strict=True):
                if gradient is not None:
                    # not in place: parameters that are added to each other share one gradient
                    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def _joined(parts: Sequence[NetworkOutput]) -> NetworkOutput:
    """Return the rows of all parts."""
    uncertainties = [each.uncertainty for each in parts if each.uncertainty is not None]
    return NetworkOutput(
        torch.cat([each.policy_logits for each in parts]),
        torch.cat([each.values for each in parts]),
        torch.cat(uncertainties) if uncertainties else None,
    )
