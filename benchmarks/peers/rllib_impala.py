"""Agent steps per second of RLlib's IMPALA on Atari BeamRider, on a CPU.

    python -m venv venv && venv/bin/pip install -r benchmarks/peers/rllib_impala.txt
    venv/bin/python benchmarks/peers/rllib_impala.py --seconds 20

The last line printed is a JSON object. A step is an agent's: four frames. Only trained steps count.

B batch, H height, W width, C channels.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import tempfile
import time
from typing import Any

# Ray reads these when it is imported. Without a token of our own it would write one into the home directory.
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}

import ale_py
import gymnasium
import numpy as np
import ray
import torch
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation, TransformReward
from ray.rllib.algorithms.impala import IMPALA, IMPALAConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis import ValueFunctionAPI
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from ray.tune.registry import register_env
from ray.tune.trainable import trainable
from torch import Tensor, nn

NUM_ENVS = 32
UNROLL = 20
BATCH = 32 * UNROLL
WARM_UP_UPDATES = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to measure")
    parser.add_argument("--runners", type=int, default=1, help=f"processes that share {NUM_ENVS} environments")
    parser.add_argument("--learners", type=int, choices=[0, 1], default=1, help="0 learns in the main process")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch in each process")
    arguments = parser.parse_args()
    print(json.dumps(measure(**vars(arguments))))


def measure(seconds: float, runners: int, learners: int, threads: int) -> dict[str, Any]:
    """Return the speed of training, after a warm-up, and what it was measured with."""
    with tempfile.TemporaryDirectory() as directory:
        # More cores than there are: Ray starts no process for which it counts none.
        ray.init(num_cpus=16, include_dashboard=False, log_to_driver=False, _temp_dir=directory)
        trainable.DEFAULT_STORAGE_PATH = directory  # else it makes directories at home
        try:
            algorithm = make_algorithm(runners, learners, threads)
            steps, elapsed = count_steps(algorithm, seconds)
            algorithm.stop()
        finally:
            ray.shutdown()
    where = f"{learners} remote" if learners else "local"
    return {
        "steps_per_second": steps / elapsed,
        "steps": steps,
        "seconds": elapsed,
        "settings": (
            f"new API stack, {runners} runners x {NUM_ENVS // runners} envs, {where} learner of {threads} threads, "
            f"unroll {UNROLL}, batch {BATCH}"
        ),
    }


def count_steps(algorithm: IMPALA, seconds: float) -> tuple[int, float]:
    """Return the steps trained on in at least `seconds`, between two updates, and the time they took."""
    for _ in range(WARM_UP_UPDATES):
        first = wait_for_update(algorithm)
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        steps = wait_for_update(algorithm) - first
    return steps, time.perf_counter() - started


def wait_for_update(algorithm: IMPALA) -> int:
    """Train until the learner has learned more, and return on how many steps so far, each counted once."""
    before = seen_by_learner(algorithm)
    while (after := seen_by_learner(algorithm)) == before:
        algorithm.train()
    return after * UNROLL // (UNROLL + 1)  # each unroll is lengthened by the observation it bootstraps from


def seen_by_learner(algorithm: IMPALA) -> int:
    """Return RLlib's count of what the learner was given."""
    return int(algorithm.metrics.peek(("learners", "__all_modules__", "num_env_steps_trained_lifetime"), default=0))


def make_algorithm(runners: int, learners: int, threads: int) -> IMPALA:
    """Return RLlib's IMPALA, its processes started."""
    register_env("beam_rider", make_environment)
    config = (
        IMPALAConfig()
        .environment("beam_rider")
        .env_runners(
            num_env_runners=runners, num_envs_per_env_runner=NUM_ENVS // runners, rollout_fragment_length=UNROLL
        )
        .learners(num_learners=learners)
        # Without a timeout the main process polls, and takes a core.
        .training(timeout_s_sampler_manager=0.05)
        .training(train_batch_size_per_learner=BATCH, lr=6e-4, grad_clip=40.0, entropy_coeff=0.01, vf_loss_coeff=0.5)
        .rl_module(rl_module_spec=RLModuleSpec(module_class=NatureModule, model_config={"threads": threads}))
        .reporting(min_time_s_per_iteration=0.2)
        .debugging(seed=0)
    )
    return config.build_algo()


def make_environment(_context: Any) -> gymnasium.Env[Any, Any]:
    """Return one environment, whose observations are `[C, H, W]`."""
    gymnasium.register_envs(ale_py)
    environment = AtariPreprocessing(gymnasium.make("BeamRiderNoFrameskip-v4"))
    return FrameStackObservation(TransformReward(environment, np.sign), 4)


class NatureModule(TorchRLModule, ValueFunctionAPI):
    """The Nature CNN with a policy head and a value head.

    RLlib's own networks pad images and want floats, which are four times as much to send.
    """

    def setup(self) -> None:
        """Make the layers."""
        torch.set_num_threads(self.model_config["threads"])
        self.encoder = nn.Sequential(
            nn.Conv2d(4, 32, kernel_size=8, stride=4), nn.ReLU(),
            nn.Conv2d(32, 64, kernel_size=4, stride=2), nn.ReLU(),
            nn.Conv2d(64, 64, kernel_size=3, stride=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(),
        )  # fmt: skip
        self.policy = nn.Linear(512, int(self.action_space.n))
        self.value = nn.Linear(512, 1)

    def compute_values(self, batch: dict[str, Any], embeddings: Tensor | None = None) -> Tensor:
        """Return values `[B]`."""
        if embeddings is None:
            embeddings = self._encode(batch)
        values: Tensor = self.value(embeddings).squeeze(-1)
        return values

    def _forward(self, batch: dict[str, Any], **_: Any) -> dict[str, Tensor]:
        return {Columns.ACTION_DIST_INPUTS: self.policy(self._encode(batch))}

    def _forward_train(self, batch: dict[str, Any], **_: Any) -> dict[str, Tensor]:
        features = self._encode(batch)
        return {Columns.ACTION_DIST_INPUTS: self.policy(features), Columns.EMBEDDINGS: features}

    def _encode(self, batch: dict[str, Any]) -> Tensor:
        features: Tensor = self.encoder(batch[Columns.OBS].float() / 255)
        return features


if __name__ == "__main__":
    main()
