"""`PpoPolicy`: acts by sampling, learns from each rollout in several passes over shuffled minibatches.

Letters in shapes: T steps, N columns, B rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor, nn

from crl_core.devices import convolution_dtype, to_device
from crl_core.distributions import clip_to_box
from crl_core.errors import ExperimentError
from crl_core.policy import Policy, TimestepData, TrainingProgress
from crl_core.rollout import Rollout
from crl_core.task import Task
from crl_policies_ppo.config import PpoConfig
from crl_policies_ppo.loss import (
    Advantages,
    clipped_surrogate_loss,
    clipped_value_loss,
    gae,
    n_step,
    normalize,
    ratio_statistics,
    value_loss,
)
from crl_policies_ppo.network import NetworkOutput, PpoNetwork

__all__ = ["ContinuousTimestepData", "PpoPolicy", "PpoTimestepData"]


@dataclass(kw_only=True)
class PpoTimestepData(TimestepData):
    """One acting step.

    Attributes:
        log_probs: float32 `[N]`, log probability of each action.
        values: float32 `[N]`.
    """

    log_probs: Tensor
    values: Tensor


@dataclass(kw_only=True)
class ContinuousTimestepData(PpoTimestepData):
    """One acting step with continuous actions.

    Attributes:
        samples: float32 `[N, *act]`, what `log_probs` speak of; `actions` are these, clipped to the Box.
    """

    samples: Tensor


class _Batch(NamedTuple):
    """Valid rows of rollouts, in any order; prepared observations, samples `[B, *act]`, the rest `[B]`."""

    prepared: Tensor
    samples: Tensor
    num_actions: Tensor
    log_probs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor

    def rows(self, indices: Tensor) -> _Batch:
        """Return the rows that `indices [b]` name."""
        return _Batch(*(field[indices] for field in self))

    @staticmethod
    def concatenate(batches: Sequence[_Batch]) -> _Batch:
        """Return the rows of all batches; a single one is returned as it is."""
        return batches[0] if len(batches) == 1 else _Batch(*map(torch.cat, zip(*batches, strict=True)))


class PpoPolicy(Policy[PpoConfig]):
    """PPO, with discrete actions or with continuous ones."""

    network: PpoNetwork

    def build(self) -> None:
        """Make the network and the optimizer.

        Raises:
            ExperimentError: the action spaces are neither Discrete nor a Box of real numbers.
        """
        self.network = PpoNetwork(
            self.observation_space,
            self._action_space(),
            convolution_dtype=convolution_dtype(self.config.precision, self.device, self.observation_space),
        )
        self.network.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch lacks it
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=self.config.learning_rate, eps=self.config.eps, fused=True
        )

    def runner_options(self, task: Task, *, eval_mode: bool) -> dict[str, Any]:
        """Return the options of the runner."""
        if eval_mode:
            return super().runner_options(task, eval_mode=eval_mode)
        return {"num_envs": self.config.num_processes, "num_steps": self.config.num_steps}

    @torch.inference_mode()
    def compute_action(
        self, observations: Tensor, task: Task, last_timestep_data: TimestepData | None, *, eval_mode: bool
    ) -> PpoTimestepData:
        """Sample actions; in evaluation take the likeliest, unless `no_eval_mode` is set; clip those of a Box to it."""
        num_actions = torch.full((observations.shape[0],), self.num_actions(task), device=self.device)
        outputs = self._evaluate(to_device(observations, self.device), num_actions)
        greedy = eval_mode and not self.config.no_eval_mode
        samples = outputs.policy.mode() if greedy else outputs.policy.sample(self.generator)
        log_probs, values = outputs.policy.log_prob(samples).cpu(), outputs.values.cpu()
        samples = samples.cpu()
        box = self.action_spaces[task.action_space_id]
        if not isinstance(box, Box):
            return PpoTimestepData(actions=samples, log_probs=log_probs, values=values)
        return ContinuousTimestepData(
            actions=clip_to_box(samples, box), samples=samples, log_probs=log_probs, values=values
        )

    def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
        """Make `ppo_epoch` passes over all valid rows in `num_mini_batch` parts; return the means of the figures.

        Advantages are estimated once, and normalized over the valid rows of all rollouts together, which may be of
        different lengths. Rollouts without a valid row change nothing.
        """
        learning_rate = self._set_learning_rate(progress)
        batch = _Batch.concatenate([self._batch(rollout.to(self.device)) for rollout in rollouts])
        num_rows = len(batch.values)
        if not num_rows:
            return {"learning_rate": learning_rate}
        batch = batch._replace(advantages=normalize(batch.advantages))
        updates = [self._update(batch.rows(indices)) for indices in self._minibatches(num_rows)]
        figures = torch.stack([torch.stack([*each.values()]) for each in updates])
        means = figures.mean(dim=0).tolist()  # one transfer from the device
        return {**dict(zip(updates[0], means, strict=True)), "learning_rate": learning_rate}

    def state_dict(self) -> dict[str, Any]:
        """Return the network, the generator and the optimizer."""
        return {**super().state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state that `state_dict` returned."""
        super().load_state_dict(state)
        self.optimizer.load_state_dict(state["optimizer"])

    def _action_space(self) -> Box | Discrete[Any]:
        """Return the Box that all tasks share, or a Discrete space of the most actions that any task has."""
        first = next(iter(self.action_spaces.values()))
        if not isinstance(first, Box):
            return Discrete(self.largest_action_space())
        if not np.issubdtype(first.dtype, np.floating):
            raise ExperimentError(
                f"PpoPolicy needs Discrete actions or a Box of real numbers, but this experiment has {first}; wrap its "
                "environments so that they take such actions"
            )
        return first

    def _evaluate(self, observations: Tensor, num_actions: Tensor) -> NetworkOutput:
        outputs: NetworkOutput = self.network(self.network.prepare(observations), num_actions)
        return outputs

    @torch.no_grad()
    def _batch(self, rollout: Rollout) -> _Batch:
        """Return the rollout's valid rows with all that is computed once for every pass; advantages as estimated."""
        valid = rollout.valid
        advantages, returns = self._advantages(rollout)
        return _Batch(
            prepared=self.network.prepare(rollout.observations[:-1][valid]),
            samples=rollout.extras.get("samples", rollout.actions)[valid],
            num_actions=rollout.num_actions.expand(valid.shape)[valid],
            log_probs=rollout.extras["log_probs"][valid],
            values=rollout.extras["values"][valid],
            advantages=advantages[valid],
            returns=returns[valid],
        )

    def _advantages(self, rollout: Rollout) -> Advantages:
        """Return advantages and returns `[T, N]`; only the values of the last observations were not stored."""
        last_values = self._evaluate(rollout.observations[-1], rollout.num_actions).values
        known = {
            "rewards": rollout.rewards.clamp(-1, 1) if self.config.clip_reward else rollout.rewards,
            "values": torch.cat([rollout.extras["values"], last_values[None]]),
            "terminated": rollout.terminated,
            "truncated": rollout.truncated,
            "valid": rollout.valid,
        }
        if self.config.use_gae:
            return gae(**known, gamma=self.config.gamma, gae_lambda=self.config.gae_lambda)
        return n_step(**known, gamma=self.config.gamma)

    def _minibatches(self, num_rows: int) -> Iterator[Tensor]:
        """Yield the row indices of each update, in parts as equal as can be, newly shuffled for every pass."""
        parts = min(self.config.num_mini_batch, num_rows)
        for _ in range(self.config.ppo_epoch):
            shuffled = torch.randperm(num_rows, generator=self.generator, device=self.device)
            yield from shuffled.tensor_split(parts)

    def _update(self, batch: _Batch) -> dict[str, Tensor]:
        config = self.config
        outputs: NetworkOutput = self.network(batch.prepared, batch.num_actions)
        log_probs = outputs.policy.log_prob(batch.samples)
        entropy = outputs.policy.entropy().mean()
        losses = {
            "loss/policy": clipped_surrogate_loss(
                log_probs, batch.log_probs, batch.advantages, clip_param=config.clip_param
            ),
            "loss/value": config.value_loss_coef * self._value_loss(outputs.values, batch),
            "loss/entropy": -config.entropy_coef * entropy,
        }
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack([*losses.values()]).sum())
        gradient_norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.max_grad_norm)
        self.optimizer.step()
        moved = ratio_statistics(log_probs.detach(), batch.log_probs, clip_param=config.clip_param)
        return {
            **{name: loss.detach() for name, loss in losses.items()},
            "entropy": entropy.detach(),
            "approx_kl": moved.approx_kl,
            "clip_fraction": moved.clip_fraction,
            "gradient_norm": gradient_norm,
        }

    def _value_loss(self, values: Tensor, batch: _Batch) -> Tensor:
        if self.config.use_clipped_value_loss:
            return clipped_value_loss(values, batch.values, batch.returns, clip_param=self.config.clip_param)
        return value_loss(values, batch.returns)

    def _set_learning_rate(self, progress: TrainingProgress) -> float:
        decays = self.config.use_linear_lr_decay
        left = 1 - progress.total_steps / self.config.decay_over_steps if decays else 1.0
        learning_rate = self.config.learning_rate * max(0.0, left)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        return learning_rate
