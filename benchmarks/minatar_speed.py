"""Agent steps per second on MinAtar, 32 environments in one process, without evaluation: every policy on every game.

    python benchmarks/minatar_speed.py [--repeats 3] [--seconds 8]

Medians of interleaved repeats; `bare` is the games alone, one core, with random actions.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import click
import numpy as np

from crl_core.seeding import environment_seeds
from crl_tasks_minatar import MinAtarTask

_THROUGHPUT = Path(__file__).with_name("throughput.py")
_NUM_ENVS = 32


@click.command()
@click.option("--games", default="breakout,space_invaders,freeway", show_default=True)
@click.option("--policies", default="impala,clear,ppo", show_default=True)
@click.option("--repeats", default=3, show_default=True)
@click.option("--seconds", default=8.0, show_default=True, help="Of each measurement.")
def main(games: str, policies: str, repeats: int, seconds: float) -> None:
    """Measure and print."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(repeats):
        for game in games.split(","):
            found["bare", game].append(_bare(game, seconds / 4))
            for policy in policies.split(","):
                found[policy, game].append(_training(policy, game, seconds))
    for (what, game), values in found.items():
        print(f"{what:8} {game:16} {statistics.median(values):8,.0f} steps/s  {[round(value) for value in values]}")


def _training(policy: str, game: str, seconds: float) -> float:
    command = [sys.executable, str(_THROUGHPUT), f"--policy={policy}", f"--experiment=minatar_{game}"]
    options = [f"--seconds={seconds}", "--set", "preset=minatar"]
    printed = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    return float(json.loads(printed.stdout.splitlines()[-1])["steps_per_second"])


def _bare(game: str, seconds: float) -> float:
    task = MinAtarTask(id=game, game=game, num_timesteps=1)
    envs = task.make_envs(_NUM_ENVS, seeds=environment_seeds(np.random.SeedSequence(0), _NUM_ENVS), evaluation=False)
    envs.reset()
    actions = np.random.default_rng(0).integers(task.action_space.n, size=(1000, _NUM_ENVS))
    started, rows, resets = time.perf_counter(), 0, 0
    while time.perf_counter() - started < seconds:
        _, _, terminated, truncated, _ = envs.step(actions[rows % len(actions)])
        rows += 1
        resets += int((terminated | truncated).sum())  # each takes the place of a step
    return (rows * _NUM_ENVS - resets) / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
