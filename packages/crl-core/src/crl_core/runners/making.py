"""`make_runner`: the registered runner of a name, made for a policy."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from crl_core.errors import PluginError
from crl_core.plugins import registry
from crl_core.specs import load_object
from crl_core.task import Task

if TYPE_CHECKING:
    from crl_core.policy import Policy
    from crl_core.runners.base import EnvironmentRunner

__all__ = ["make_runner"]


def make_runner(
    name: str,
    policy: Policy[Any],
    task: Task,
    *,
    seed: np.random.SeedSequence,
    eval_mode: bool,
    options: Mapping[str, Any],
) -> EnvironmentRunner:
    """Make the runner that is registered as `name`, or as `distribution/name`.

    Args:
        name: the runner.
        policy: what acts.
        task: what is played.
        seed: what all its random streams derive from.
        eval_mode: whether this is evaluation.
        options: what else it is made with, see `Policy.runner_options`.

    Raises:
        UnknownNameError: that runner is not installed.
        PluginError: it does not take these options.
    """
    entry = registry().runner(name)
    runner_class = load_object(entry.spec.runner, owner=entry.owner)
    try:
        inspect.signature(runner_class).bind(policy, task, seed=seed, eval_mode=eval_mode, **options)
    except (TypeError, ValueError) as error:  # the second where there is no signature
        raise PluginError(
            f"runner '{name}' ({entry.owner}) cannot be made with the options that {type(policy).__name__} has for "
            f"it, {', '.join(options) or 'none'}: {error}. Choose another --runner, or report this to the authors "
            "of both."
        ) from error
    runner: EnvironmentRunner = runner_class(policy, task, seed=seed, eval_mode=eval_mode, **options)
    return runner
