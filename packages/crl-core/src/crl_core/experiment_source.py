"""`build_experiment`: the experiment that a user named, whether a plugin, a file or Gymnasium has it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from crl_core.data_files import read_data
from crl_core.environments import make_environment
from crl_core.errors import CrlError, ExperimentError, PluginError, did_you_mean
from crl_core.experiment import Experiment, task_class
from crl_core.experiment_names import check_experiment, experiment_file, gymnasium_environments
from crl_core.gymnasium_tasks import ImageTask, VectorTask
from crl_core.images import shows_images
from crl_core.plugins import registry
from crl_core.specs import load_object
from crl_core.task import Task
from crl_core.validation import listed, shortened, shown

__all__ = ["build_experiment"]

_STEPS_PER_TASK = 100_000
_STEPS_BETWEEN_EVALUATIONS = 20_000
_LARGEST_IMAGE = 84  # height and width that the usual networks are made for


def build_experiment(name: str) -> Experiment:
    """Make the experiment a user named.

    Args:
        name: a registered experiment; or the path of a `.json` or `.toml` file with the fields of an `Experiment`, each
            task with the `type` that a plugin registers; or `gym:` and environments separated by commas, each as the
            `env` of an `ImageTask` or `VectorTask`. Those get 100,000 steps each and an evaluation every 20,000; images
            larger than 84x84 are resized to that.

    Raises:
        UnknownNameError: there is no such experiment.
        ExperimentError: it cannot be read, or does not validate.
        PluginError: it cannot be built.
    """
    check_experiment(name)
    file, environments = experiment_file(name), gymnasium_environments(name)
    if file is not None:
        return _from_file_safely(file)
    try:
        return _registered(name) if environments is None else _from_gymnasium(environments)
    except ValidationError as error:
        raise _invalid(f"experiment '{name}'", _lines(error)) from error


def _registered(name: str) -> Experiment:
    entry = registry().experiment(name)
    build = load_object(entry.spec.build, owner=entry.owner)
    try:
        experiment = build()
    except (CrlError, ValidationError):
        raise
    except Exception as error:
        raise PluginError(
            f"experiment '{name}' ({entry.owner}) cannot be built: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(experiment, Experiment):
        raise PluginError(
            f"experiment '{name}' ({entry.owner}) returned a {type(experiment).__name__}, where a "
            "crl_core.Experiment was expected"
        )
    return experiment


def _from_gymnasium(environments: Sequence[str]) -> Experiment:
    tasks: list[Task] = []
    for env in environments:
        again = sum(each == env for each in environments[: len(tasks)])
        tasks.append(_gymnasium_task(env, f"{env}-{again + 1}" if again else env))
    spaces = [task.action_space for task in tasks]
    return Experiment(
        tasks=tuple(
            task.model_copy(update={"action_space_id": spaces.index(space)})
            for task, space in zip(tasks, spaces, strict=True)
        ),
        continual_testing_freq=_STEPS_BETWEEN_EVALUATIONS,
    )


def _gymnasium_task(env: str, task_id: str) -> Task:
    made = make_environment(env, {})
    space = made.observation_space
    made.close()
    if not shows_images(space):
        return VectorTask(id=task_id, env=env, num_timesteps=_STEPS_PER_TASK)
    height, width = (space.shape or ())[:2]
    size = (_LARGEST_IMAGE, _LARGEST_IMAGE) if max(height, width) > _LARGEST_IMAGE else None
    return ImageTask(id=task_id, env=env, num_timesteps=_STEPS_PER_TASK, image_size=size)


def _from_file_safely(path: Path) -> Experiment:
    try:
        return _from_file(path)
    except CrlError:
        raise
    except Exception as error:  # what a file says reaches tasks of plugins, and environments
        raise ExperimentError(f"{path}: it cannot be built: {type(error).__name__}: {error}") from error


def _from_file(path: Path) -> Experiment:
    data = read_data(path, error=ExperimentError)
    if not isinstance(data, dict):
        raise ExperimentError(f"{path}: an experiment is an object with 'tasks', which is a list of objects")
    if isinstance(data.get("tasks"), list):
        tasks, lines = _tasks(data["tasks"])
        if lines:
            raise _invalid(str(path), lines)
        data = {**data, "tasks": tasks}
    try:
        return Experiment.model_validate(data)
    except ValidationError as error:
        raise _invalid(str(path), _lines(error, fields=Experiment.model_fields)) from error
    except ExperimentError as error:
        raise ExperimentError(f"{path}: {error}") from error.__cause__


def _tasks(data: Iterable[Any]) -> tuple[list[Task], list[str]]:
    """Return the tasks of a file, and one line for each thing that is wrong with one."""
    tasks: list[Task] = []
    lines: list[str] = []
    for index, fields in enumerate(data):
        where = f"tasks[{index}]"
        if not isinstance(fields, Mapping):
            lines.append(f"{where}: should be an object with the fields of a task, got {fields!r}")
            continue
        where += f" '{shown(fields['id'])}'" if "id" in fields else ""
        try:
            kind = task_class(fields)
        except (CrlError, ValueError) as error:
            lines.append(f"{where}: {error}")
            continue
        try:
            tasks.append(kind.model_validate(fields))
        except ValidationError as error:
            lines += [f"{where}: {line}" for line in _lines(error, fields=kind.model_fields)]
    return tasks, lines


def _invalid(what: str, lines: Sequence[str]) -> ExperimentError:
    return ExperimentError(shortened("\n  ".join([f"{what} does not validate:", *listed(lines)])))


def _lines(error: ValidationError, *, fields: Collection[str] = ()) -> list[str]:
    """Return one line for each problem; `fields` are those there are, for hints."""
    return [_line(problem, fields) for problem in error.errors(include_url=False)]


def _line(problem: Mapping[str, Any], fields: Collection[str]) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{where}: is not a field.{did_you_mean(where, fields)}"
    if problem["type"] == "missing":
        return f"{where}: is required"
    words = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if not where:
        return words  # a rule about several fields, which names them itself
    value = repr(problem["input"])
    return f"{where}: {words}, got {value if len(value) <= 80 else f'{value[:77]}...'}"
