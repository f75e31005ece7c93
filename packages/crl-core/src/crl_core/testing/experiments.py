"""`experiment_checks`: every check of an experiment and of each of its tasks, ready to be run."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
from gymnasium.utils.env_checker import check_env

from crl_core.experiment import Experiment
from crl_core.experiment_source import build_experiment
from crl_core.task import Task
from crl_core.testing import vector_envs
from crl_core.testing.checks import Check, CheckFailure, NotApplicable, demand
from crl_core.testing.contracts import fail_if

__all__ = ["budgets", "experiment_checks", "json_round_trip", "single_environment"]


def json_round_trip(name: str) -> None:
    """An experiment is the same every time it is built, and survives being written as JSON, as in run.json."""
    experiment = build_experiment(name)
    fail_if(build_experiment(name) != experiment, "built twice, it is not the same; build it from constants alone")
    back = Experiment.model_validate(json.loads(json.dumps(experiment.model_dump(mode="json"))))
    fail_if(
        back != experiment,
        "it comes back from JSON changed; each task's class has to be the one its `type` is registered for, with "
        "fields that pydantic writes and reads alike",
    )


def budgets(name: str) -> None:
    """An experiment evaluates something, and as often as it says."""
    experiment = build_experiment(name)
    fail_if(
        not any(task.continual_eval for task in experiment.tasks),
        "no task has continual_eval, so nothing of what is learned is measured",
    )
    every = experiment.continual_testing_freq
    fail_if(
        every is not None and every > experiment.total_steps,
        f"continual_testing_freq is {every}, but all tasks together have {experiment.total_steps:,} steps; leave it "
        "out to evaluate only at the start and at task ends",
    )


def single_environment(task: Task) -> None:
    """A single environment, where the task makes one, passes Gymnasium's own check_env."""
    make_env = getattr(task, "make_env", None)
    if make_env is None:
        raise NotApplicable("the task makes vector environments only")
    env: gymnasium.Env[Any, Any] = make_env(evaluation=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice, not demands
            check_env(env, skip_render_check=True)
    except AssertionError as error:
        raise CheckFailure(f"gymnasium.utils.env_checker.check_env: {error}") from error
    finally:
        env.close()


_OF_EXPERIMENTS: tuple[Callable[[str], None], ...] = (json_round_trip, budgets)
_OF_TASKS: tuple[Callable[[Task], None], ...] = (
    vector_envs.spaces,
    vector_envs.autoreset,
    vector_envs.seeding,
    vector_envs.last_observation,
    vector_envs.evaluation_limit,
    vector_envs.close_twice,
    single_environment,
)


def experiment_checks(name: str) -> list[Check]:
    """Return every check of an experiment; those of a task are called `autoreset[<task's id>]`.

    Args:
        name: the experiment, as `crl run --experiment` takes it.

    Raises:
        UnknownNameError: there is no such experiment.
        ExperimentError: it does not validate.
        PluginError: it cannot be built.
    """
    experiment = build_experiment(name)
    package = type(experiment.tasks[0]).__module__.partition(".")[0]
    whole = [Check(check.__name__, demand(check), package, functools.partial(check, name)) for check in _OF_EXPERIMENTS]
    of_tasks = [
        Check(
            f"{check.__name__}[{task.id}]",
            demand(check),
            type(task).__module__.partition(".")[0],
            functools.partial(check, task),
        )
        for task in experiment.tasks
        for check in _OF_TASKS
    ]
    return whole + of_tasks
