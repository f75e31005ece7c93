"""What a long run holds on to: memory, open files, threads, processes and temporary files, watched from outside.

    python benchmarks/soak.py [--steps 300000] [--policy clear] [--experiment tutorial]

Memory is anonymous resident memory of the run and its children, so that the mapped pages of a replay store do not
count. The slopes are least squares over the samples after the warm-up.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import click
import numpy as np
import psutil

_TAIL_BYTES = 4000


@dataclass(frozen=True)
class Sample:
    """What the run held at one moment.

    Attributes:
        step: the last step it had logged.
        megabytes: anonymous resident memory of its process and children.
        files: open files of its process.
        threads: threads of its process.
        children: child processes.
        temporary: files in its directory of temporary files.
        checkpoints: directories of checkpoints.
    """

    step: int
    megabytes: float
    files: int
    threads: int
    children: int
    temporary: int
    checkpoints: int


@click.command()
@click.option("--policy", default="clear", show_default=True)
@click.option("--experiment", default="tutorial", show_default=True)
@click.option("--steps", default=300_000, show_default=True, help="Of the whole run, shared out among its two tasks.")
@click.option("--seconds", default=5.0, show_default=True, help="Between two samples.")
@click.option("--warm-up", default=0.2, show_default=True, help="Share of the steps before the slopes begin.")
@click.option("--rows", default=20, show_default=True, help="Samples that are printed; all count for the slopes.")
@click.option("--set", "chosen", multiple=True, metavar="NAME=VALUE", help="A setting of the run or the policy.")
def main(
    policy: str, experiment: str, steps: int, seconds: float, warm_up: float, rows: int, chosen: tuple[str, ...]
) -> None:
    """Run and print what was held."""
    settings = {
        "preset": "tutorial",
        "device": "cpu",
        "num_timesteps": steps // 2,
        "continual_testing_freq": max(1, steps // 60),
        "timesteps_per_save": max(1, steps // 60),
        "replay_buffer_frames": max(1, steps // 10),
        **dict(each.split("=", 1) for each in chosen),
    }
    with tempfile.TemporaryDirectory() as directory:
        samples = watch({"policy": policy, "experiment": experiment, **settings}, Path(directory), seconds)
    names = [each.name for each in fields(Sample)]
    print(" ".join(f"{name:>11}" for name in names))
    for sample in samples[:: max(1, len(samples) // rows)]:
        print(
            " ".join(f"{value:>11,.1f}" if isinstance(value, float) else f"{value:>11,}" for value in astuple(sample))
        )
    table = np.array([astuple(sample) for sample in samples if sample.step >= warm_up * samples[-1].step])
    print(f"slopes over the last {len(table)} of {len(samples)} samples, per 100,000 steps:")
    for name, column in zip(names[1:], table.T[1:], strict=True):
        slope, error = _slope(table[:, 0], column)
        print(f"{name:>11}: {100_000 * slope:+.2f} +- {100_000 * error:.2f}, from {column.min():g} to {column.max():g}")


def watch(settings: dict[str, object], directory: Path, seconds: float) -> list[Sample]:
    """Run to the end in an empty directory; return samples from the first logged step on.

    Raises:
        click.ClickException: the run failed.
    """
    (directory / "temporary").mkdir()
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "TMPDIR": str(directory / "temporary")}
    with (directory / "output.txt").open("wb") as output:
        process = psutil.Popen(
            [sys.executable, "-m", "crl_core", "run", *options, "--output-dir", str(directory / "run")],
            stdout=output,
            stderr=output,
            env=environment,
        )
    samples: list[Sample] = []
    try:
        while process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                step = _last_step(directory / "run" / "metrics.jsonl")
                if step > 0:
                    samples.append(_sample(process, directory, step))
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(seconds)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode or len(samples) < 3:
        raise click.ClickException(f"{len(samples)} samples; it ended so: {(directory / 'output.txt').read_text()}")
    return [sample for sample in samples if sample.step < samples[-1].step]  # without those of it closing down


def _sample(process: psutil.Popen, directory: Path, step: int) -> Sample:
    children = process.children(recursive=True)
    return Sample(
        step=step,
        megabytes=sum(_anonymous_megabytes(each.pid) for each in [process, *children]),
        files=process.num_fds(),
        threads=process.num_threads(),
        children=len(children),
        temporary=sum(1 for _ in (directory / "temporary").rglob("*")),
        checkpoints=len(list((directory / "run" / "checkpoints").iterdir())),
    )


def _anonymous_megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return sum(int(line.split()[1]) / 1000 for line in lines if line.startswith("RssAnon:"))


def _last_step(metrics: Path) -> int:
    """Return the step of the last whole row; 0 where there is none."""
    with metrics.open("rb") as file:
        file.seek(max(0, metrics.stat().st_size - _TAIL_BYTES))
        lines = file.read().split(b"\n")
    return int(json.loads(lines[-2])["step"]) if len(lines) > 1 else 0


def _slope(steps: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Return the slope of the line of least squares, and its standard error."""
    x = steps - steps.mean()
    spread = float((x**2).sum())
    slope = float((x * (values - values.mean())).sum()) / spread
    left = values - values.mean() - slope * x
    return slope, float(np.sqrt((left**2).sum() / max(1, len(x) - 2) / spread))


if __name__ == "__main__":
    main()
