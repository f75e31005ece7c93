"""Agent steps per second of Sample Factory's APPO on Atari BeamRider, on a CPU.

    python -m venv venv && venv/bin/pip install -r benchmarks/peers/sample_factory_appo.txt
    venv/bin/python benchmarks/peers/sample_factory_appo.py --seconds 20

The last line printed is a JSON object. A step is an agent's: four frames. Only trained steps count.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from typing import Any

import gymnasium
import numpy as np
from ale_py.registration import register_v0_v4_envs
from gymnasium.wrappers import AtariPreprocessing, FrameStack, TransformReward
from sample_factory.algo.runners.runner import AlgoObserver, Runner
from sample_factory.algo.utils.misc import ExperimentStatus
from sample_factory.cfg.arguments import parse_full_cfg, parse_sf_args
from sample_factory.envs.env_utils import register_env
from sample_factory.envs.env_wrappers import NumpyObsWrapper
from sample_factory.train import make_runner

NUM_ENVS = 32
BATCH = 640
WARM_UP_UPDATES = 6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to measure")
    parser.add_argument("--workers", type=int, default=1, help=f"they share {NUM_ENVS} environments")
    parser.add_argument("--splits", type=int, default=2, help="groups of a worker's environments, stepped in turn")
    parser.add_argument("--mode", choices=["async", "sync", "serial"], default="async")
    parser.add_argument(
        "--batched", action=argparse.BooleanOptionalAction, default=True, help="pass environments' data on as one batch"
    )
    arguments = parser.parse_args()
    print(json.dumps(measure(**vars(arguments))))


def measure(seconds: float, workers: int, splits: int, mode: str, *, batched: bool) -> dict[str, Any]:
    """Return the speed of training, after a warm-up, and what it was measured with."""
    register_env("beam_rider", make_environment)
    meter = Meter(seconds)
    with tempfile.TemporaryDirectory() as directory:
        parser, _ = parse_sf_args(options := make_options(directory, workers, splits, mode, batched=batched))
        config, runner = make_runner(parse_full_cfg(parser, options))
        runner.register_observer(meter)
        status = runner.init()
        if status == ExperimentStatus.SUCCESS:
            status = runner.run()
        for writer in runner.writers.values():
            writer.close()
    if status != ExperimentStatus.SUCCESS or not meter.elapsed:
        raise SystemExit(f"training ended with status {status}")
    layout = (
        f"{workers} x {NUM_ENVS // workers} envs, {splits} splits, {'batched' if batched else 'unbatched'} sampling"
    )
    return {
        "steps_per_second": meter.steps / meter.elapsed,
        "steps": meter.steps,
        "seconds": meter.elapsed,
        "settings": f"{mode}, {layout}, rollout 20, batch {config.batch_size}",
    }


def make_options(directory: str, workers: int, splits: int, mode: str, *, batched: bool) -> list[str]:
    """Return Sample Factory's command line: one pass over each batch, no RNN, nothing normalised."""
    options = {
        "env": "beam_rider",
        "train_dir": directory,
        "device": "cpu",
        "seed": 0,
        "async_rl": mode == "async",
        "serial_mode": mode == "serial",
        "batched_sampling": batched,
        "num_workers": workers,
        "num_envs_per_worker": NUM_ENVS // workers,
        "worker_num_splits": splits,
        "rollout": 20,
        "recurrence": 1,
        "use_rnn": False,
        "batch_size": BATCH,
        "num_batches_per_epoch": 1,
        "num_epochs": 1,
        "encoder_conv_architecture": "convnet_atari",
        "encoder_conv_mlp_layers": 512,
        "nonlinearity": "relu",
        "obs_scale": 255.0,
        "normalize_input": False,
        "normalize_returns": False,
        "env_frameskip": 1,  # only tells how to count steps: the environment skips frames itself
        "decorrelate_experience_max_seconds": 0,
    }
    return [f"--{name}={value}" for name, value in options.items()]


def make_environment(_name: str, _config: Any, _env_config: Any, render_mode: str | None = None) -> gymnasium.Env:
    """Return one environment, whose observations are `[4, 84, 84]`."""
    if "BeamRiderNoFrameskip-v4" not in gymnasium.registry:
        register_v0_v4_envs()  # ale-py itself does this only with a newer gymnasium than Sample Factory takes
    environment = AtariPreprocessing(gymnasium.make("BeamRiderNoFrameskip-v4", render_mode=render_mode))
    return NumpyObsWrapper(FrameStack(TransformReward(environment, np.sign), 4))


class Meter(AlgoObserver):
    """Counts trained steps and time after the warm-up, and ends training after `seconds`."""

    def __init__(self, seconds: float) -> None:
        """Measure for at least `seconds`."""
        self.seconds = seconds
        self.steps = 0
        self.elapsed = 0.0
        self._first_update = 0
        self._started = 0.0

    def on_training_step(self, runner: Runner, training_iteration_since_resume: int) -> None:
        """Count the batch that was just trained on."""
        if self.elapsed >= self.seconds:
            return
        if training_iteration_since_resume <= WARM_UP_UPDATES:
            self._started, self._first_update = time.perf_counter(), training_iteration_since_resume
            return
        self.steps = (training_iteration_since_resume - self._first_update) * BATCH
        self.elapsed = time.perf_counter() - self._started
        if self.elapsed >= self.seconds:
            runner.cfg.train_for_seconds = -1  # the runner looks at it right after this


if __name__ == "__main__":
    main()
