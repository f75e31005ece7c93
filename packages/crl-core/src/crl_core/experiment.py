"""`Experiment`: an ordered list of tasks, walked `cycle_count` times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import gymnasium
from gymnasium.spaces import Box, Discrete
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from crl_core.errors import PluginError
from crl_core.plugins import registry
from crl_core.specs import load_object
from crl_core.task import Task

__all__ = ["Experiment", "task_class"]


class Experiment(BaseModel):
    """What is held the same across policies: tasks, their order, their budgets and when they are evaluated.

    All tasks share one observation space, and one action space per `action_space_id`. Action spaces are all Discrete,
    of any sizes, or one Box common to all tasks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tasks: tuple[SerializeAsAny[Task], ...] = Field(
        min_length=1, description="The tasks, in the order they are trained."
    )
    cycle_count: int = Field(1, ge=1, description="Walks through the tasks.")
    continual_testing_freq: int | None = Field(
        None, ge=1, description="Steps between two evaluations; None evaluates only at the start and at task ends."
    )

    @field_validator("tasks", mode="before")
    @classmethod
    def _resolve_types(cls, tasks: object) -> object:
        """Make each task that is given as data an instance of the class its `type` names."""
        if not isinstance(tasks, (list, tuple)):
            return tasks
        return tuple(task_class(task).model_validate(task) if isinstance(task, Mapping) else task for task in tasks)

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Self:
        ids = [task.id for task in self.tasks]
        repeated = sorted({task_id for task_id in ids if ids.count(task_id) > 1})
        if repeated:
            raise ValueError(f"task ids must be unique, but these repeat: {', '.join(repeated)}")
        if all(task.eval_mode for task in self.tasks):
            raise ValueError("every task is an eval_mode task, so nothing would be trained")
        self._check_spaces()
        return self

    def _check_spaces(self) -> None:
        first, *others = self.tasks
        space = first.observation_space
        for task in others:
            if task.observation_space != space:
                raise ValueError(
                    f"all tasks must share one observation space, but '{first.id}' has {space} and '{task.id}' has "
                    f"{task.observation_space}; preprocess or wrap them so that they do"
                )
        seen: dict[int | str, tuple[Task, gymnasium.Space[Any]]] = {}
        for task in self.tasks:
            action_space = task.action_space
            owner, known = seen.setdefault(task.action_space_id, (task, action_space))
            if known != action_space:
                raise ValueError(
                    f"tasks '{owner.id}' and '{task.id}' share action_space_id {task.action_space_id!r}, but one has "
                    f"{known} and the other {action_space}; give them different ids"
                )
        spaces = [known for _, known in seen.values()]
        discrete = all(isinstance(each, Discrete) and each.start == 0 for each in spaces)
        one_box = all(isinstance(each, Box) and each == spaces[0] for each in spaces)
        if not (discrete or one_box):
            raise ValueError("action spaces must be all Discrete and start at 0, or one Box common to all tasks")

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """The observation space all tasks share."""
        return self.tasks[0].observation_space

    @property
    def action_spaces(self) -> dict[int | str, gymnasium.Space[Any]]:
        """The action space of each `action_space_id`."""
        return {task.action_space_id: task.action_space for task in self.tasks}

    @property
    def total_steps(self) -> int:
        """The training steps that the whole experiment budgets."""
        return self.cycle_count * sum(task.num_timesteps for task in self.tasks if not task.eval_mode)


def task_class(data: Mapping[str, Any]) -> type[Task]:
    """Return the class that a task given as data belongs to.

    Raises:
        ValueError: the data has no `type`.
        UnknownNameError: no plugin offers that type.
        PluginError: its class cannot be imported, or is no `Task`.
    """
    type_name = data.get("type")
    if not isinstance(type_name, str):
        raise ValueError(f"task {data.get('id', '')!r} names no type; see `crl list tasks`")
    entry = registry().task_type(type_name)
    loaded = load_object(entry.spec.task, owner=entry.owner)
    if not (isinstance(loaded, type) and issubclass(loaded, Task)):
        raise PluginError(f"{entry.owner} names '{entry.spec.task}' as a task type, but it is no crl_core.Task")
    return loaded
