"""Agent steps per second of training with one policy, without evaluation, after a warm-up.

    python benchmarks/throughput.py --policy clear --seconds 12 --set num_actors=64

The last line printed is a JSON object. `compare.py` runs this for every policy, beside others.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import click

from crl_core.cores import set_default_threads


@click.command()
@click.option("--policy", default="impala", show_default=True)
@click.option("--experiment", default="beam_rider", show_default=True)
@click.option("--seconds", default=12.0, show_default=True, help="How long to measure.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the run or the policy.")
@click.option("--cores", type=int, help="How many of the machine's cores to use, where the system can be told.")
def main(policy: str, experiment: str, seconds: float, settings: tuple[str, ...], cores: int | None) -> None:
    """Measure and print."""
    if cores is not None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    print(json.dumps(measure(policy, experiment, seconds, dict(each.split("=", 1) for each in settings))))


def measure(policy: str, experiment: str, seconds: float, settings: dict[str, str]) -> dict[str, float]:
    """Return steps per second, and means of what the runner reports, of the training loop after a warm-up."""
    set_default_threads()
    # Only the measuring process needs these, and they take seconds to import.
    import numpy as np

    from crl_core.launch import share_out_cores
    from crl_core.plan import plan_run
    from crl_core.policy import TrainingProgress, Workspace
    from crl_core.resolve import resolve

    defaults = {"preset": "atari", "num_actors": 32} if policy != "ppo" else {"preset": "atari"}
    with tempfile.TemporaryDirectory() as directory:
        resolved = resolve(
            {"policy": policy, "experiment": experiment, "output_dir": f"{directory}/run", **defaults, **settings}
        )
        plan = plan_run(resolved.run, resolved.policy)
        print(share_out_cores(plan), file=sys.stderr)
        learner = plan.policy_class(
            plan.policy_config,
            plan.experiment.observation_space,
            plan.experiment.action_spaces,
            task_ids=[task.id for task in plan.experiment.tasks],
            device=plan.device,
            seed=0,
            workspace=Workspace(Path(directory), "benchmark"),
        )
        task = plan.experiment.tasks[0]
        progress = TrainingProgress(0, 0, 0, task.num_timesteps, 0, task.num_timesteps)
        with learner.get_environment_runner(task, seed=np.random.SeedSequence(0)) as runner:
            for _ in range(4):
                learner.train(runner.collect_data().rollouts, progress=progress)
            steps, timings = 0, []
            started = time.perf_counter()
            while time.perf_counter() - started < seconds:
                data = runner.collect_data()
                learner.train(data.rollouts, progress=progress)
                steps += data.steps
                timings.append(data.timings)
            elapsed = time.perf_counter() - started
        learner.shutdown()
    result = {"steps_per_second": steps / elapsed}
    if timings[0]:
        result["policy_lag"] = statistics.mean(each["policy_lag"] for each in timings)
        result["policy_lag_max"] = max(each["policy_lag_max"] for each in timings)
        result["learner_waited_share"] = sum(each["learner_waited_seconds"] for each in timings) / elapsed
    return result


if __name__ == "__main__":
    main()
