"""The policy: how it acts and how it learns.

Letters in shapes: T steps, N environments, B rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from crl_core import Policy, Rollout, Task, TimestepData, TrainingProgress
from crl_core.discrete import choose_actions
from torch import Tensor, nn

from crl_policies_my_algo.config import MyAlgoConfig
from crl_policies_my_algo.loss import actor_critic_losses, n_step_returns
from crl_policies_my_algo.network import MyAlgoNetwork


class _Batch(NamedTuple):
    """Valid rows of rollouts: what `actor_critic_losses` takes."""

    logits: Tensor
    values: Tensor
    actions: Tensor
    returns: Tensor


class MyAlgoPolicy(Policy[MyAlgoConfig]):
    """Advantage actor-critic with discrete actions: one gradient step on what was just collected."""

    network: MyAlgoNetwork

    def build(self) -> None:
        """Make the network and the optimizer."""
        self.network = MyAlgoNetwork(self.observation_space, self.largest_action_space())
        self.network.to(self.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=self.config.learning_rate, eps=1e-5)

    def runner_options(self, task: Task, *, eval_mode: bool) -> dict[str, Any]:
        """Return how many environments collect, and for how many steps."""
        if eval_mode:
            return super().runner_options(task, eval_mode=eval_mode)
        return {"num_envs": self.config.num_envs, "num_steps": self.config.num_steps}

    @torch.inference_mode()
    def compute_action(
        self, observations: Tensor, task: Task, last_timestep_data: TimestepData | None, *, eval_mode: bool
    ) -> TimestepData:
        """Sample actions; in evaluation take the likeliest.

        What learning needs to know of this moment, such as the probability of the action, goes into the fields of a
        subclass of `TimestepData`, and comes back in `Rollout.extras`. This algorithm needs nothing.
        """
        num_actions = torch.full((len(observations),), self.num_actions(task), device=self.device)
        logits, _ = self.network(observations.to(self.device), num_actions)
        actions = choose_actions(logits, greedy=eval_mode, generator=self.generator)
        return TimestepData(actions=actions.cpu())

    def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
        """Make one gradient step on all valid rows together, and return the metrics."""
        batches = [self._evaluate(rollout.to(self.device)) for rollout in rollouts]
        batch = _Batch(*(torch.cat(parts) for parts in zip(*batches, strict=True)))
        if not len(batch.actions):
            return {}  # nothing but resets
        losses = actor_critic_losses(**batch._asdict())
        total = losses.policy + self.config.value_loss_coef * losses.value + self.config.entropy_coef * losses.entropy
        self.optimizer.zero_grad()
        torch.autograd.backward(total)
        gradient_norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.max_grad_norm)
        self.optimizer.step()
        return {
            "loss/policy": losses.policy.item(),
            "loss/value": losses.value.item(),
            "loss/entropy": losses.entropy.item(),
            "gradient_norm": gradient_norm.item(),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return all that training changes."""
        return {**super().state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state that `state_dict` returned."""
        super().load_state_dict(state)
        self.optimizer.load_state_dict(state["optimizer"])

    def _evaluate(self, rollout: Rollout) -> _Batch:
        """Evaluate all T + 1 observations of N environments, and return the valid rows of the T steps."""
        shape = (rollout.num_steps + 1, rollout.num_columns)
        logits, values = self.network(rollout.observations.flatten(0, 1), rollout.num_actions.repeat(shape[0]))
        logits, values = logits.view(*shape, -1), values.view(shape)
        returns = n_step_returns(
            rewards=rollout.rewards.clamp(-1, 1) if self.config.clip_reward else rollout.rewards,
            values=values.detach(),
            terminated=rollout.terminated,
            truncated=rollout.truncated,
            valid=rollout.valid,
            gamma=self.config.gamma,
        )
        valid = rollout.valid
        return _Batch(logits[:-1][valid], values[:-1][valid], rollout.actions[valid], returns[valid])
