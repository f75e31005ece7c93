"""Bytes per step that a replay store takes on the disk after churn, for each of the six Atari games under random play.

    python benchmarks/replay_size.py [--capacity-unrolls 1500] [--offered 9000] [--collections 100]

Each game is played once, for 2,000 steps of each environment: long enough for the scenes that compress worst. Then
these unrolls are offered again and again, several times the capacity, with a state taken as often as checkpoints do, so
that records are replaced at random and LMDB's free pages count too.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor, nn

from crl_core.plan import build_experiment
from crl_core.policy import Policy, TrainingProgress, Workspace
from crl_core.rollout import Rollout
from crl_core.task import Task
from crl_policies_clear.config import ClearConfig
from crl_policies_clear.unrolls import to_unrolls
from crl_policies_impala.policy import ImpalaTimestepData
from crl_replay.buffer import ReplayBuffer
from crl_replay.schema import UnrollSchema

_ENVS = 16
_UNROLL = 20
# Runs save every 1,500 unrolls and keep 50,000 or more.
_STATE_PER_CAPACITY = 0.025


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
@click.option("--offered", default=9000, show_default=True, help="Unrolls offered to the reservoir.")
@click.option("--collections", default=100, show_default=True, help="Collections of 16 unrolls played per game.")
@click.option("--game", "games", multiple=True, help="Measure only this game; may be given several times.")
def main(capacity_unrolls: int, offered: int, collections: int, games: tuple[str, ...]) -> None:
    """Measure and print."""
    experiment = build_experiment("atari")
    for task in experiment.tasks:
        if games and task.id not in games:
            continue
        with tempfile.TemporaryDirectory() as directory:
            schema, records = play(task, Path(directory), collections)
            size = measure(schema, records, Path(directory), capacity_unrolls, offered)
        record = sum(map(len, records)) / len(records) / _UNROLL
        print(f"{task.id}: {size:.0f} bytes per step, {record:.0f} of them in records", flush=True)


def play(task: Task, directory: Path, collections: int) -> tuple[UnrollSchema, list[bytes]]:
    """Return the unrolls of `collections` collections, compressed."""
    policy = RandomPolicy(
        ClearConfig(runner="batch"),
        task.observation_space,
        {task.action_space_id: task.action_space},
        task_ids=[task.id],
        device=torch.device("cpu"),
        seed=0,
        workspace=Workspace(directory, "benchmark"),
    )
    records: list[bytes] = []
    with policy.get_environment_runner(task, seed=np.random.SeedSequence(0)) as runner:
        for _ in range(collections):
            for rollout in runner.collect_data().rollouts:
                unrolls = to_unrolls(rollout)
                schema = UnrollSchema.from_example(unrolls[0])
                records += [schema.encode(unroll) for unroll in unrolls]
    return schema, records


def measure(
    schema: UnrollSchema, records: Sequence[bytes], directory: Path, capacity_unrolls: int, offered: int
) -> float:
    """Return bytes on the disk per step that is kept."""
    states = 1
    with ReplayBuffer(directory / "replay", capacity_unrolls=capacity_unrolls, seed=0) as buffer:
        for record in itertools.islice(itertools.cycle(records), offered):
            buffer.add([_texts(schema.decode(record, buffer.count))])
            if buffer.count >= states * _STATE_PER_CAPACITY * capacity_unrolls:
                buffer.state_dict()
                states += 1
        buffer.state_dict()
        return buffer.bytes_on_disk() / (len(buffer) * _UNROLL)


def _texts(unroll: Mapping[str, Any]) -> dict[str, Any]:
    """Return a decoded unroll as it was before."""
    return {name: str(value) if value.dtype.kind == "U" else value for name, value in unroll.items()}


if __name__ == "__main__":
    main()
