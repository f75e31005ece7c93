"""A small advantage actor-critic that passes every check, made of parts so that a test can break just one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from gymnasium.spaces import Box, Discrete
from tests.crl_core.testing.actor_critic_config import ActorCriticConfig
from torch import Tensor, nn
from torch.distributions import Categorical, Normal

from crl_core.config import PolicyConfig
from crl_core.discrete import mask_logits
from crl_core.distributions import clip_to_box
from crl_core.networks import make_encoder, prepare_observations
from crl_core.plugins import Registered
from crl_core.policy import Policy, TimestepData, TrainingProgress
from crl_core.rollout import Rollout
from crl_core.specs import PolicySpec
from crl_core.task import Task


@dataclass(kw_only=True)
class ActorCriticData(TimestepData):
    """What learning needs again: the actions as sampled, before they are clipped, and the values."""

    samples: Tensor
    values: Tensor


class Network(nn.Module):
    """An encoder and two linear heads: logits or means, and a value."""

    def __init__(self, observation_space: Any, size: int) -> None:
        super().__init__()
        self.encoder = make_encoder(observation_space)
        self.head = nn.Linear(self.encoder.num_features, size)
        self.value = nn.Linear(self.encoder.num_features, 1)
        self.log_std = nn.Parameter(torch.zeros(size))

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        features = self.encoder(prepare_observations(observations, torch.float32))
        return self.head(features), self.value(features).squeeze(-1)


class ActorCritic(Policy[ActorCriticConfig]):
    """A2C, for Discrete actions or one Box."""

    network: Network

    def build(self) -> None:
        space = next(iter(self.action_spaces.values()))
        self.discrete = isinstance(space, Discrete)
        self.network = Network(
            self.observation_space, self.largest_action_space() if self.discrete else int(space.shape[0])
        )
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=self.config.learning_rate)

    def runner_options(self, task: Task, *, eval_mode: bool) -> dict[str, Any]:
        if eval_mode:
            return super().runner_options(task, eval_mode=eval_mode)
        return {"num_envs": self.config.num_envs, "num_steps": self.config.num_steps}

    @torch.inference_mode()
    def compute_action(
        self, observations: Tensor, task: Task, last_timestep_data: TimestepData | None, *, eval_mode: bool
    ) -> ActorCriticData:
        num_actions = torch.full((len(observations),), self.num_actions(task))
        output, values = self.outputs(observations, num_actions)
        samples = self.choose(output, eval_mode=eval_mode)
        space = self.action_spaces[task.action_space_id]
        actions = clip_to_box(samples, space) if isinstance(space, Box) else samples
        return ActorCriticData(actions=actions, samples=samples, values=values)

    def outputs(self, observations: Tensor, num_actions: Tensor) -> tuple[Tensor, Tensor]:
        output, values = self.network(observations)
        return (mask_logits(output, num_actions) if self.discrete else output), values

    def choose(self, output: Tensor, *, eval_mode: bool) -> Tensor:
        if eval_mode:
            return output.argmax(dim=-1) if self.discrete else output
        if self.discrete:
            return torch.multinomial(output.softmax(dim=-1), 1, generator=self.generator).squeeze(-1)
        noise = torch.randn(output.shape, generator=self.generator)
        return output + self.network.log_std.exp() * noise

    def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
        losses = [self.loss(rollout) for rollout in rollouts if rollout.steps]
        if not losses:
            return {}
        loss = torch.stack(losses).mean()
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        return {"loss": loss.item()}

    def loss(self, rollout: Rollout) -> Tensor:
        shape = (rollout.num_steps + 1, rollout.num_columns)
        output, values = self.outputs(
            rollout.observations.flatten(0, 1), rollout.num_actions.repeat(rollout.num_steps + 1)
        )
        output, values = output.view(*shape, -1)[:-1], values.view(shape)
        returns = self.returns(rollout, values.detach())
        advantages = returns - values[:-1]
        distribution = Categorical(logits=output) if self.discrete else Normal(output, self.network.log_std.exp())
        log_probs, entropy = distribution.log_prob(rollout.extras["samples"]), distribution.entropy()
        if not self.discrete:
            log_probs, entropy = log_probs.sum(-1), entropy.sum(-1)
        parts = -log_probs * advantages.detach() + 0.5 * advantages.square() - 0.02 * entropy
        return parts[rollout.valid].mean()

    def rewards(self, rollout: Rollout) -> Tensor:
        return rollout.rewards.clamp(-1, 1)

    def returns(self, rollout: Rollout, values: Tensor) -> Tensor:
        returns, following = [], values[-1]
        rewards = self.rewards(rollout)
        for t in reversed(range(rollout.num_steps)):
            following = torch.where(rollout.truncated[t], values[t + 1], following)
            following = following.masked_fill(rollout.terminated[t], 0.0)
            following = rewards[t] + self.config.gamma * following
            following = torch.where(rollout.valid[t], following, values[t])
            returns.append(following)
        return torch.stack(returns[::-1])

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.optimizer.load_state_dict(state["optimizer"])


def registered(
    policy: type[Policy[Any]],
    config: type[PolicyConfig] = ActorCriticConfig,
    presets: Mapping[str, str] = MappingProxyType({}),
) -> Registered[PolicySpec]:
    """Return a policy as if a plugin had registered it."""
    spec = PolicySpec(
        name="actor-critic",
        summary="For tests.",
        policy=f"{policy.__module__}:{policy.__name__}",
        config=f"{config.__module__}:{config.__name__}",
        presets=presets,
    )
    return Registered(spec=spec, distribution="tests", version="0")
