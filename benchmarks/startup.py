"""How long commands take to begin: help, the lists, and a run until its first training step.

python benchmarks/startup.py [--repeats 5] [--experiment beam_rider --preset atari]

Loading the 64 copies of a game that this preset has takes most of an Atari run's time; `tutorial` shows the rest.
Modules should be compiled already (`PYTHONDONTWRITEBYTECODE` not set), as installing them does.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click


@click.command()
@click.option("--repeats", default=5, show_default=True)
@click.option("--experiment", default="beam_rider", show_default=True)
@click.option("--preset", default="atari", show_default=True)
def main(repeats: int, experiment: str, preset: str) -> None:
    """Measure in turn, and print the medians."""
    chosen = [f"--experiment={experiment}", f"--preset={preset}"]
    measures: dict[str, Callable[[], float]] = {
        "python -c pass": lambda: _whole([sys.executable, "-c", "pass"]),
        "crl --help": lambda: _whole(_crl("--help")),
        "crl list": lambda: _whole(_crl("list")),
        "crl run --policy clear --help": lambda: _whole(_crl("run", "--policy=clear", "--help")),
        "first step of ppo": lambda: _first_row("ppo", chosen),
        "first step of impala": lambda: _first_row("impala", chosen),
        "first step of clear": lambda: _first_row("clear", chosen),
    }
    taken: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(repeats):
        for name, measure in measures.items():
            taken[name].append(measure())
    for name, seconds in taken.items():
        print(f"{name:32} {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})")


def _crl(*arguments: str) -> list[str]:
    """Return a command that starts as the installed `crl` does."""
    return [sys.executable, "-c", "from crl_core.cli.main import main; main()", *arguments]


def _whole(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def _first_row(policy: str, chosen: Sequence[str]) -> float:
    """Return how long it takes until a run says that it has trained."""
    with tempfile.TemporaryDirectory() as directory:
        started = time.perf_counter()
        with subprocess.Popen(
            _crl(
                "run",
                "--no-initial-eval",
                "--device=cpu",
                f"--policy={policy}",
                f"--output-dir={Path(directory) / 'run'}",
                *chosen,
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if "steps" in line and line.startswith("cycle"):
                    took = time.perf_counter() - started
                    process.kill()
                    return took
        raise click.ClickException(f"it never trained:\n{''.join(said)}")


if __name__ == "__main__":
    main()
