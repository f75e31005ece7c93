"""Whole runs in this process: a policy that learns nothing but a number, and experiments of a few steps."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from rich.console import Console
from tests.crl_core.scripted import Row, ScriptedTask
from torch import Tensor, nn

from crl_core.config import PolicyConfig, RunConfig
from crl_core.experiment import Experiment
from crl_core.gymnasium_tasks import ImageTask
from crl_core.launch import launch
from crl_core.logs import RunLog
from crl_core.plan import RunPlan
from crl_core.plugins import Registered
from crl_core.policy import Policy, TimestepData, TrainingProgress, Workspace
from crl_core.rollout import Rollout
from crl_core.specs import PolicySpec
from crl_core.task import Task


class GuessingPolicy(Policy[PolicyConfig]):
    """Acts at random, and "learns" by one step of momentum descent on the mean reward times its only weight."""

    num_envs: ClassVar[int] = 2
    num_steps: ClassVar[int] = 5

    def build(self) -> None:
        self.network = nn.Linear(1, 1)
        with torch.no_grad():
            self.network.weight.copy_(torch.rand(1, 1, generator=self.generator))
            self.network.bias.zero_()
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.1, momentum=0.9)
        self.calls: list[str] = []
        self.progress: list[TrainingProgress] = []

    def runner_options(self, task: Task, *, eval_mode: bool) -> dict[str, Any]:
        return {"num_envs": self.num_envs, "num_steps": self.num_steps}

    def compute_action(
        self, observations: Tensor, task: Task, last_timestep_data: TimestepData | None, *, eval_mode: bool
    ) -> TimestepData:
        num_actions = self.num_actions(task)
        return TimestepData(actions=torch.randint(num_actions, (len(observations),), generator=self.generator))

    def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
        self.progress.append(progress)
        (rollout,) = rollouts
        loss = self.network(rollout.rewards.mean().view(1, 1)).square().sum()
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.optimizer.step()
        return {"loss": loss.item()}

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.optimizer.load_state_dict(state["optimizer"])

    def on_task_start(self, task: Task) -> None:
        self.calls.append(f"start {task.id}")

    def on_task_end(self, task: Task) -> None:
        self.calls.append(f"end {task.id}")

    def shutdown(self) -> None:
        self.calls.append("shutdown")


def guessing_policy(task: Task, policy: type[GuessingPolicy] = GuessingPolicy) -> GuessingPolicy:
    """Return a policy outside any run."""
    return policy(
        PolicyConfig(),
        task.observation_space,
        {task.action_space_id: task.action_space},
        task_ids=[task.id],
        device=torch.device("cpu"),
        seed=0,
        workspace=Workspace(Path("nowhere"), "test"),
    )


def scripted_task(task_id: str = "scripted", *scripts: Sequence[Row], **fields: Any) -> ScriptedTask:
    """Return a task of two environments; by default one plays episodes of return 1, the other of return 10."""
    default = ([Row(1.0, terminated=True), Row()], [*[Row(1.0)] * 9, Row(1.0, terminated=True), Row()])
    values = {"num_timesteps": 20, "continual_eval_num_returns": 4, "eval_max_steps": 100, **fields}
    return ScriptedTask(id=task_id, scripts=tuple(tuple(script) for script in scripts or default), **values)


def catch_experiment(**fields: Any) -> Experiment:
    """Return the tutorial's two games, 40 steps of each."""
    tasks = tuple(
        ImageTask(
            id=name,
            env="crl_core.tutorial:Catch",
            env_kwargs={"mirrored": name == "mirrored"},
            num_timesteps=40,
            continual_eval_num_returns=4,
            eval_max_steps=6,
        )
        for name in ("plain", "mirrored")
    )
    return Experiment(tasks=tasks, **fields)


def make_plan(
    directory: Path, experiment: Experiment, *, policy: type[Policy[Any]] = GuessingPolicy, **settings: Any
) -> RunPlan:
    """Return a plan that no command line made."""
    spec = PolicySpec(name="guessing", summary="Guesses.", policy="tests:Policy", config="crl_core.config:PolicyConfig")
    return RunPlan(
        config=RunConfig(policy="guessing", experiment="small", output_dir=str(directory), **settings),
        policy=Registered(spec=spec, distribution="tests", version="0", ambiguous=False),
        policy_class=policy,
        policy_config=PolicyConfig(),
        experiment=experiment,
        device=torch.device("cpu"),
        directory=directory,
        run_id="small-run",
    )


def run(plan: RunPlan) -> str:
    """Run a plan as `crl run` does, and return what it printed."""
    console = Console(file=io.StringIO(), width=100)
    with RunLog(console) as log:
        launch(plan, console, log)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def status(directory: Path) -> dict[str, Any]:
    """Return a run's status."""
    record: dict[str, Any] = json.loads((directory / "status.json").read_text())
    return record
