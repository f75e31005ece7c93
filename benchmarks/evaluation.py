"""How long an evaluation takes, beside the same games played by nothing but the emulators, with every core busy.

    python benchmarks/evaluation.py [--experiment mini_atari_3_tasks_3_cycles] [--repeats 5]

The policy takes uniform random actions, so that no network counts. The emulators' own time is that of a pool of as many
threads as cores, which play the same number of games of the same lengths one by one, the longest first: each loads a
game, seeds it and steps it. The second ratio is over the stepping alone, shared out evenly among the cores.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import click
import numpy as np
from ale_py.vector_env import AtariVectorEnv

from crl_core.cores import set_default_threads, usable_cores
from crl_core.evaluation import evaluate
from crl_core.plan import RunPlan, plan_run
from crl_core.resolve import resolve
from crl_core.runners.base import Episode
from crl_tasks_atari import AtariTask

_ACTIONS = 4096


@click.command()
@click.option("--experiment", default="mini_atari_3_tasks_3_cycles", show_default=True)
@click.option("--repeats", default=5, show_default=True)
@click.option("--policy", default="random", show_default=True)
def main(experiment: str, repeats: int, policy: str) -> None:
    """Measure in turn, and print."""
    set_default_threads()
    resolved = resolve({"policy": policy, "experiment": experiment, "output_dir": "no-such-directory"})
    plan = plan_run(resolved.run, resolved.policy)
    ratios: list[tuple[float, float]] = []
    for repeat in range(repeats):
        ours, games = _evaluation(plan, repeat)
        whole, stepping = _emulators(games)
        ratios.append((ours / whole, ours / stepping))
        steps = sum(length for _, length in games)
        print(
            f"{len(games)} games, {steps:,} steps: {ours:.2f} s; the emulators {whole:.2f} s, "
            f"their stepping {stepping:.2f} s; ratios {ours / whole:.2f} and {ours / stepping:.2f}",
            flush=True,
        )
    medians = [statistics.median(column) for column in zip(*ratios, strict=True)]
    print(f"medians: {medians[0]:.2f} of loading, seeding and stepping, {medians[1]:.2f} of stepping")


def _evaluation(plan: RunPlan, repeat: int) -> tuple[float, list[tuple[AtariTask, int]]]:
    """Return how long an evaluation took, and the game and length of every episode."""
    policy = plan.make_policy()
    tasks = dict(enumerate(plan.experiment.tasks))
    seeds = {index: np.random.SeedSequence([index, repeat]) for index in tasks}
    started = time.perf_counter()
    episodes: dict[int, list[Episode]] = evaluate(policy, tasks, seeds=seeds, on_progress=lambda progress: None)
    took = time.perf_counter() - started
    games: list[tuple[AtariTask, int]] = []
    for index, task in tasks.items():
        assert isinstance(task, AtariTask)
        games += [(task, episode.length) for episode in episodes[index]]
    return took, games


def _emulators(games: Sequence[tuple[AtariTask, int]]) -> tuple[float, float]:
    """Return how long the emulators take for the same steps, with loading and seeding, and without."""
    started = time.perf_counter()
    with ThreadPoolExecutor(usable_cores()) as pool:
        longest_first = sorted(games, key=lambda game: -game[1])
        stepping = sum(pool.map(lambda game: _play(*game), longest_first))
    return time.perf_counter() - started, stepping / usable_cores()


def _play(task: AtariTask, length: int) -> float:
    """Play one game of so many steps; return how long the steps took."""
    emulator = AtariVectorEnv(
        task.game,
        1,
        num_threads=1,
        noop_max=task.noop_max + 1,
        reward_clipping=False,
        full_action_space=task.full_action_space,
        repeat_action_probability=task.repeat_action_probability,
    )
    emulator.reset(seed=np.array([0], np.int32))
    actions = np.random.default_rng(0).integers(task.action_space.n, size=(_ACTIONS, 1))
    started = time.perf_counter()
    for step in range(length):
        emulator.step(actions[step % _ACTIONS])
    took = time.perf_counter() - started
    emulator.close()
    return took


if __name__ == "__main__":
    main()
