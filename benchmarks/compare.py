"""How fast training is, beside what the machine allows and beside other libraries, all measured in turn.

    python benchmarks/compare.py                                    # ours, their parts and the peers; 5 repeats
    python benchmarks/compare.py --no-peers --other "impala=python mine.py"
    python benchmarks/compare.py --page docs/performance.md         # writes the tables into that page, with a plot

Every repeat measures everything once, one after the other, each in a process of its own; figures are medians over the
repeats, ratios medians of the ratios within a repeat, since a machine's speed drifts. The peers' environments are made
under `--peers-in` at the first run. Another command is compared with one of our policies (`--other`); it must print
`SPS <number>`. Nothing else should run meanwhile. `--page` needs what `benchmarks/requirements.txt` lists.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from comparison import Comparison, machine

from crl_core.cores import usable_cores

HERE = Path(__file__).parent
PEERS = {"rllib_impala": "impala", "sample_factory_appo": "impala", "sb3_ppo": "ppo"}
PLAIN = {
    "impala": {"deterministic": "true", "torch_threads": "1", "environment_threads": "1"},
    "ppo": {"torch_threads": "1", "environment_threads": "1"},
}
TRAINING_ROWS = (168, 336, 672)  # how many rows go through the network at once; the fastest counts
_PATIENCE_SECONDS = 600


@dataclass(frozen=True)
class Measurement:
    """A command whose output holds one figure.

    Attributes:
        name: what it measures.
        command: prints it.
        field: the figure's name in the JSON object of the last line; None where it prints `SPS <number>`.
    """

    name: str
    command: Sequence[str]
    field: str | None = "steps_per_second"

    def take(self) -> float:
        """Run the command and return its figure.

        Raises:
            click.ClickException: it failed, or printed none.
        """
        waiting = {"OMP_WAIT_POLICY": "PASSIVE"} if self.name.startswith("part ") else {}  # as our runs wait
        output = subprocess.run(
            ["timeout", str(_PATIENCE_SECONDS), *self.command],  # which ends the whole group
            capture_output=True,
            text=True,
            check=False,
            env={**waiting, **os.environ},
        )
        try:
            if output.returncode:
                raise ValueError(f"exit code {output.returncode}")
            if self.field is None:
                return float(re.findall(r"SPS\s+([\d.]+)", output.stdout)[-1])
            return float(json.loads(output.stdout.splitlines()[-1])[self.field])
        except (IndexError, ValueError, KeyError) as error:
            said = f"{output.stdout[-2000:]}{output.stderr[-2000:]}"
            raise click.ClickException(f"measuring {self.name} failed: {' '.join(self.command)}\n{said}") from error


@click.command()
@click.option("--repeats", default=5, show_default=True)
@click.option("--seconds", default=15.0, show_default=True, help="How long each speed is measured.")
@click.option("--policy", "policies", multiple=True, default=["impala", "clear", "ppo"], show_default=True)
@click.option("--peers/--no-peers", default=True, help="Whether to measure the other libraries, too.")
@click.option("--peers-in", default=Path(".cache/peers"), show_default=True, type=click.Path(path_type=Path))
@click.option("--other", "others", multiple=True, metavar="POLICY=COMMAND", help="May be repeated.")
@click.option("--scaling/--no-scaling", default=False, help="Whether to measure 8 to 128 environments, too.")
@click.option("--results", default=Path("benchmarks/results.json"), show_default=True, type=click.Path(path_type=Path))
@click.option("--page", type=click.Path(path_type=Path, exists=True), help="A page to write the tables into.")
@click.option("--measure/--no-measure", default=True, help="Whether to measure, or to show the results there are.")
def main(
    repeats: int,
    seconds: float,
    policies: tuple[str, ...],
    peers: bool,
    peers_in: Path,
    others: tuple[str, ...],
    scaling: bool,
    results: Path,
    page: Path | None,
    measure: bool,
) -> None:
    """Measure, keep the results, and show them."""
    if page is not None and importlib.util.find_spec("matplotlib") is None:
        raise click.ClickException("--page needs matplotlib: pip install -r benchmarks/requirements.txt")
    comparison = Comparison.read(results) if results.exists() else Comparison(machine(), [], [])
    if measure:
        pythons = {name: _python_of(name, peers_in) for name in PEERS if peers and PEERS[name] in policies}
        wanted = [*_measurements(policies, seconds), *_others(others), *_peers(pythons, seconds)]
        comparison = Comparison(machine(), [], [])
        for repeat in range(repeats):
            comparison.repeats.append({"cores": usable_cores()})
            for each in wanted:
                print(f"measuring {each.name}", flush=True)
                comparison.repeats[-1][each.name] = each.take()
                print(f"{repeat + 1}/{repeats} {each.name}: {comparison.repeats[-1][each.name]:,.6g}", flush=True)
                comparison.write(results)
    if scaling:
        comparison.scaling[:] = _scaling(seconds)
        comparison.write(results)
    for line in comparison.lines():
        print(line)
    if page is not None:
        from comparison_page import write_page  # which needs matplotlib

        write_page(comparison, page)


def _measurements(policies: Sequence[str], seconds: float) -> Iterator[Measurement]:
    """Yield our policies, with automatic choices and plain, and their parts."""
    for policy in policies:
        yield Measurement(policy, _throughput(policy, seconds))
        if policy in PLAIN:
            yield Measurement(f"{policy} plain", _throughput(policy, seconds, **PLAIN[policy]))
    cores = str(usable_cores())
    parts = [
        ("environment", {"rows": "32"}),
        ("forward", {"rows": "32"}),
        *(("training", {"rows": str(rows)}) for rows in TRAINING_ROWS),
    ]
    if "ppo" in policies:
        parts += [
            ("environment", {"rows": "8", "threads": cores, "network": "ppo"}),
            ("forward", {"rows": "8", "threads": cores, "network": "ppo"}),
            ("training", {"rows": "256", "threads": cores, "network": "ppo"}),
        ]
    for part, options in parts:
        name = f"part {options.get('network', 'impala')} {part} {options['rows']}"
        chosen = [argument for option, value in options.items() for argument in (f"--{option}", value)]
        command = [sys.executable, str(HERE / "parts.py"), "--part", part, *chosen, "--seconds", str(seconds / 2)]
        yield Measurement(name, command, "seconds_per_row")


def _throughput(policy: str, seconds: float, **settings: str) -> list[str]:
    chosen = [argument for name, value in settings.items() for argument in ("--set", f"{name}={value}")]
    return [sys.executable, str(HERE / "throughput.py"), "--policy", policy, "--seconds", str(seconds), *chosen]


def _others(others: Sequence[str]) -> Iterator[Measurement]:
    for each in others:
        policy, _, command = each.partition("=")
        yield Measurement(f"other {policy}", ["sh", "-c", command], None)


def _peers(pythons: dict[str, Path], seconds: float) -> Iterator[Measurement]:
    for name, python in pythons.items():
        command = [
            str(python),
            str(HERE / "peers" / f"{name}.py"),
            "--seconds",
            str(2 * seconds),
        ]  # their updates are long
        yield Measurement(f"peer {name}", command)


def _python_of(peer: str, directory: Path) -> Path:
    """Return the interpreter of a peer's environment, made if it is not there yet."""
    home = directory / peer
    python = home.absolute() / "bin" / "python"
    if not (home / "complete").exists():
        print(f"installing {peer} into {home}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        requirements = str(HERE / "peers" / f"{peer}.txt")
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
        (home / "complete").touch()
    return python


def _scaling(seconds: float) -> list[dict[str, float]]:
    """Return IMPALA's speed with 8 to 128 environments, on one core and on two, four and so on up to all."""
    cores = [2**power for power in range(usable_cores().bit_length()) if 2**power < usable_cores()] + [usable_cores()]
    rows: list[dict[str, float]] = []
    for count in cores:
        for environments in (8, 16, 32, 64, 128):
            command = [*_throughput("impala", seconds, num_actors=str(environments)), "--cores", str(count)]
            speed = Measurement(f"scaling {environments}", command).take()
            rows.append({"cores": count, "environments": environments, "steps_per_second": speed})
            print(f"{count} cores, {environments} environments: {speed:,.0f} steps/s", flush=True)
    return rows


if __name__ == "__main__":
    main()
