"""Many processes on one config file, some of them killed: every entry must run exactly once, and none may be lost.

    python benchmarks/claims.py [--repeats 20] [--processes 16] [--entries 100] [--kills 3]

Each process is a real `crl run --config-file … --all`. Some get a SIGKILL at random moments; the others go on until no
entry is left. Then `crl queue` must list what the killed ones left, and `--resume-id` and `--retry-failed` must end it.
"""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click

from crl_core.config_file import Entry
from crl_core.queue import Queue
from crl_core.sessions import STALE_SECONDS

_ENTRY = {
    "policy": "random",
    "experiment": "tutorial",
    "device": "cpu",
    "num_timesteps": 20,
    "continual_eval_num_returns": 1,
    "no_initial_eval": True,
}
_CRL = [sys.executable, "-m", "crl_core"]
_MARKS = [("task_start", 0), ("task_end", 0), ("task_start", 1), ("task_end", 1)]


@dataclass
class Outcome:
    """What became of one campaign.

    Attributes:
        killed: processes that were killed.
        left: how the entries stood that the killed processes left, by label.
        seconds: from the start of the processes to the end of the last.
        problems: what should not have been, one line each.
    """

    killed: int = 0
    left: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


@click.command()
@click.option("--repeats", default=1, show_default=True)
@click.option("--processes", default=16, show_default=True)
@click.option("--entries", default=100, show_default=True)
@click.option("--kills", default=3, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of the moments of the kills.")
def main(repeats: int, processes: int, entries: int, kills: int, seed: int) -> None:
    """Run campaigns and print what became of each."""
    print(f"{'repeat':>6} {'entries':>7} {'killed':>6} {'seconds':>7}  {'left by killed processes':<40} problems")
    bad = 0
    for repeat in range(repeats):
        with tempfile.TemporaryDirectory() as directory:
            outcome = campaign(Path(directory), processes, entries, kills, random.Random(seed + repeat))
        left = ", ".join(f"{label} {state}" for label, state in outcome.left.items()) or "nothing"
        problems = "; ".join(outcome.problems) or "none"
        counts = f"{repeat:>6} {entries:>7} {outcome.killed:>6} {outcome.seconds:>7.1f}"
        print(f"{counts}  {left:<40} {problems}", flush=True)
        bad += bool(outcome.problems)
    print(f"{repeats - bad} of {repeats} campaigns ran every entry exactly once")
    sys.exit(1 if bad else 0)


def campaign(directory: Path, processes: int, entries: int, kills: int, rng: random.Random) -> Outcome:
    """Run one campaign in an empty directory."""
    outcome = Outcome()
    (directory / "study.json").write_text(json.dumps([{**_ENTRY, "seed": seed} for seed in range(entries)]))
    queue = Queue(directory / "study.json", {"output_dir": str(directory / "out")})
    outcome.seconds, outcome.killed = _run_all(queue, directory, processes, kills, rng)
    outcome.left = {entry.label: _left(queue, entry) for entry in queue.entries}
    outcome.left = {label: state for label, state in outcome.left.items() if state != "finished"}
    if len(outcome.left) > outcome.killed:
        outcome.problems.append(f"{outcome.killed} processes were killed and {len(outcome.left)} entries are not done")
    sessions = {label: _sessions(queue, label) + 1 for label in outcome.left}
    _finish(queue, outcome)
    _check(queue, directory, outcome, sessions)
    return outcome


def _left(queue: Queue, entry: Entry) -> str:
    """Return how an entry stands; one that was claimed without a sign of life is stale only after a while."""
    deadline = time.monotonic() + 2 * STALE_SECONDS
    while (state := queue.standing(entry).state) == "claimed" and time.monotonic() < deadline:
        time.sleep(1)
    return state


def _sessions(queue: Queue, label: str) -> int:
    return len(list(queue.run_directory(queue.entry(label)).glob("sessions/*")))


def _run_all(queue: Queue, directory: Path, count: int, kills: int, rng: random.Random) -> tuple[float, int]:
    """Start the processes, kill some when so many entries are claimed; return seconds and how many were killed."""
    started = time.perf_counter()
    processes = [_start(queue, directory / f"process{index}.txt") for index in range(count)]
    killed = []
    for threshold in sorted(rng.randint(1, max(1, len(queue.entries) * 3 // 4)) for _ in range(kills)):
        while len(list(queue.unclaimed())) > len(queue.entries) - threshold:
            time.sleep(0.01)
            if all(process.poll() is not None for process in processes):
                break
        time.sleep(rng.uniform(0, 0.5))
        living = [process for process in processes if process.poll() is None]
        if living:
            victim = rng.choice(living)
            victim.kill()
            victim.wait()
            killed.append(victim)
    for process in processes:
        process.wait(timeout=600)
    return time.perf_counter() - started, len(killed)


def _start(queue: Queue, output: Path) -> subprocess.Popen[bytes]:
    with output.open("wb") as file:
        return subprocess.Popen(
            _command(queue, "--all"), stdout=file, stderr=file, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )


def _command(queue: Queue, *arguments: str) -> list[str]:
    return [*_CRL, "run", "--config-file", str(queue.path), "--output-dir", str(queue.output_dir), *arguments]


def _finish(queue: Queue, outcome: Outcome) -> None:
    """Go on with what is left: the first by the command that `crl queue` prints, the rest by `--retry-failed`."""
    listed = _listed(queue, outcome)
    first = True
    for label, state in outcome.left.items():
        if label not in listed:
            outcome.problems.append(f"`crl queue` does not say how to go on with entry {label}, which is {state}")
        elif first:
            _must_succeed([*_CRL, *shlex.split(listed[label])[1:]], outcome)
            first = False
    _must_succeed(_command(queue, "--retry-failed", "--all"), outcome)


def _listed(queue: Queue, outcome: Outcome) -> dict[str, str]:
    """Return the command to go on with that `crl queue` prints for each stale entry."""
    told = _must_succeed([*_CRL, "queue", str(queue.path), "--output-dir", str(queue.output_dir)], outcome)
    return dict(re.findall(r"^entry (\S+) is stale.*\n  (crl run .*)$", told, re.MULTILINE))


def _must_succeed(command: list[str], outcome: Outcome) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if result.returncode:
        outcome.problems.append(f"{' '.join(command[3:])} ended with {result.returncode}: {result.stderr.strip()}")
    return result.stdout


def _check(queue: Queue, directory: Path, outcome: Outcome, expected_sessions: Mapping[str, int]) -> None:
    """Note every entry that did not run exactly once, to its end."""
    told = "".join(path.read_text() for path in directory.glob("process*.txt"))
    claims = Counter(re.findall(r"^entry (\S+) of ", told, re.MULTILINE))
    for entry in queue.entries:
        state = queue.standing(entry).state
        if state != "finished":
            outcome.problems.append(f"entry {entry.label} is {state}")
            continue
        said_nothing = entry.label in outcome.left and not claims[entry.label]  # it was killed before it could
        if claims[entry.label] != 1 and not said_nothing:
            outcome.problems.append(f"entry {entry.label} was claimed {claims[entry.label]} times")
        run = queue.run_directory(entry)
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        if [(row["name"], row["value"]) for row in rows if row["name"].startswith("task_")] != _MARKS:
            outcome.problems.append(f"entry {entry.label} did not log each task once")
        sessions = _sessions(queue, entry.label)
        if sessions != expected_sessions.get(entry.label, 1):
            outcome.problems.append(f"entry {entry.label} was started {sessions} times")
    for line in re.findall(r"^(?:Error|Traceback).*", told, re.MULTILINE):
        outcome.problems.append(line)


if __name__ == "__main__":
    main()
