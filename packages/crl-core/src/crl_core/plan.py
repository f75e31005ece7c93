"""`RunPlan`: a run with everything about it decided and checked, and nothing written yet."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from crl_core.config import PolicyConfig, RunConfig
from crl_core.devices import select_device
from crl_core.errors import CrlError, PluginError
from crl_core.experiment import Experiment
from crl_core.experiment_source import build_experiment
from crl_core.plugins import Registered, registry
from crl_core.policy import Policy, Workspace
from crl_core.run_directory import check_run_directory, default_run_directory, environment_record
from crl_core.seeding import Purpose, seed_sequence, torch_seed
from crl_core.specs import PolicySpec, load_object

__all__ = ["RunPlan", "load_policy_class", "plan_run"]


@dataclass(frozen=True)
class RunPlan:
    """One policy on one experiment with one seed.

    Attributes:
        config: the settings every run has.
        policy: where the policy comes from.
        policy_class: the policy.
        policy_config: its settings.
        experiment: the tasks, with the run's overrides applied.
        device: where the network lives.
        directory: the run directory, not made yet.
        run_id: a name for the run that no other has.
        queue: for a run of a config file, which file and entry, and the flags that went before its settings.
    """

    config: RunConfig
    policy: Registered[PolicySpec]
    policy_class: type[Policy[Any]]
    policy_config: PolicyConfig
    experiment: Experiment
    device: torch.device
    directory: Path
    run_id: str
    queue: Mapping[str, Any] | None = None

    def make_policy(self) -> Policy[Any]:
        """Make the policy; nothing is written by that either.

        Raises:
            CrlError: the policy cannot play the experiment.
            PluginError: it cannot be made.
        """
        try:
            return self.policy_class(
                self.policy_config,
                self.experiment.observation_space,
                self.experiment.action_spaces,
                task_ids=[task.id for task in self.experiment.tasks],
                device=self.device,
                seed=torch_seed(seed_sequence(self.config.seed, Purpose.POLICY)),
                workspace=Workspace(self.directory, self.run_id),
            )
        except CrlError:
            raise
        except Exception as error:
            raise PluginError(
                f"policy '{self.policy.spec.name}' ({self.policy.owner}) cannot be made: {type(error).__name__}: "
                f"{error}. Update that package, or report this to its authors."
            ) from error

    def record(self) -> dict[str, Any]:
        """Return the run as plain data: what run.json holds and `--dry-run` prints."""
        return {
            "run_id": self.run_id,
            **({"queue": dict(self.queue)} if self.queue is not None else {}),
            "run": self.config.model_dump(mode="json"),
            "policy": {
                "name": self.policy.spec.name,
                "distribution": self.policy.distribution,
                "version": self.policy.version,
                "settings": self.policy_config.model_dump(mode="json"),
            },
            "experiment": {"name": self.config.experiment, **self.experiment.model_dump(mode="json")},
            "device": str(self.device),
            "plugins": {
                plugin.distribution: plugin.version for plugin in registry().plugins if plugin.state == "loaded"
            },
            "environment": environment_record(),
        }


def plan_run(config: RunConfig, policy_config: PolicyConfig, *, queue: Mapping[str, Any] | None = None) -> RunPlan:
    """Decide everything about a run and check it against this machine; nothing is written.

    Args:
        config: the settings every run has.
        policy_config: the policy's settings.
        queue: what `RunPlan.queue` says.

    Raises:
        CrlError: the run could not work.
    """
    policy = registry().policy(config.policy)
    experiment = override(build_experiment(config.experiment), config)
    directory = (
        Path(config.output_dir)
        if config.output_dir is not None
        else default_run_directory(policy.spec.name, config.experiment)
    )
    check_run_directory(directory)
    device = select_device(config.device)
    policy_class = load_policy_class(policy)
    return RunPlan(
        config=config,
        policy=policy,
        policy_class=policy_class,
        policy_config=policy_class.prepare(
            policy_config,
            observation_space=experiment.observation_space,
            total_steps=experiment.total_steps,
            directory=directory,
        ),
        experiment=experiment,
        device=device,
        directory=directory,
        run_id=f"{directory.absolute().name}-{uuid.uuid4().hex[:8]}",
        queue=queue,
    )


def load_policy_class(policy: Registered[PolicySpec]) -> type[Policy[Any]]:
    """Import a registered policy's class.

    Raises:
        PluginError: it cannot be imported, or is no policy.
    """
    policy_class = load_object(policy.spec.policy, owner=policy.owner)
    if not (isinstance(policy_class, type) and issubclass(policy_class, Policy)):
        raise PluginError(f"{policy.owner} names '{policy.spec.policy}' as a policy, but it is no crl_core.Policy")
    return policy_class


def override(experiment: Experiment, config: RunConfig) -> Experiment:
    """Return the experiment with the run's own budgets and evaluation settings where it has any."""

    def given(*names: str) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(config, name)) is not None}

    for_tasks = given("num_timesteps", "continual_eval_num_returns", "eval_max_steps", "environment_threads")
    return experiment.model_copy(
        update={
            "tasks": tuple(task.model_copy(update=for_tasks) for task in experiment.tasks),
            **given("cycle_count", "continual_testing_freq"),
        }
    )
