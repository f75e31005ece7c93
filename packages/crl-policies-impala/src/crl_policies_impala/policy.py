"""`ImpalaPolicy`: acts by sampling, learns by V-trace; policies that build on it add to its batch and its loss.

Letters in shapes: T steps, N columns, A actions.
"""

from __future__ import annotations

import itertools
import logging
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import gymnasium
import torch
from torch import Tensor, nn

from crl_core.devices import convolution_dtype, to_device
from crl_core.discrete import choose_actions, log_prob
from crl_core.policy import Policy, TimestepData, TrainingProgress
from crl_core.rollout import Rollout
from crl_core.task import Task
from crl_policies_impala.config import ImpalaConfig
from crl_policies_impala.loss import baseline_loss, entropy_loss, policy_gradient_loss, vtrace
from crl_policies_impala.network import ImpalaNetwork, NetworkOutput
from crl_policies_impala.passes import LearnerThreads, Passes
from crl_policies_impala.runner import count_collectors

__all__ = ["AuxiliaryLoss", "ImpalaPolicy", "ImpalaTimestepData"]

_log = logging.getLogger(__name__)

_OBSERVATION_VALUES_PER_PASS = 2**23  # some 300 rows of Atari: 5 to 20 percent faster than 672 rows in one pass

_ALL_ROWS, _ALL_BUT_LAST, _LAST_ROW = slice(None), slice(None, -1), slice(-1, None)

ConfigT = TypeVar("ConfigT", bound=ImpalaConfig)


@dataclass(kw_only=True)
class ImpalaTimestepData(TimestepData):
    """One acting step.

    Attributes:
        policy_logits: float32 `[N, A]`, masked; what the action was sampled from.
        values: float32 `[N]`.
    """

    policy_logits: Tensor
    values: Tensor


class AuxiliaryLoss(NamedTuple):
    """What a policy adds to IMPALA's loss: the loss, and figures to log by name."""

    loss: Tensor
    metrics: Mapping[str, Tensor]


