"""What the parts of training cost alone, each measured by itself: environments, forward passes, training.

    python benchmarks/parts.py --part environment
    python benchmarks/parts.py --part training --rows 168 --threads 1
    python benchmarks/parts.py --part training --rows 168 --profile     # which operators take that time

The last line printed is a JSON object with `seconds_per_row`: for an environment a row is one step of one copy, for a
forward pass one observation, for training one row that goes forwards and backwards, with its share of the optimizer.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import click
import gymnasium
import numpy as np
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from crl_core.devices import convolution_dtype
from crl_core.experiment import Experiment
from crl_core.experiment_source import build_experiment
from crl_policies_impala.config import ImpalaConfig
from crl_policies_impala.network import ImpalaNetwork
from crl_policies_ppo.network import PpoNetwork
from crl_tasks_atari import AtariTask

_WARM_UP = 3
_UPDATE_ROWS = 672  # 32 unrolls of 20 steps, and the observation after each


@click.command()
@click.option("--part", type=click.Choice(["environment", "forward", "training"]), required=True)
@click.option("--network", type=click.Choice(["impala", "ppo"]), default="impala", show_default=True)
@click.option("--experiment", default="beam_rider", show_default=True)
@click.option("--rows", default=32, show_default=True, help="Environments, or observations in one pass.")
@click.option("--threads", default=1, show_default=True, help="Of the environments, or of torch.")
@click.option("--seconds", default=6.0, show_default=True, help="How long to measure.")
@click.option("--profile", "profiled", is_flag=True, help="Whether to list the operators that took longest, too.")
def main(part: str, network: str, experiment: str, rows: int, threads: int, seconds: float, profiled: bool) -> None:
    """Measure one part and print."""
    with profile(activities=[ProfilerActivity.CPU]) if profiled else contextlib.nullcontext() as profiler:
        measured = measure(part, network, experiment, rows, threads, seconds)
    if profiler is not None:
        print(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=12, max_name_column_width=40))
    print(json.dumps({"part": part, "rows": rows, "threads": threads, "seconds_per_row": measured}))


def measure(part: str, network: str, experiment: str, rows: int, threads: int, seconds: float) -> float:
    """Return the seconds that a row takes in one part."""
    built = build_experiment(experiment)
    torch.set_num_threads(threads)
    if part == "environment":
        return environment(built, rows, threads, seconds)
    shape = built.observation_space.shape or ()
    observations = torch.randint(0, 256, (rows, *shape), dtype=torch.uint8)
    run, apply = _network(network, built)
    return forward(apply, observations, seconds) if part == "forward" else training(run, observations, seconds)


def environment(experiment: Experiment, copies: int, threads: int, seconds: float) -> float:
    """Return the seconds that a step of one copy takes, with random actions."""
    task = experiment.tasks[0]
    assert isinstance(task, AtariTask)
    task = task.model_copy(update={"environment_threads": threads})
    envs = task.make_envs(copies, seeds=np.arange(copies, dtype=np.int32), evaluation=False)
    envs.reset()
    actions = np.random.default_rng(0).integers(task.action_space.n, size=(64, copies))
    turns = iter(range(10**9))
    try:
        return _seconds_each(lambda: envs.step(actions[next(turns) % 64]), seconds) / copies
    finally:
        envs.close()


def forward(apply: Callable[[torch.Tensor], Any], observations: torch.Tensor, seconds: float) -> float:
    """Return the seconds that an observation takes in a forward pass."""
    with torch.inference_mode():
        return _seconds_each(lambda: apply(observations), seconds) / len(observations)


def training(network: tuple[nn.Module, Callable[..., Any]], observations: torch.Tensor, seconds: float) -> float:
    """Return the seconds that a row takes forwards and backwards, with its share of an optimizer's step.

    The loss is the simplest that reaches every weight. Where `observations` are fewer than an update of IMPALA has, it
    makes as many passes as come nearest to one; an update of PPO is one pass.
    """
    module, apply = network
    is_ppo = isinstance(module, PpoNetwork)  # whose every minibatch has a step of Adam
    optimizer: torch.optim.Optimizer = (
        torch.optim.Adam(module.parameters(), lr=0.0, foreach=True)
        if is_ppo
        else torch.optim.RMSprop(module.parameters(), lr=0.0, foreach=True)
    )
    passes = 1 if is_ppo else max(1, round(_UPDATE_ROWS / len(observations)))

    def update() -> None:
        optimizer.zero_grad(set_to_none=True)
        for _ in range(passes):
            torch.autograd.backward(sum(output.square().sum() for output in apply(observations)))
        nn.utils.clip_grad_norm_(module.parameters(), 40.0)
        optimizer.step()

    return _seconds_each(update, seconds) / (passes * len(observations))


def _network(name: str, experiment: Experiment) -> tuple[tuple[nn.Module, Callable[..., Any]], Callable[..., Any]]:
    """Return a network with what applies it to observations and returns its outputs, twice."""
    space, action_space = experiment.observation_space, next(iter(experiment.action_spaces.values()))
    assert isinstance(action_space, gymnasium.spaces.Discrete)
    count, dtype = int(action_space.n), convolution_dtype("auto", torch.device("cpu"))
    if name == "ppo":
        ppo = PpoNetwork(space, action_space, convolution_dtype=dtype)

        def apply_ppo(observations: torch.Tensor) -> list[torch.Tensor]:
            outputs = ppo(ppo.prepare(observations), torch.full((len(observations),), count))
            return [outputs.policy.logits, outputs.values]

        return (ppo.to(memory_format=torch.channels_last), apply_ppo), apply_ppo  # type: ignore[call-overload]
    impala = ImpalaNetwork(ImpalaConfig(), space, count, convolution_dtype=dtype)

    def apply_impala(observations: torch.Tensor) -> list[torch.Tensor]:
        zeros = torch.zeros(len(observations), dtype=torch.int64)
        outputs = impala(observations, zeros, zeros.float(), torch.full_like(zeros, count))
        return [outputs.policy_logits, outputs.values]

    return (impala.to(memory_format=torch.channels_last), apply_impala), apply_impala  # type: ignore[call-overload]


def _seconds_each(call: Callable[[], object], seconds: float) -> float:
    """Return how long a call takes, after some that do not count."""
    for _ in range(_WARM_UP):
        call()
    started = time.perf_counter()
    count = 0
    while time.perf_counter() - started < seconds:
        call()
        count += 1
    return (time.perf_counter() - started) / count


if __name__ == "__main__":
    main()
