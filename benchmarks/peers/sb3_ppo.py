"""Agent steps per second of Stable-Baselines3's PPO on Atari BeamRider, on a CPU.

    python -m venv venv && venv/bin/pip install -r benchmarks/peers/sb3_ppo.txt
    venv/bin/python benchmarks/peers/sb3_ppo.py --seconds 20

The last line printed is a JSON object. A step is an agent's: four frames.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import ale_py
import gymnasium
import numpy as np
import torch
from gymnasium.wrappers import AtariPreprocessing
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecFrameStack

NUM_ENVS = 8
WARM_UP_UPDATES = 2


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to measure")
    parser.add_argument("--vector", choices=["dummy", "subproc"], default="dummy", help="how environments are stepped")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.seconds, arguments.vector, arguments.threads)))


def measure(seconds: float, vector: str, threads: int) -> dict[str, Any]:
    """Return the speed of training, after a warm-up, and what it was measured with."""
    torch.set_num_threads(threads)
    environments = make_environments(vector)
    try:
        model = PPO(
            "CnnPolicy", environments, n_steps=128, n_epochs=4, batch_size=256, learning_rate=2.5e-4, clip_range=0.1,
            ent_coef=0.01, device="cpu", seed=0,
        )  # fmt: skip
        model.set_logger(Logger(folder=None, output_formats=[]))  # the default one makes a directory and leaves it
        meter = Meter(seconds)
        model.learn(total_timesteps=10**12, callback=meter)
    finally:
        environments.close()
    settings = f"{vector} vector of {NUM_ENVS} envs, 128 steps, 4 epochs of 4 minibatches, {threads} torch threads"
    return {
        "steps_per_second": meter.steps / meter.elapsed,
        "steps": meter.steps,
        "seconds": meter.elapsed,
        "settings": settings,
    }


def make_environments(vector: str) -> VecEnv:
    """Return the environments, their last four frames stacked."""
    if vector == "subproc":
        return VecFrameStack(SubprocVecEnv([make_environment] * NUM_ENVS, start_method="forkserver"), 4)
    return VecFrameStack(DummyVecEnv([make_environment] * NUM_ENVS), 4)


def make_environment() -> gymnasium.Env[Any, Any]:
    """Return one environment, whose observations are `[84, 84, 1]`."""
    gymnasium.register_envs(ale_py)
    # Only every fourth frame is needed in full, and this wrapper, unlike Stable-Baselines3's, asks for no colours.
    environment = AtariPreprocessing(gymnasium.make("BeamRiderNoFrameskip-v4"), grayscale_newaxis=True)
    return gymnasium.wrappers.TransformReward(environment, np.sign)


class Meter(BaseCallback):
    """Counts steps and time between the starts of two rollouts, and ends training after `seconds`."""

    def __init__(self, seconds: float) -> None:
        """Measure for at least `seconds`."""
        super().__init__()
        self.seconds = seconds
        self.steps = 0
        self.elapsed = 0.0
        self._updates = 0
        self._first_step = 0
        self._started = 0.0

    def _on_rollout_start(self) -> None:
        if self._updates == WARM_UP_UPDATES:
            self._started, self._first_step = time.perf_counter(), self.num_timesteps
        elif self._updates > WARM_UP_UPDATES:
            self.elapsed, self.steps = time.perf_counter() - self._started, self.num_timesteps - self._first_step
        self._updates += 1

    def _on_step(self) -> bool:
        return self.elapsed < self.seconds


if __name__ == "__main__":
    main()
