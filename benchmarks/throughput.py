"""Agent steps per second of training, without evaluation, each policy in a process of its own.

    python benchmarks/throughput.py --policy clear --policy impala
    python benchmarks/throughput.py --policy clear --against "python other.py --some flags"

With `--against`, the other command runs in turn with ours; it must print `SPS <number>`. Figures are medians over the
repeats; the ratio is that of pairs that ran one after the other, since a machine's speed drifts.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from crl_core.cores import set_default_threads


@click.command()
@click.option("--policy", "policies", multiple=True, default=["impala", "clear"], help="May be repeated.")
@click.option("--experiment", default="beam_rider", show_default=True)
@click.option("--seconds", default=12.0, show_default=True, help="How long to measure each.")
@click.option("--repeats", default=3, show_default=True)
@click.option("--against", help="A command that prints 'SPS <number>', run in turn with ours.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the policies.")
@click.option("--inner", hidden=True, help="Measure one policy in this process.")
def main(
    policies: tuple[str, ...],
    experiment: str,
    seconds: float,
    repeats: int,
    against: str | None,
    settings: tuple[str, ...],
    inner: str | None,
) -> None:
    """Measure and print."""
    if inner is not None:
        print(json.dumps(measure(inner, experiment, seconds, dict(each.split("=", 1) for each in settings))))
        return
    for policy in policies:
        ours, theirs = [], []
        for _ in range(repeats):
            ours.append(_measure_apart(policy, experiment, seconds, settings))
            if against is not None:
                theirs.append(_sps_of(against))
        speeds = [each["steps_per_second"] for each in ours]
        print(f"{policy} on {experiment}: {_summary(speeds)} steps/s")
        for name in ("policy_lag", "policy_lag_max", "learner_waited_share"):
            if name in ours[0]:
                print(f"  {name}: {statistics.median(each[name] for each in ours):.2f}")
        if theirs:
            print(f"  other: {_summary(theirs)} steps/s")
            print(f"  ratio: {_summary([mine / other for mine, other in zip(speeds, theirs, strict=True)], digits=2)}")


def measure(policy: str, experiment: str, seconds: float, settings: dict[str, str]) -> dict[str, float]:
    """Return steps per second, and means of what the runner reports, of the training loop after a warm-up."""
    set_default_threads()
    # Only the measuring process needs these, and they take seconds to import.
    import numpy as np

    from crl_core.plan import plan_run
    from crl_core.policy import TrainingProgress, Workspace
    from crl_core.resolve import resolve

    defaults = {"preset": "atari", "num_actors": 32} if policy != "ppo" else {"preset": "atari"}
    with tempfile.TemporaryDirectory() as directory:
        resolved = resolve(
            {"policy": policy, "experiment": experiment, "output_dir": f"{directory}/run", **defaults, **settings}
        )
        plan = plan_run(resolved.run, resolved.policy)
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


def _measure_apart(policy: str, experiment: str, seconds: float, settings: tuple[str, ...]) -> dict[str, float]:
    chosen = [argument for each in settings for argument in ("--set", each)]
    command = [sys.executable, __file__, "--inner", policy, "--experiment", experiment, "--seconds", str(seconds)]
    output = subprocess.run([*command, *chosen], capture_output=True, text=True, check=False)
    if output.returncode:
        raise click.ClickException(f"measuring {policy} failed:\n{output.stderr}")
    result: dict[str, float] = json.loads(output.stdout.splitlines()[-1])
    return result


def _sps_of(command: str) -> float:
    output = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    found = re.findall(r"SPS\s+([\d.]+)", output.stdout)
    if not found:
        raise click.ClickException(f"'{command}' printed no 'SPS <number>':\n{output.stdout}{output.stderr}")
    return float(found[-1])


def _summary(values: list[float], digits: int = 0) -> str:
    low, middle, high = (f"{each:,.{digits}f}" for each in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low} to {high}, {len(values)} repeats)"


if __name__ == "__main__":
    main()
