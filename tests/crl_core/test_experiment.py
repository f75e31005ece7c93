"""What makes tasks an experiment, and that it survives as JSON with everything in it."""

from __future__ import annotations

from typing import Any, Literal

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from pydantic import ValidationError

from crl_core.errors import UnknownNameError
from crl_core.experiment import Experiment
from crl_core.gymnasium_tasks import ImageTask
from crl_core.task import Task
from crl_core.tutorial import tutorial


class SpacesTask(Task):
    """A task of any spaces, which nobody plays."""

    type: Literal["spaces"] = "spaces"
    num_timesteps: int = 10
    size: int = 1
    actions: int = 3
    box: bool = False
    start: int = 0

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        return Box(0, 1, (self.size,), np.float32)

    @property
    def action_space(self) -> gymnasium.Space[Any]:
        return Box(-1, 1, (self.actions,), np.float32) if self.box else Discrete(self.actions, start=self.start)

    def make_envs(self, num_envs: int, *, seeds: Any, evaluation: bool) -> Any:
        raise NotImplementedError


def experiment(*tasks: Task, **fields: Any) -> Experiment:
    return Experiment(tasks=tasks, **fields)


def test_an_image_experiment_survives_json_with_the_fields_of_its_tasks() -> None:
    before = Experiment(
        tasks=(
            ImageTask(
                id="one",
                env="crl_core.tutorial:Catch",
                env_kwargs={"mirrored": True},
                image_size=(8, 9),
                frame_stack=3,
                max_episode_steps=4,
                vectorization="processes",
                num_timesteps=5,
                continual_eval=False,
                rolling_return_count=7,
            ),
            ImageTask(
                id="two",
                env="crl_core.tutorial:Catch",
                image_size=(8, 9),
                frame_stack=3,
                num_timesteps=6,
                eval_mode=True,
            ),
        ),
        cycle_count=3,
        continual_testing_freq=100,
    )
    after = Experiment.model_validate_json(before.model_dump_json())
    assert after == before
    assert [type(task) for task in after.tasks] == [ImageTask, ImageTask]
    assert after.tasks[0].model_dump()["env_kwargs"] == {"mirrored": True}
    assert Experiment.model_validate(before.model_dump(mode="json")) == before


def test_the_tutorial_survives_json() -> None:
    assert Experiment.model_validate_json(tutorial().model_dump_json()) == tutorial()


def test_totals_and_spaces() -> None:
    tasks = experiment(
        SpacesTask(id="a", num_timesteps=10),
        SpacesTask(id="b", num_timesteps=20, action_space_id="more", actions=5),
        SpacesTask(id="c", num_timesteps=40, eval_mode=True),
        cycle_count=2,
    )
    assert tasks.total_steps == 60
    assert tasks.observation_space == Box(0, 1, (1,), np.float32)
    assert tasks.action_spaces == {0: Discrete(3), "more": Discrete(5)}


def test_a_copy_with_other_budgets_has_other_totals() -> None:
    tasks = experiment(SpacesTask(id="a"))
    assert tasks.total_steps == 10
    longer = tasks.model_copy(update={"tasks": (tasks.tasks[0].model_copy(update={"num_timesteps": 70}),)})
    assert longer.total_steps == 70


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([], "at least 1 item"),
        (
            [SpacesTask(id="a"), SpacesTask(id="b"), SpacesTask(id="a"), SpacesTask(id="b")],
            "task ids must be unique, but these repeat: a, b",
        ),
        ([SpacesTask(id="a", eval_mode=True)], "every task is an eval_mode task, so nothing would be trained"),
        (
            [SpacesTask(id="a"), SpacesTask(id="b", size=2)],
            r"must share one observation space, but 'a' has Box\(.*\(1,\).*\) and 'b' has Box\(.*\(2,\)",
        ),
        (
            [SpacesTask(id="a"), SpacesTask(id="b", actions=4)],
            r"tasks 'a' and 'b' share action_space_id 0, but one has Discrete\(3\) and the other Discrete\(4\)",
        ),
        ([SpacesTask(id="a", start=1)], "action spaces must be all Discrete and start at 0"),
        (
            [SpacesTask(id="a"), SpacesTask(id="b", box=True, action_space_id=1)],
            "action spaces must be all Discrete and start at 0, or one Box common to all tasks",
        ),
        (
            [SpacesTask(id="a", box=True), SpacesTask(id="b", box=True, actions=2, action_space_id=1)],
            "action spaces must be all Discrete and start at 0, or one Box common to all tasks",
        ),
    ],
)
def test_what_is_no_experiment(tasks: list[Task], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        experiment(*tasks)


def test_discrete_spaces_may_differ_and_one_box_may_be_shared() -> None:
    experiment(SpacesTask(id="a"), SpacesTask(id="b", actions=9, action_space_id=1))
    experiment(SpacesTask(id="a", box=True), SpacesTask(id="b", box=True, action_space_id=1))


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({"id": "x"}, ValidationError, "task 'x' names no type; see `crl list tasks`"),
        ({"id": "x", "type": "imgae"}, UnknownNameError, "Did you mean 'image'"),
        ({"id": "x", "type": "image", "num_timesteps": 5}, ValidationError, "env"),
        ({"id": "", "type": "image", "num_timesteps": 5, "env": "e"}, ValidationError, "id"),
        ({"id": "x", "type": "image", "num_timesteps": 0, "env": "e"}, ValidationError, "num_timesteps"),
        (
            {"id": "x", "type": "image", "num_timesteps": 5, "env": "e", "frmae_stack": 2},
            ValidationError,
            "frmae_stack",
        ),
    ],
)
def test_tasks_that_are_no_tasks(data: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Experiment.model_validate({"tasks": [data]})


def test_an_unknown_field_is_refused_and_nothing_can_be_changed() -> None:
    with pytest.raises(ValidationError, match="cycles"):
        Experiment.model_validate({"tasks": [SpacesTask(id="a")], "cycles": 2})
    with pytest.raises(ValidationError, match="frozen"):
        tutorial().cycle_count = 3  # type: ignore[misc]  # what is tried
