"""A small Q-learner that passes every check: off-policy, with a replay buffer that it fills before it learns."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from crl_core.config import PolicyConfig
from crl_core.discrete import mask_logits
from crl_core.networks import make_encoder, prepare_observations
from crl_core.policy import Policy, TimestepData, TrainingProgress
from crl_core.rollout import Rollout
from crl_core.task import Task

Transitions = dict[str, Tensor]


class QLearnerConfig(PolicyConfig):
    """Settings of the Q-learner."""

    num_envs: int = Field(4, ge=1, description="Environments to collect from.")
    num_steps: int = Field(4, ge=1, description="Steps each plays before an update.")
    learning_starts: int = Field(150, ge=0, description="Steps in the replay buffer before anything is learned.")
    capacity: int = Field(3000, ge=1, description="Rows in the replay buffer.")
    batch_size: int = Field(64, ge=1, description="Rows of an update.")
    gamma: float = Field(0.9, ge=0, le=1, description="Discount factor.")
    epsilon: float = Field(0.2, ge=0, le=1, description="Share of random actions.")


class Network(nn.Module):
    """An encoder and a linear head for the values of actions."""

    def __init__(self, observation_space: Any, num_actions: int) -> None:
        super().__init__()
        self.encoder = make_encoder(observation_space)
        self.head = nn.Linear(self.encoder.num_features, num_actions)

    def forward(self, observations: Tensor, num_actions: Tensor) -> Tensor:
        features = self.encoder(prepare_observations(observations, torch.float32))
        return mask_logits(self.head(features), num_actions)


class QLearner(Policy[QLearnerConfig]):
    """DQN with a target network; its replay buffer keeps whole rows, resets included, and learns from valid ones."""

    training_only: ClassVar[frozenset[str]] = frozenset({"optimizer", "target", "replay"})
    network: Network

    def build(self) -> None:
        self.network = Network(self.observation_space, self.largest_action_space())
        self.target = copy.deepcopy(self.network)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=5e-3)
        self.replay: Transitions = {}
        self.updates = 0

    def runner_options(self, task: Task, *, eval_mode: bool) -> dict[str, Any]:
        if eval_mode:
            return super().runner_options(task, eval_mode=eval_mode)
        return {"num_envs": self.config.num_envs, "num_steps": self.config.num_steps}

    @torch.inference_mode()
    def compute_action(
        self, observations: Tensor, task: Task, last_timestep_data: TimestepData | None, *, eval_mode: bool
    ) -> TimestepData:
        count, num_actions = len(observations), self.num_actions(task)
        greedy = self.network(observations, torch.full((count,), num_actions)).argmax(dim=1)
        if eval_mode:
            return TimestepData(actions=greedy)
        explores = torch.rand(count, generator=self.generator) < self.config.epsilon
        others = torch.randint(num_actions, (count,), generator=self.generator)
        return TimestepData(actions=torch.where(explores, others, greedy))

    def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
        for rollout in rollouts:
            self.remember(rollout)
        rows = self.rows()
        if len(rows) < self.config.learning_starts:
            return {}
        losses = [self.update(rows) for _ in range(4)]
        return {"loss": np.mean(losses, dtype=np.float32)}  # no float, as many have it

    def remember(self, rollout: Rollout) -> None:
        new = {
            "now": rollout.observations[:-1].flatten(0, 1),
            "then": rollout.observations[1:].flatten(0, 1),
            "actions": rollout.actions.flatten(),
            "rewards": rollout.rewards.flatten(),
            "truncated": rollout.truncated.flatten(),
            "terminated": rollout.terminated.flatten(),
            "valid": rollout.valid.flatten(),
            "num_actions": rollout.num_actions.expand(rollout.valid.shape).flatten(),
        }
        joined = {name: torch.cat([self.replay[name], value]) if self.replay else value for name, value in new.items()}
        self.replay = {name: value[-self.config.capacity :] for name, value in joined.items()}

    def rows(self) -> Tensor:
        return self.replay["valid"].nonzero().squeeze(1)

    def ends(self, batch: Transitions) -> Tensor:
        return batch["terminated"]

    def update(self, rows: Tensor) -> float:
        chosen = rows[torch.randint(len(rows), (self.config.batch_size,), generator=self.generator)]
        batch = {name: value[chosen] for name, value in self.replay.items()}
        with torch.no_grad():
            following = self.target(batch["then"], batch["num_actions"]).amax(dim=1).masked_fill(self.ends(batch), 0)
            targets = batch["rewards"].clamp(-1, 1) + self.config.gamma * following
        values = self.network(batch["now"], batch["num_actions"]).gather(1, batch["actions"][:, None]).squeeze(1)
        loss = nn.functional.smooth_l1_loss(values, targets)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.optimizer.step()
        self.updates += 1
        if self.updates % 20 == 0:
            self.target.load_state_dict(self.network.state_dict())
        return loss.item()

    def state_dict(self) -> dict[str, Any]:
        own = {"optimizer": self.optimizer.state_dict(), "target": self.target.state_dict()}
        return {**super().state_dict(), **own, "replay": self.replay, "updates": self.updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.optimizer.load_state_dict(state["optimizer"])
        self.target.load_state_dict(state["target"])
        self.replay, self.updates = state["replay"], state["updates"]


class TakesTruncationForTermination(QLearner):
    def ends(self, batch: Transitions) -> Tensor:
        return batch["terminated"] | batch["truncated"]


class LearnsFromResets(QLearner):
    def rows(self) -> Tensor:
        return torch.arange(len(self.replay["valid"]))


class ForgetsItsTarget(QLearner):
    def state_dict(self) -> dict[str, Any]:
        return {name: value for name, value in super().state_dict().items() if name != "target"}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict({**state, "target": self.target.state_dict()})


class SamplesByTheGlobalGenerator(QLearner):
    def update(self, rows: Tensor) -> float:
        return super().update(rows[torch.randperm(len(rows))])
