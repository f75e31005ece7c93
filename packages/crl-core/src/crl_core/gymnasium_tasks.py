"""Tasks over any Gymnasium environment: `ImageTask` for those that show images, `VectorTask` for the others."""

from __future__ import annotations

import functools
import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, Self

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import TimeLimit
from pydantic import Field, PositiveInt, field_validator, model_validator

from crl_core.conversions import convert_actions
from crl_core.environments import is_import_path, make_environment, make_native_environments
from crl_core.errors import ExperimentError
from crl_core.images import images
from crl_core.task import SeededReset, Task
from crl_core.vectors import vectors
from crl_core.workers import WorkerEnvs

__all__ = ["GymnasiumTask", "ImageTask", "VectorTask"]

Env = gymnasium.Env[Any, Any]
Envs = VectorEnv[Any, Any, Any]
Spaces = tuple[gymnasium.Space[Any], gymnasium.Space[Any]]

_known_spaces: dict[tuple[type[Task], str], Spaces] = {}  # as making an environment can take seconds


class GymnasiumTask(Task):
    """A Gymnasium environment, its wrappers and its limit of steps; a subclass says how observations are preprocessed.

    Actions are Discrete and start at 0, or a bounded float32 Box; where the environment's differ in that, they are
    converted.

    With `vectorization` `native` the environments are those of the vector environment that the id brings along, which
    must be the same as many of its single one. It takes one seed for all of them, made of theirs.
    """

    env: str = Field(
        min_length=1,
        description="A registered Gymnasium id, 'module:Id-v0', or the 'module:function' of a factory.",
    )
    env_kwargs: Mapping[str, Any] = Field(default_factory=dict, description="What the environment is made with.")
    wrappers: tuple[str, ...] = Field(
        (), description="What is put around the environment, the innermost first, each as 'module:Class'."
    )
    max_episode_steps: int | None = Field(None, ge=1, description="Steps after which an episode is truncated.")

    @field_validator("env_kwargs", mode="before")
    @classmethod
    def _as_json(cls, kwargs: object) -> object:
        """Keep what a round trip through JSON leaves, so that a resumed run makes the same environments."""
        try:
            return json.loads(json.dumps(kwargs))
        except (TypeError, ValueError) as error:
            raise ValueError(f"should be what JSON can hold: {error}; a factory can make the rest") from error

    @field_validator("wrappers")
    @classmethod
    def _import_paths(cls, wrappers: tuple[str, ...]) -> tuple[str, ...]:
        for path in wrappers:
            if not is_import_path(path):
                raise ValueError(f"'{path}' should be 'module:Class' or 'module:function'")
        return wrappers

    @model_validator(mode="after")
    def _check_native(self) -> Self:
        if self.vectorization == "native" and (self.wrappers or is_import_path(self.env)):
            raise ValueError(
                "vectorization native is for a registered id without wrappers; use in_process or processes"
            )
        return self

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """The space of preprocessed observations."""
        return self._spaces()[0]

    @property
    def action_space(self) -> gymnasium.Space[Any]:
        """The space of actions."""
        return self._spaces()[1]

    def made_by(self) -> str:
        """Return whose environments these are, for messages."""
        return f"environment '{self.env}'"

    def make_env(self, *, evaluation: bool, filmed: bool = False) -> Env:
        """Return one environment, as each of `make_envs` is where they are not native.

        Args:
            evaluation: whether each episode is truncated after `eval_max_steps`.
            filmed: whether it is made with render mode rgb_array.

        Raises:
            ExperimentError: it cannot be made, or its spaces do not suit the task.
        """
        limit = self._step_limit(evaluation=evaluation)
        with self._named():
            kwargs = {**self.env_kwargs, "render_mode": "rgb_array"} if filmed else self.env_kwargs
            made = make_environment(self.env, kwargs, self.wrappers)
            env: Env = self._converted(made if limit is None else TimeLimit(made, limit))
        return env

    def make_envs(self, num_envs: int, *, seeds: npt.NDArray[np.int32], evaluation: bool) -> Envs:
        """Return the environments, in this process, in workers of their own, or those the id brings along.

        Raises:
            ExperimentError: they cannot be made, or their spaces do not suit the task.
        """
        if self.vectorization == "native":
            one_seed = int(np.random.SeedSequence(seeds.tolist()).generate_state(1)[0] >> np.uint32(1))  # an int32
            return SeededReset(self._make_native(num_envs, evaluation=evaluation), one_seed)
        factories: list[Callable[[], Env]] = [functools.partial(self.make_env, evaluation=evaluation)] * num_envs
        envs: Envs
        if self.vectorization == "processes":
            envs = WorkerEnvs(factories, answer_seconds=self.step_timeout_seconds)
        else:
            envs = SyncVectorEnv(factories, autoreset_mode=AutoresetMode.NEXT_STEP)
        return SeededReset(envs, seeds.tolist())

    def make_filmed_envs(self, *, seeds: npt.NDArray[np.int32]) -> Envs:
        """Return one environment with render mode rgb_array, if it has that.

        Raises:
            ExperimentError: it cannot be made.
        """
        plain = self.make_env(evaluation=True)
        shows_pictures = "rgb_array" in (plain.metadata.get("render_modes") or ())
        plain.close()
        factory = functools.partial(self.make_env, evaluation=True, filmed=shows_pictures)
        return SeededReset(SyncVectorEnv([factory], autoreset_mode=AutoresetMode.NEXT_STEP), seeds.tolist())

    @abstractmethod
    def _preprocessed(self, envs: Any) -> Any:
        """Return an environment, or a vector environment, with the observations that policies see."""

    def _converted(self, envs: Any) -> Any:
        try:
            return convert_actions(self._preprocessed(envs), self.env)
        except ExperimentError:
            envs.close()
            raise

    def _make_native(self, num_envs: int, *, evaluation: bool) -> Envs:
        limit = self._step_limit(evaluation=evaluation)
        with self._named():
            envs = make_native_environments(self.env, self.env_kwargs, num_envs=num_envs, max_episode_steps=limit)
            converted: Envs = self._converted(envs)
        return converted

    def _step_limit(self, *, evaluation: bool) -> int | None:
        limits = [self.max_episode_steps, self.eval_max_steps if evaluation else None]
        return min((limit for limit in limits if limit is not None), default=None)

    def _spaces(self) -> Spaces:
        key = (type(self), repr(self.model_dump(exclude=set(Task.model_fields))))
        if key not in _known_spaces:
            env = self.make_env(evaluation=False)
            _known_spaces[key] = (env.observation_space, env.action_space)
            env.close()
        return _known_spaces[key]

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except ExperimentError as error:
            raise ExperimentError(f"task '{self.id}': {error}") from error.__cause__


class ImageTask(GymnasiumTask):
    """Any Gymnasium environment that shows images: resized, greyed, channels first, stacked.

    Observations are uint8 `[frame_stack * channels, height, width]`, the newest frame last.
    """

    type: Literal["image"] = "image"
    image_size: tuple[PositiveInt, PositiveInt] | None = Field(
        None, description="Height and width to resize to; None keeps the size."
    )
    grayscale: bool = Field(False, description="Whether three colours become one grey channel.")
    frame_stack: int = Field(1, ge=1, description="How many of the latest frames an observation holds.")

    def _preprocessed(self, envs: Any) -> Any:
        return images(
            envs, self.env, image_size=self.image_size, grayscale=self.grayscale, frame_stack=self.frame_stack
        )


class VectorTask(GymnasiumTask):
    """Any Gymnasium environment whose observations are no images.

    Observations are float32: a Box keeps its shape; Discrete, MultiDiscrete, MultiBinary and what Dict and Tuple make
    of them become one vector, in which a Discrete value is one-hot.
    """

    type: Literal["vector"] = "vector"

    def _preprocessed(self, envs: Any) -> Any:
        return vectors(envs, self.env)