class ImpalaPolicy(Policy[ConfigT]):
    """IMPALA.

    Extension points for subclasses: `augment` adds columns to the learner batch, `auxiliary_loss` adds to the loss.
    """

    training_only = Policy.training_only | {"_threads"}
    network: ImpalaNetwork

    def build(self) -> None:
        """Make the network and the optimizer.

        Raises:
            ExperimentError: an action space is not Discrete.
        """
        self.network = ImpalaNetwork(
            self.config,
            self.observation_space,
            self.largest_action_space(),
            convolution_dtype=convolution_dtype(self.config.precision, self.device, self.observation_space),
        )
        self.network.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch lacks it
        self.optimizer = self._make_optimizer()
        self._threads = LearnerThreads(self._count_learner_threads())
        self._reward_scale = _RunningScale()

    @classmethod
    def prepare(
        cls, config: ConfigT, *, observation_space: gymnasium.Space[Any], total_steps: int, directory: Path
    ) -> ConfigT:
        """Say how many threads collect, and whether the run can be repeated."""
        if config.learns_while_collecting:
            _log.info("collectors: %d", count_collectors(config.num_collectors, config.num_actors))
            _log.info("runner pipelined: the same seed does not give the same run again; --deterministic does, slower")
        return config

    def runner_options(self, task: Task, *, eval_mode: bool) -> dict[str, Any]:
        """Return the options of the runner that the settings name."""
        if eval_mode:
            parallel = min(self.config.eval_episode_num_parallel, task.continual_eval_num_returns)
            return {"num_envs": parallel, "num_steps": 16}
        options = {"num_envs": self.config.num_actors, "num_steps": self.config.unroll_length}
        if self.config.runner_name != "pipelined":
            return options
        return {
            **options,
            "batch_size": self.config.batch_size,
            "num_collectors": self.config.num_collectors,
            "lock_step": self.config.deterministic,
        }

    @torch.inference_mode()
    def compute_action(
        self, observations: Tensor, task: Task, last_timestep_data: TimestepData | None, *, eval_mode: bool
    ) -> ImpalaTimestepData:
        """Sample actions; in evaluation take the likeliest, unless `no_eval_mode` is set."""
        num_envs = observations.shape[0]
        if last_timestep_data is None:
            last_actions, last_rewards = torch.zeros(num_envs, dtype=torch.int64), torch.zeros(num_envs)
        else:
            last_actions, last_rewards = last_timestep_data.carried()
        outputs: NetworkOutput = self.network(
            to_device(observations, self.device),
            to_device(last_actions, self.device),
            to_device(last_rewards, self.device),
            torch.full((num_envs,), self.num_actions(task), device=self.device),
        )
        greedy = eval_mode and not self.config.no_eval_mode
        actions = choose_actions(outputs.policy_logits, greedy=greedy, generator=self.generator)
        return ImpalaTimestepData(
            actions=actions.cpu(), policy_logits=outputs.policy_logits.cpu(), values=outputs.values.cpu()
        )

    def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
        """Make one update for about every `batch_size` columns, none much smaller; return the means of the figures."""
        learning_rate = self._set_learning_rate(progress)
        collected = Rollout.concatenate(rollouts)
        parts = max(1, collected.num_columns // self.config.batch_size)
        edges = [collected.num_columns * part // parts for part in range(parts + 1)]
        updates = [self._update(collected.columns(start, stop)) for start, stop in itertools.pairwise(edges)]
        names = dict.fromkeys(name for each in updates for name in each)
        means = {name: statistics.fmean(each[name] for each in updates if name in each) for name in names}
        return {**means, "learning_rate": learning_rate}

    def augment(self, batch: Rollout) -> Rollout:
        """Return the learner batch for the new columns `batch`, with whatever columns a subclass adds behind them."""
        return batch

    def auxiliary_loss(self, batch: Rollout, outputs: NetworkOutput, *, num_new: int) -> AuxiliaryLoss | None:
        """Return what a subclass adds to the loss.

        Args:
            batch: the learner batch, as `augment` returned it.
            num_new: how many of its columns, the first ones, are new.
            outputs: the network's outputs for its first T rows: logits `[T, N, A]`, values `[T, N]`. The gradients of
                what is returned reach the network through them; they are no way to gradients of single terms.
        """
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return the network, the generator, the optimizer and the reward scale."""
        return {
            **super().state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "reward_scale": self._reward_scale.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state that `state_dict` returned."""
        super().load_state_dict(state)
        self.optimizer.load_state_dict(state["optimizer"])
        self._reward_scale.load_state_dict(state["reward_scale"])

    def shutdown(self) -> None:
        """End the learner's threads."""
        self._threads.close()

    def automatic_learner_threads(self) -> int:
        """Return how many threads share out a batch on a CPU where the user does not say.

        One, since an update costs about as much as collecting for it, which goes on meanwhile; a subclass whose updates
        cost more returns more.
        """
        return 1

    def _count_learner_threads(self) -> int:
        if self.device.type != "cpu":  # a GPU sees a batch whole
            return 1
        wanted = self.config.learner_threads
        count = self.automatic_learner_threads() if wanted == "auto" else wanted
        _log.info("learner threads: %d", count)
        return count

    def _update(self, new: Rollout) -> dict[str, float]:
        if self.config.normalize_reward:
            self._reward_scale.update(new.rewards[new.valid])
        batch = self.augment(new).to(self.device)
        inputs = _network_inputs(batch, _ALL_BUT_LAST)
        passes = Passes(self.network, inputs, num_parts=self._num_passes(inputs[0]), threads=self._threads)
        outputs = passes.outputs.map(_by_column(batch.num_columns))
        losses = self._losses(batch, outputs, num_new=new.num_columns)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(losses["loss/total"])
        passes.backward()
        losses["gradient_norm"] = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.grad_norm_clipping)
        self.optimizer.step()
        names = list(losses)
        figures = torch.stack([losses[name].detach() for name in names]).tolist()  # one transfer from the device
        return dict(zip(names, figures, strict=True))

    def _losses(self, batch: Rollout, outputs: NetworkOutput, *, num_new: int) -> dict[str, Tensor]:
        """Return the losses by name, given the network's outputs for the first T rows."""
        with torch.no_grad():
            last_values = self._evaluate(batch, _LAST_ROW).values
        log_probs = log_prob(outputs.policy_logits, batch.actions)
        returns = vtrace(
            log_ratios=log_probs.detach() - log_prob(batch.extras["policy_logits"], batch.actions),
            rewards=self._learning_rewards(batch.rewards),
            values=torch.cat([outputs.values.detach(), last_values]),
            terminated=batch.terminated,
            truncated=batch.truncated,
            valid=batch.valid,
            discounting=self.config.discounting,
        )
        policy_gradient = policy_gradient_loss(log_probs, returns.advantages, batch.valid)
        baseline = self.config.baseline_cost * baseline_loss(outputs.values, returns.targets, batch.valid)
        entropy = self.config.entropy_cost * entropy_loss(outputs.policy_logits, batch.valid)
        losses = {
            "loss/policy_gradient": policy_gradient,
            "loss/baseline": baseline,
            "loss/entropy": entropy,
        }
        total = policy_gradient + baseline + entropy
        auxiliary = self.auxiliary_loss(batch, outputs, num_new=num_new)
        if auxiliary is not None:
            total = total + auxiliary.loss
            losses.update(auxiliary.metrics)
        return {"loss/total": total, **losses}

    def _evaluate(self, batch: Rollout, rows: slice = _ALL_ROWS) -> NetworkOutput:
        """Return the network's outputs for R of the T + 1 rows: logits `[R, N, A]`, values `[R, N]`."""
        outputs: NetworkOutput = self.network(*_network_inputs(batch, rows))
        return outputs.map(_by_column(batch.num_columns))

    def _num_passes(self, observations: Tensor) -> int:
        """Return in how many parts the network sees observations: what does not fit into a CPU's caches is slow.

        At least one for each thread that learns.
        """
        if self.device.type != "cpu":
            return 1
        return max(self._threads.count, math.ceil(observations.numel() / _OBSERVATION_VALUES_PER_PASS))

    def _learning_rewards(self, rewards: Tensor) -> Tensor:
        if self.config.normalize_reward:
            rewards = rewards / self._reward_scale.root_mean_square
        return rewards.clamp(-1, 1) if self.config.reward_clipping == "abs_one" else rewards

    def _set_learning_rate(self, progress: TrainingProgress) -> float:
        left = 1 - progress.task_steps / progress.task_num_timesteps if self.config.use_scheduler else 1.0
        learning_rate = self.config.learning_rate * max(0.0, left)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        return learning_rate

    def _make_optimizer(self) -> torch.optim.Optimizer:
        config = self.config
        parameters = self.network.parameters()
        if config.optimizer == "adam":
            return torch.optim.Adam(parameters, lr=config.learning_rate, eps=config.epsilon, foreach=True)
        return torch.optim.RMSprop(
            parameters,
            lr=config.learning_rate,
            alpha=config.alpha,
            eps=config.epsilon,
            momentum=config.momentum,
            foreach=True,
        )


def _network_inputs(batch: Rollout, rows: slice) -> tuple[Tensor, ...]:
    """Return what the network takes of some of the T + 1 rows, row by row, each `[R * N, ...]`."""
    last_rewards = batch.last_rewards[rows]
    return (
        batch.observations[rows].flatten(0, 1),
        batch.last_actions[rows].flatten(),
        last_rewards.flatten(),
        batch.num_actions.expand(last_rewards.shape).flatten(),
    )


def _by_column(num_columns: int) -> Callable[[Tensor], Tensor]:
    """Return what makes `[R, N, ...]` of outputs `[R * N, ...]`."""
    return lambda output: output.view(-1, num_columns, *output.shape[1:])


class _RunningScale:
    """The root mean square of all rewards seen."""

    def __init__(self) -> None:
        self._count = 0
        self._sum_of_squares = 0.0

    def update(self, rewards: Tensor) -> None:
        self._count += rewards.numel()
        self._sum_of_squares += float(rewards.square().sum())

    @property
    def root_mean_square(self) -> float:
        """The scale; 1 while only zeros were seen."""
        return math.sqrt(self._sum_of_squares / self._count) if self._sum_of_squares else 1.0

    def state_dict(self) -> dict[str, float]:
        return {"count": self._count, "sum_of_squares": self._sum_of_squares}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        self._count, self._sum_of_squares = int(state["count"]), state["sum_of_squares"]
