"""The core of a plugin ecosystem for continual reinforcement learning.

Public names resolve when they are first used, so importing this package, which every plugin does, costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crl_core.config import PolicyConfig, RunConfig
    from crl_core.errors import CrlError
    from crl_core.experiment import Experiment
    from crl_core.gymnasium_tasks import ImageTask, VectorTask
    from crl_core.hookspecs import hookimpl
    from crl_core.policy import Policy, TimestepData, TrainingProgress, Workspace
    from crl_core.rollout import Rollout
    from crl_core.runners.base import CollectedData, EnvironmentRunner, Episode
    from crl_core.specs import CommandSpec, ExperimentSpec, PolicySpec, RunnerSpec, TaskTypeSpec
    from crl_core.task import Task

    __version__: str

__all__ = [
    "CollectedData",
    "CommandSpec",
    "CrlError",
    "EnvironmentRunner",
    "Episode",
    "Experiment",
    "ExperimentSpec",
    "ImageTask",
    "Policy",
    "PolicyConfig",
    "PolicySpec",
    "Rollout",
    "RunConfig",
    "RunnerSpec",
    "Task",
    "TaskTypeSpec",
    "TimestepData",
    "TrainingProgress",
    "VectorTask",
    "Workspace",
    "__version__",
    "hookimpl",
]

_MODULES = {
    "CollectedData": "crl_core.runners.base",
    "CommandSpec": "crl_core.specs",
    "CrlError": "crl_core.errors",
    "EnvironmentRunner": "crl_core.runners.base",
    "Episode": "crl_core.runners.base",
    "Experiment": "crl_core.experiment",
    "ExperimentSpec": "crl_core.specs",
    "ImageTask": "crl_core.gymnasium_tasks",
    "Policy": "crl_core.policy",
    "PolicyConfig": "crl_core.config",
    "PolicySpec": "crl_core.specs",
    "Rollout": "crl_core.rollout",
    "RunConfig": "crl_core.config",
    "RunnerSpec": "crl_core.specs",
    "Task": "crl_core.task",
    "TaskTypeSpec": "crl_core.specs",
    "TimestepData": "crl_core.policy",
    "TrainingProgress": "crl_core.policy",
    "VectorTask": "crl_core.gymnasium_tasks",
    "Workspace": "crl_core.policy",
    "hookimpl": "crl_core.hookspecs",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = importlib.import_module("importlib.metadata").version("crl-core")
    elif name in _MODULES:
        value = getattr(importlib.import_module(_MODULES[name]), name)
    else:
        raise AttributeError(f"module 'crl_core' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
