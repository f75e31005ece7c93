"""Bytes per step that a replay store takes on the disk after churn, for each of the six Atari games under random play.

    python benchmarks/replay_size.py [--capacity-unrolls 1500] [--offered 9600]

The reservoir is filled several times over, with a state taken now and then as checkpoints do, so that records are
replaced at random and LMDB's free pages count too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor, nn

from crl_core.devices import limit_threads
from crl_core.plan import build_experiment
from crl_core.policy import Policy, TrainingProgress, Workspace
from crl_core.rollout import Rollout
from crl_core.task import Task
from crl_policies_clear.config import ClearConfig
from crl_policies_clear.unrolls import to_unrolls
from crl_policies_impala.policy import ImpalaTimestepData
from crl_replay.buffer import ReplayBuffer

_ENVS = 16
_UNROLL = 20
_COLLECTIONS_PER_STATE = 10


class RandomPolicy(Policy[ClearConfig]):
    """Acts at random, and stores what CLEAR stores."""

    def build(self) -> None:
        """There is nothing to learn."""
        self.network = nn.Identity()

    def runner_options(self, task: Task, *, eval_mode: bool) -> dict[str, Any]:
        """Return the options of the batch runner."""
        return {"num_envs": _ENVS, "num_steps": _UNROLL}

    def compute_action(
        self, observations: Tensor, task: Task, last_timestep_data: Any, *, eval_mode: bool
    ) -> ImpalaTimestepData:
        """Sample from logits as an untrained network has them."""
        logits = 0.02 * torch.randn(len(observations), self.num_actions(task), generator=self.generator)
        actions = torch.multinomial(logits.softmax(dim=1), 1, generator=self.generator).squeeze(1)
        values = 0.02 * torch.randn(len(observations), generator=self.generator)
        return ImpalaTimestepData(actions=actions, policy_logits=logits, values=values)

    def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
        """Learn nothing."""
        return {}


@click.command()
@click.option("--capacity-unrolls", default=1500, show_default=True)
@click.option("--offered", default=9600, show_default=True, help="Unrolls offered to the reservoir.")
def main(capacity_unrolls: int, offered: int) -> None:
    """Measure and print."""
    limit_threads()
    experiment = build_experiment("atari")
    for task in experiment.tasks:
        with tempfile.TemporaryDirectory() as directory:
            size = measure(task, Path(directory), capacity_unrolls, offered)
        print(f"{task.id}: {size:.0f} bytes per step", flush=True)


def measure(task: Task, directory: Path, capacity_unrolls: int, offered: int) -> float:
    """Return bytes on the disk per step that is kept."""
    policy = RandomPolicy(
        ClearConfig(runner="batch"),
        task.observation_space,
        {task.action_space_id: task.action_space},
        task_ids=[task.id],
        device=torch.device("cpu"),
        seed=0,
        workspace=Workspace(directory, "benchmark"),
    )
    with (
        ReplayBuffer(directory / "replay", capacity_unrolls=capacity_unrolls, seed=0) as buffer,
        policy.get_environment_runner(task, seed=np.random.SeedSequence(0)) as runner,
    ):
        collections = 0
        while buffer.count < offered:
            for rollout in runner.collect_data().rollouts:
                buffer.add(to_unrolls(rollout))
            collections += 1
            if collections % _COLLECTIONS_PER_STATE == 0:
                buffer.state_dict()
        buffer.state_dict()
        return buffer.bytes_on_disk() / (len(buffer) * _UNROLL)


if __name__ == "__main__":
    main()
