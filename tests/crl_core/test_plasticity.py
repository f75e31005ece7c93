"""Dormant units, effective rank and norms: against numbers worked out by hand, and in whole runs."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from tests.crl_core.small_runs import GuessingPolicy, catch_experiment, guessing_policy, make_plan, rows, run
from tests.rollouts import random_rollout
from torch import Tensor, nn
from torch.nn import functional

from crl_core.plasticity import dormant_units, effective_rank, measure_plasticity, sample_observations
from crl_core.policy import TimestepData
from crl_core.rollout import Rollout
from crl_core.task import Task


class SeeingNetwork(nn.Linear):
    """What `GuessingPolicy` trains, and what acts: feature maps behind a module, units behind a function."""

    def __init__(self) -> None:
        super().__init__(1, 1)
        self.maps = nn.Sequential(nn.Conv2d(1, 2, kernel_size=3), nn.ReLU(inplace=True), nn.Flatten())
        self.units = nn.Linear(32, 3)

    def logits(self, observations: Tensor) -> Tensor:
        units = functional.relu_(self.units(self.maps(observations / 255)))
        return units.mul_(-1)  # what is measured must not be what comes after


class SeeingPolicy(GuessingPolicy):
    network: SeeingNetwork

    def build(self) -> None:
        super().build()
        self.network = SeeingNetwork()
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.1, momentum=0.9)

    def compute_action(
        self, observations: Tensor, task: Task, last_timestep_data: TimestepData | None, *, eval_mode: bool
    ) -> TimestepData:
        return TimestepData(actions=self.network.logits(observations).argmax(dim=1))


def numbers(*values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def test_a_unit_is_dormant_at_a_fortieth_of_its_layers_mean_activity() -> None:
    # activities 0, 0.1, 0.101 and 15.799, mean 4: those up to 0.1 are dormant
    layer = numbers([0, -0.1, 0.202, 31.598], [0, 0.1, 0, 0])
    assert dormant_units(layer).tolist() == [True, True, False, False]
    assert dormant_units(torch.zeros(2, 3)).tolist() == [True, True, True]


def test_a_feature_map_is_one_unit() -> None:
    quiet, loud = torch.zeros(2, 2), numbers([0, 0], [0, 8])
    layer = torch.stack([torch.stack([quiet, loud]), torch.stack([quiet + 0.1, loud])])
    # activities 0.05 and 2, mean 1.025; a fortieth of that is 0.0256
    assert dormant_units(layer).tolist() == [False, False]
    assert dormant_units(layer / numbers(2, 1).view(1, 2, 1, 1)).tolist() == [True, False]


def test_the_effective_rank_is_the_exponential_of_the_entropy_of_singular_values() -> None:
    assert effective_rank(torch.eye(5) * 3) == pytest.approx(5)
    assert effective_rank(numbers([1], [2]) @ numbers([3, 4, 5])) == pytest.approx(1)
    entropy = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert effective_rank(numbers([0, -3], [1, 0], [0, 0])) == pytest.approx(math.exp(entropy))
    assert effective_rank(torch.zeros(3, 2)) == 0


def test_observations_are_sampled_evenly_from_valid_rows() -> None:
    rollouts = [
        random_rollout(num_steps=steps, num_columns=7, num_actions=3, head=3, seed=steps) for steps in (40, 100)
    ]
    valid = torch.cat([rollout.observations[:-1][rollout.valid] for rollout in rollouts])
    assert len(valid) > 512
    sampled = sample_observations(rollouts)
    wanted = [round(index * (len(valid) - 1) / 511) for index in range(512)]
    assert torch.equal(sampled, valid[wanted])
    few = dataclasses.replace(rollouts[0], valid=torch.zeros_like(rollouts[0].valid))
    few.valid[3, 2] = few.valid[5, 1] = True
    assert torch.equal(sample_observations([few]), few.observations[[3, 5], [2, 1]])


def test_the_figures_of_a_network(tmp_path: Path) -> None:
    task = catch_experiment().tasks[0]
    policy = guessing_policy(task, SeeingPolicy)
    assert isinstance(policy, SeeingPolicy)
    maps, units = policy.network.maps[0], policy.network.units
    observations = torch.from_numpy(task.observation_space.sample()[None]).repeat(4, 1, 1, 1)
    with torch.no_grad():
        for parameter in policy.network.parameters():
            parameter.zero_()
        maps.bias.copy_(numbers(2, -1))  # the second map is behind zero
        units.bias.copy_(numbers(-1, 3, 4))
    units.bias.grad = numbers(1, 2, 2)
    generator = policy.generator.get_state()
    figures = measure_plasticity(policy, task, observations)
    assert figures == {
        "dormant_fraction": pytest.approx(2 / 5),
        "dormant_fraction/layer1": pytest.approx(1 / 2),
        "dormant_fraction/layer2": pytest.approx(1 / 3),
        "effective_rank/layer2": pytest.approx(1),
        "weight_norm": pytest.approx(math.sqrt(4 + 1 + 1 + 9 + 16)),
        "gradient_norm": pytest.approx(3),
    }
    assert torch.equal(policy.generator.get_state(), generator)


def test_what_a_network_lacks_is_left_out() -> None:
    task = catch_experiment().tasks[0]
    policy = guessing_policy(task)
    observations = torch.from_numpy(task.observation_space.sample()[None])
    assert list(measure_plasticity(policy, task, observations)) == ["weight_norm"]  # its weight was never trained
    policy.network = nn.Identity()
    assert measure_plasticity(policy, task, observations) == {}


def measured(directory: Path) -> tuple[list[int], list[dict[str, object]]]:
    """Return at which steps plasticity was measured, and all other rows."""
    found = rows(directory / "metrics.jsonl")
    steps = [row["step"] for row in found if row["name"] == "plasticity/dormant_fraction"]
    return steps, [row for row in found if not row["name"].startswith("plasticity/")]


def test_training_is_the_same_with_measurements(tmp_path: Path) -> None:
    for name, settings in (("with", {"plasticity_freq": 25}), ("without", {})):
        run(make_plan(tmp_path / name, catch_experiment(), policy=SeeingPolicy, **settings))
    steps, others = measured(tmp_path / "with")
    assert [step // 25 for step in steps] == [1, 2, 3]
    assert ([], others) == measured(tmp_path / "without")
    names = {row["name"] for row in rows(tmp_path / "with/metrics.jsonl")}
    assert {"plasticity/effective_rank/layer2", "plasticity/weight_norm", "plasticity/gradient_norm"} < names


def test_a_network_that_cannot_be_measured_is_told_and_the_run_goes_on(tmp_path: Path) -> None:
    class ShyPolicy(GuessingPolicy):
        def compute_action(
            self, observations: Tensor, task: Task, last_timestep_data: TimestepData | None, *, eval_mode: bool
        ) -> TimestepData:
            if len(observations) > 4:
                raise ValueError("too many rows")
            return super().compute_action(observations, task, last_timestep_data, eval_mode=eval_mode)

    said = run(make_plan(tmp_path / "run", catch_experiment(), policy=ShyPolicy, plasticity_freq=50))
    assert "ValueError: too many rows; the run goes on without these figures" in " ".join(said.split())


def test_a_collection_of_resets_only_is_not_measured() -> None:
    rollout = random_rollout(num_steps=3, num_columns=2, num_actions=3, head=3, seed=0)
    empty: Rollout = dataclasses.replace(rollout, valid=torch.zeros_like(rollout.valid))
    assert len(sample_observations([empty])) == 0
