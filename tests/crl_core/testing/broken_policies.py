"""The actor-critic, broken in one place each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import torch
from pydantic import Field, field_serializer
from tests.crl_core.testing.actor_critic import ActorCritic, ActorCriticData
from tests.crl_core.testing.actor_critic_config import ActorCriticConfig
from torch import Tensor

from crl_core.config import PolicyConfig
from crl_core.errors import ExperimentError
from crl_core.policy import TimestepData, TrainingProgress
from crl_core.rollout import Rollout
from crl_core.task import Task


class LearnsFromPreviousReward(ActorCritic):
    def rewards(self, rollout: Rollout) -> Tensor:
        return super().rewards(rollout).roll(1, 0)


class LearnsFromNextReward(ActorCritic):
    def rewards(self, rollout: Rollout) -> Tensor:
        return super().rewards(rollout).roll(-1, 0)


class LearnsFromNextObservation(ActorCritic):
    def loss(self, rollout: Rollout) -> Tensor:
        return super().loss(replace(rollout, observations=rollout.observations.roll(-1, 0)))


class LearnsFromPreviousAction(ActorCritic):
    def loss(self, rollout: Rollout) -> Tensor:
        return super().loss(replace(rollout, extras={"samples": rollout.extras["samples"].roll(1, 0)}))


class TakesTruncationForTermination(ActorCritic):
    def returns(self, rollout: Rollout, values: Tensor) -> Tensor:
        return super().returns(replace(rollout, terminated=rollout.terminated | rollout.truncated), values)


class BootstrapsFromTheNextEpisode(ActorCritic):
    def returns(self, rollout: Rollout, values: Tensor) -> Tensor:
        return super().returns(rollout, torch.cat([values[:1], values[2:], values[-1:]]))


class LearnsFromResets(ActorCritic):
    def loss(self, rollout: Rollout) -> Tensor:
        return super().loss(replace(rollout, valid=torch.ones_like(rollout.valid)))


class MasksOnlyTheLoss(ActorCritic):
    def returns(self, rollout: Rollout, values: Tensor) -> Tensor:
        uncut = {"valid": torch.ones_like(rollout.valid), "truncated": torch.zeros_like(rollout.truncated)}
        return super().returns(replace(rollout, **uncut), values)


class BootstrapsFromTerminalObservations(ActorCritic):
    def returns(self, rollout: Rollout, values: Tensor) -> Tensor:
        ends = replace(rollout, truncated=rollout.terminated, terminated=torch.zeros_like(rollout.terminated))
        return super().returns(ends, values)


class CountsItsSteps(ActorCritic):
    steps = 0

    def choose(self, output: Tensor, *, eval_mode: bool) -> Tensor:
        self.steps += 1
        return super().choose(output, eval_mode=eval_mode)


class ActsByTheGlobalGenerator(ActorCritic):
    def choose(self, output: Tensor, *, eval_mode: bool) -> Tensor:
        return output.argmax(dim=-1) if eval_mode else torch.multinomial(output.softmax(dim=-1), 1).squeeze(-1)


class ForgetsItsOptimizer(ActorCritic):
    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        del state["optimizer"]
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict({**state, "optimizer": self.optimizer.state_dict()})


class SavesMoreThanPlainData(ActorCritic):
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "config": self.config}


class TrainsByTheGlobalGenerator(ActorCritic):
    def rewards(self, rollout: Rollout) -> Tensor:
        return super().rewards(rollout) + 0.01 * torch.randn(rollout.rewards.shape)


class EvaluatesItself(ActorCritic):
    def acting_copy(self, *, seed: int, device: torch.device | None = None) -> Self:
        return self

    def choose(self, output: Tensor, *, eval_mode: bool) -> Tensor:
        return super().choose(output, eval_mode=False)


class DropsTheOptimizerOnEvaluation(ActorCritic):
    def acting_copy(self, *, seed: int, device: torch.device | None = None) -> Self:
        self.optimizer.state.clear()
        return super().acting_copy(seed=seed, device=device)


class MeansOverNoRows(ActorCritic):
    def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
        mean = torch.stack([rollout.rewards[rollout.valid].mean() for rollout in rollouts]).mean()
        return {**super().train(rollouts, progress=progress), "mean_reward": mean.item()}


class NormalizesByNothing(ActorCritic):
    def rewards(self, rollout: Rollout) -> Tensor:
        return rollout.rewards / rollout.rewards[rollout.valid].std()


class LearnsTheOpposite(ActorCritic):
    def rewards(self, rollout: Rollout) -> Tensor:
        return -super().rewards(rollout)


class TakesMissingActions(ActorCritic):
    def outputs(self, observations: Tensor, num_actions: Tensor) -> tuple[Tensor, Tensor]:
        return self.network(observations)


class ActsBetweenMinusOneAndOne(ActorCritic):
    def compute_action(self, observations: Tensor, *args: Any, **options: Any) -> ActorCriticData:
        data = super().compute_action(observations, *args, **options)
        return data if self.discrete else replace(data, actions=data.samples.tanh())


class SaysNothingOfItsActions(ActorCritic):
    def compute_action(self, observations: Tensor, *args: Any, **options: Any) -> Any:
        return super().compute_action(observations, *args, **options).actions


class StacksNothing(ActorCritic):
    def compute_action(self, observations: Tensor, *args: Any, **options: Any) -> ActorCriticData:
        data = super().compute_action(observations, *args, **options)
        return replace(data, values=data.values.mean())


class KeepsItsGraph(ActorCritic):
    def compute_action(self, observations: Tensor, *args: Any, **options: Any) -> ActorCriticData:
        data = super().compute_action(observations, *args, **options)
        return replace(data, values=torch.zeros(len(observations), requires_grad=True))


class GivesArrays(ActorCritic):
    def compute_action(self, observations: Tensor, *args: Any, **options: Any) -> Any:
        data = super().compute_action(observations, *args, **options)
        return replace(data, values=data.values.numpy())  # type: ignore[arg-type]  # the fault


class ClipsInPlace(ActorCritic):
    def rewards(self, rollout: Rollout) -> Tensor:
        return rollout.rewards.clamp_(-1, 1)


class ScalesObservationsInPlace(ActorCritic):
    def compute_action(
        self, observations: Tensor, task: Task, last_timestep_data: TimestepData | None, *, eval_mode: bool
    ) -> ActorCriticData:
        observations //= 255
        return super().compute_action(observations, task, last_timestep_data, eval_mode=eval_mode)


class StartsEveryTaskAnew(ActorCritic):
    def on_task_start(self, task: Task) -> None:
        self.build()


class CannotBeSent(ActorCritic):
    def build(self) -> None:
        super().build()
        self.schedule = lambda steps: steps


class OnlyContinuous(ActorCritic):
    def build(self) -> None:
        if self.num_actions_of_all():
            raise ExperimentError("this policy needs continuous actions")
        super().build()

    def num_actions_of_all(self) -> int:
        return sum(int(getattr(space, "n", 0)) for space in self.action_spaces.values())


class RefusesEverything(ActorCritic):
    def build(self) -> None:
        raise ExperimentError("this policy plays nothing")


class FailsOnImages(ActorCritic):
    def outputs(self, observations: Tensor, num_actions: Tensor) -> tuple[Tensor, Tensor]:
        if observations.dtype == torch.uint8:
            raise RuntimeError("Kernel size can't be greater than actual input size")
        return super().outputs(observations, num_actions)


class RaisesItsOwn(ActorCritic):
    def loss(self, rollout: Rollout) -> Tensor:
        raise KeyError("values")


class Rounded(ActorCriticConfig):
    """What is written is not what is read."""

    @field_serializer("gamma")
    def _one_digit(self, gamma: float) -> float:
        return gamma / 2


class Undescribed(PolicyConfig):
    """A setting nobody explains."""

    secret: int = Field(0)


class Required(PolicyConfig):
    """A setting without a default."""

    secret: int = Field(description="Has to be given.")


class Unreasoned(PolicyConfig):
    """A setting that is ignored for no reason."""

    ignored_settings: ClassVar[dict[str, str]] = {"cuda": ""}
