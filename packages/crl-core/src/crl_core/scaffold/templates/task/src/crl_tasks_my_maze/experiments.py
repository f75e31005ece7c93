"""The experiments: ordered lists of tasks. A task is an environment with its preprocessing and its budget of steps."""

from __future__ import annotations

from crl_core import Experiment, ImageTask


def two_goals() -> Experiment:
    """Return the experiment: the green square is the goal, then the red one."""
    tasks = tuple(
        ImageTask(
            id=goal,
            env="crl_tasks_my_maze.env:MyMazeEnv",
            env_kwargs={"goal": goal},
            max_episode_steps=30,
            num_timesteps=50_000,
            continual_eval_num_returns=50,
        )
        for goal in ("green", "red")
    )
    return Experiment(tasks=tasks, continual_testing_freq=25_000)
