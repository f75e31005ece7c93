"""Gymnasium environments from what a task names: one, or many behind a vector environment that the id brings along."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorEnv

from crl_core.errors import ExperimentError, did_you_mean

__all__ = ["is_import_path", "make_environment", "make_native_environments"]

Env = gymnasium.Env[Any, Any]

_USE_OTHERS = "use vectorization in_process or processes"


def is_import_path(name: str) -> bool:
    """Tell whether a name is the `module:attribute` of a factory or wrapper, not the id of an environment."""
    module, _, attribute = name.partition(":")
    return all(part.isidentifier() for part in [*module.split("."), attribute])


def make_environment(name: str, kwargs: Mapping[str, Any], wrappers: Sequence[str] = ()) -> Env:
    """Return one environment.

    Args:
        name: a registered Gymnasium id, `module:Id-v0` for an id that a module registers when it is imported, or the
            `module:function` or `module:Class` of a factory.
        kwargs: what it is made with.
        wrappers: the `module:Class` or `module:function` of each wrapper, the innermost first.

    Raises:
        ExperimentError: it cannot be made.
    """
    factory = _imported(name, "env") if is_import_path(name) else None
    with _failures(f"environment '{name}' cannot be made"):
        env = gymnasium.make(name, **kwargs) if factory is None else factory(**kwargs)
    _check(env, f"'{name}'")
    env = _KeepsItsWord(env)
    for path in wrappers:
        wrapper = _imported(path, "wrappers")
        with _failures(f"wrapper '{path}' cannot be put around environment '{name}'"):
            env = wrapper(env)
        _check(env, f"wrapper '{path}'")
    return env


def make_native_environments(
    name: str, kwargs: Mapping[str, Any], *, num_envs: int, max_episode_steps: int | None
) -> VectorEnv[Any, Any, Any]:
    """Return the vector environment that an id brings along, with NEXT_STEP autoreset.

    Args:
        name: a registered Gymnasium id, or `module:Id-v0`.
        kwargs: what it is made with.
        num_envs: how many environments.
        max_episode_steps: steps after which an episode is truncated, besides the id's own limit.

    Raises:
        ExperimentError: there is none, or it does not play by the rules of the others: their spaces, NEXT_STEP
            autoreset, a limit of steps.
    """
    single = make_environment(name, kwargs)
    spec, spaces = single.spec, (single.observation_space, single.action_space)
    single.close()
    if spec is None or spec.vector_entry_point is None:
        raise ExperimentError(f"environment '{name}' brings no vector environment along; {_USE_OTHERS}")
    limits = [limit for limit in (spec.max_episode_steps, max_episode_steps) if limit is not None]
    kwargs = {**kwargs, "max_episode_steps": min(limits)} if limits else kwargs
    with _failures(f"the vector environment of '{name}' cannot be made with {kwargs}"):
        envs = gymnasium.make_vec(name, num_envs=num_envs, vectorization_mode="vector_entry_point", **kwargs)
    shown = (envs.single_observation_space, envs.single_action_space)
    autoreset = envs.metadata.get("autoreset_mode")
    if autoreset is AutoresetMode.NEXT_STEP and shown == spaces:
        return envs
    envs.close()
    if autoreset is not AutoresetMode.NEXT_STEP:
        raise _not_native(name, f"resets by {autoreset}, not by {AutoresetMode.NEXT_STEP}")
    raise _not_native(name, f"has the spaces {shown}, while a single environment has {spaces}")


class _KeepsItsWord(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Raises where an array is not of the shape its space says, which vector environments tell in no such words."""

    def __init__(self, env: Env) -> None:
        RecordConstructorArgs.__init__(self)  # or the environment's spec could not be made again
        super().__init__(env)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        self._check(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        given = self.env.step(action)
        if len(given) != 5:
            raise ValueError(
                f"step() gave {len(given)} values, where observation, reward, terminated, truncated, info are due"
            )
        self._check(given[0])
        return given

    def _check(self, observation: Any) -> None:
        space = self.env.observation_space
        if not isinstance(space, Box) or not isinstance(observation, np.ndarray):
            return
        castable = observation.dtype == space.dtype or np.can_cast(observation.dtype, space.dtype, "same_kind")
        if observation.shape != space.shape or not castable:
            raise ValueError(
                f"it shows {observation.dtype} {list(observation.shape)}, where its observation_space says "
                f"{space.dtype} {list(space.shape)}"
            )


def _not_native(name: str, why: str) -> ExperimentError:
    return ExperimentError(f"the vector environment of '{name}' {why}; {_USE_OTHERS}")


def _check(env: object, made_by: str) -> None:
    if not isinstance(env, gymnasium.Env):
        raise ExperimentError(f"{made_by} returned a {type(env).__name__}, where a gymnasium.Env was expected")


def _imported(path: str, field: str) -> Any:
    module_name, _, attribute = path.partition(":")
    with _failures(f"'{field}' names '{path}', which cannot be imported"):
        module = importlib.import_module(module_name)
    if not hasattr(module, attribute):
        hint = did_you_mean(attribute, dir(module))
        raise ExperimentError(f"'{field}' names '{path}', but '{module_name}' has no '{attribute}'.{hint}")
    return getattr(module, attribute)


@contextmanager
def _failures(what: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise ExperimentError(
            f"{what}: {str(error).rstrip('.')}. Install the package that has it with pip; your own modules are found "
            "where PYTHONPATH says."
        ) from error
    except gymnasium.error.UnregisteredEnv as error:
        raise ExperimentError(
            f"{what}: {error} An id that another package registers is named with the module that does so, as in "
            "'minigrid:MiniGrid-Empty-5x5-v0'."
        ) from error
    except (Exception, SystemExit) as error:
        raise ExperimentError(f"{what}: {type(error).__name__}: {error}") from error
