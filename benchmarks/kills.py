"""One run, killed again and again by SIGKILL and resumed each time: it must end as if nobody had ever killed it.

    python benchmarks/kills.py [--kills 50] [--policy clear] [--experiment breakout] [--set NAME=VALUE …]

The kills come at random moments; if a task ends before, exactly when its end is logged (`--at-boundary` times).
At the end the logs are checked against each other, against the schedule, and against what the settings say.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from crl_core.checkpoint import load_checkpoint, resumable_checkpoints
from crl_core.sessions import read_status
from crl_replay.store import UnrollStore

_CRL = [sys.executable, "-W", "error", "-m", "crl_core"]
_SMALL = {
    "device": "cpu",
    "timesteps_per_save": 400,
    "continual_testing_freq": 1000,
    "continual_eval_num_returns": 2,
    "eval_max_steps": 50,
}
_ACTORS = {"num_actors": 4, "batch_size": 4, "unroll_length": 10}
_POLICIES: dict[str, dict[str, Any]] = {
    "clear": {"preset": "atari", **_ACTORS, "replay_buffer_frames": 1_000_000},
    "impala": {"preset": "atari", **_ACTORS},
    "ppo": {"preset": "atari", "num_processes": 4, "num_steps": 10, "num_mini_batch": 2, "decay_over_steps": 20_000},
}
_WAIT_SECONDS = 300.0


@dataclass(frozen=True)
class Kill:
    """One kill.

    Attributes:
        at: when: `boundary`, or the seconds after the run was begun or resumed.
        step: the last step that was logged.
        checkpoint: the step of the newest checkpoint; -1 where there was none.
        trained: whether the session had made an update.
    """

    at: str
    step: int
    checkpoint: int
    trained: bool

    @property
    def lost(self) -> int:
        """The steps that are to be done again."""
        return self.step - max(self.checkpoint, 0)


@dataclass
class Outcome:
    """What became of one campaign."""

    kills: list[Kill] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)


@click.command()
@click.option("--policy", default="clear", show_default=True)
@click.option("--experiment", default="breakout", show_default=True)
@click.option("--kills", default=50, show_default=True)
@click.option(
    "--at-boundary", default=1, show_default=True, help="How many of the kills may come exactly at a task's end."
)
@click.option("--num-timesteps", default=10_000, show_default=True, help="Steps of each task in each cycle.")
@click.option("--cycle-count", default=6, show_default=True, help="Cycles.")
@click.option("--longest", default=20.0, show_default=True, help="Seconds after which a kill comes at the latest.")
@click.option("--seed", default=0, show_default=True, help="Of the moments of the kills.")
@click.option("--set", "chosen", multiple=True, metavar="NAME=VALUE", help="A setting of the run or the policy.")
def main(
    policy: str,
    experiment: str,
    kills: int,
    at_boundary: int,
    num_timesteps: int,
    cycle_count: int,
    longest: float,
    seed: int,
    chosen: tuple[str, ...],
) -> None:
    """Run one campaign and print what became of it."""
    settings = {
        "policy": policy,
        "experiment": experiment,
        **_SMALL,
        **_POLICIES.get(policy, {}),
        "num_timesteps": num_timesteps,
        "cycle_count": cycle_count,
        **dict(each.split("=", 1) for each in chosen),
    }
    with tempfile.TemporaryDirectory() as directory:
        outcome = campaign(Path(directory) / "run", settings, kills, at_boundary, longest, random.Random(seed))
    print(f"{'kill':>4} {'at':>9} {'step':>8} {'checkpoint':>10} {'lost':>6}")
    for index, kill in enumerate(outcome.kills):
        print(f"{index:>4} {kill.at:>9} {kill.step:>8,} {kill.checkpoint:>10,} {kill.lost:>6,}")
    for name, figure in outcome.figures.items():
        print(f"{name}: {figure:,}")
    print("\n".join(outcome.problems) or f"{policy} on {experiment}: nothing is wrong after {len(outcome.kills)} kills")
    sys.exit(1 if outcome.problems else 0)


def campaign(
    directory: Path, settings: Mapping[str, Any], kills: int, at_boundary: int, longest: float, rng: random.Random
) -> Outcome:
    """Run, kill and resume one run in `directory`, and check what it leaves.

    Args:
        directory: the run directory, which is not there yet.
        settings: as `crl run` takes them.
        kills: how many; fewer come if the run ends before.
        at_boundary: how many of them may come when a task's end is logged.
        longest: seconds after a start at which a kill comes at the latest.
        rng: draws the moments.
    """
    outcome = Outcome()
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    command = [*_CRL, "run", *options, "--output-dir", str(directory)]
    log = directory.with_name("output.txt")
    while len(outcome.kills) < kills:
        at_boundary_too = sum(kill.at == "boundary" for kill in outcome.kills) < at_boundary
        begun_at = _newest_checkpoint(directory)
        at = _run_until_killed(command, log, directory, rng.uniform(0, longest), at_boundary_too=at_boundary_too)
        command = [*_CRL, "resume", str(directory)]
        if at is None:
            break
        step = max((row["step"] for row in _rows(directory / "metrics.jsonl")), default=0)
        outcome.kills.append(Kill(at, step, _newest_checkpoint(directory), trained=step > max(0, begun_at)))
    with log.open("ab") as file:
        ended = subprocess.run(command, stdout=file, stderr=file, env=_environment(), timeout=3600, check=False)
    if ended.returncode:
        outcome.problems.append(f"the last resume ended with {ended.returncode}: {log.read_text()[-2000:]}")
        return outcome
    _check(directory, outcome)
    return outcome


def _newest_checkpoint(directory: Path) -> int:
    found = resumable_checkpoints(directory / "checkpoints")
    return int(found[0].name) if found else -1


def _run_until_killed(
    command: Sequence[str], log: Path, directory: Path, seconds: float, *, at_boundary_too: bool
) -> str | None:
    """Start a command and kill it so long after its session began, or at a task's end; None if it ended before that."""
    before = _session(directory)
    ends = _task_ends(directory)
    with log.open("ab") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=_environment())
    try:
        _wait(lambda: _session(directory) > before, process)
        deadline = time.monotonic() + seconds
        _wait(lambda: time.monotonic() > deadline or (at_boundary_too and _task_ends(directory) > ends), process)
        at = "boundary" if time.monotonic() < deadline else f"{seconds:.2f} s"
    finally:
        process.kill()
        process.wait()
    return at if process.returncode < 0 else None


def _wait(condition: Any, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while process.poll() is None and not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it did not come to that within {_WAIT_SECONDS:g} seconds")
        time.sleep(0.002)


def _environment() -> dict[str, str]:
    return {"OMP_NUM_THREADS": "1", **os.environ}


def _session(directory: Path) -> int:
    return int((read_status(directory) or {}).get("session", -1))


def _task_ends(directory: Path) -> int:
    path = directory / "metrics.jsonl"
    return path.read_text().count('"task_end"') if path.exists() else 0


def _rows(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def _check(directory: Path, outcome: Outcome) -> None:
    record = json.loads((directory / "run.json").read_text())
    rows = _rows(directory / "metrics.jsonl")
    updates = [row for row in rows if row["name"] == "learning_rate"]
    steps = [0, *(row["step"] for row in updates)]
    largest = max(after - before for before, after in itertools.pairwise(steps))
    outcome.figures |= {"steps": steps[-1], "updates": len(updates), "largest collection": largest}
    settings = record["policy"]["settings"]
    columns, rows_each = ("num_processes", "num_steps") if "num_steps" in settings else ("batch_size", "unroll_length")
    if largest > settings[columns] * settings[rows_each]:
        outcome.problems.append("some rows are of several updates, which cannot be checked: use fewer steps")
    status = read_status(directory) or {}
    if status.get("state") != "finished":
        outcome.problems.append(f"the run is {status.get('state')}")
    outcome.problems += _once_and_in_order(rows)
    outcome.problems += _task_marks(rows, record)
    outcome.problems += _evaluations(rows, updates, record)
    outcome.problems += _learning_rates(updates, record)
    outcome.problems += _tensorboard(directory, rows)
    limit = record["run"]["timesteps_per_save"] + largest
    lost = [kill.lost for kill in outcome.kills]
    outcome.figures |= {"most steps lost": max(lost, default=0), "allowed to be lost": limit}
    outcome.figures |= {"kills after some update of the session": sum(kill.trained for kill in outcome.kills)}
    outcome.problems += [f"{each} steps were lost, more than {limit}" for each in lost if each > limit]
    if record["policy"]["name"] == "clear":
        outcome.problems += _replay(directory, record, updates, outcome)


def _once_and_in_order(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    counts = Counter((row["step"], row["task"], row["cycle"], row["name"]) for row in rows)
    problems = [f"{name} is there {n} times at step {step}" for (step, _, _, name), n in counts.items() if n > 1]
    if any(after["step"] < before["step"] for before, after in itertools.pairwise(rows)):
        problems.append("the steps of metrics.jsonl do not ascend")
    return problems


def _task_marks(rows: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> list[str]:
    trained = [index for index, task in enumerate(record["experiment"]["tasks"]) if not task["eval_mode"]]
    walk = list(itertools.product(range(record["experiment"]["cycle_count"]), trained))
    due = [(name, cycle, task) for cycle, task in walk for name in ("task_start", "task_end")]
    found = [(row["name"], row["cycle"], row["value"]) for row in rows if row["name"].startswith("task_")]
    return [] if found == due else [f"tasks began and ended as {found}, not as {due}"]


def _evaluations(
    rows: Sequence[Mapping[str, Any]], updates: Sequence[Mapping[str, Any]], record: Mapping[str, Any]
) -> list[str]:
    """Compare with when an evaluation was due: at task ends and the first update at or past each multiple."""
    every = record["experiment"]["continual_testing_freq"]
    steps = [0, *(row["step"] for row in updates)]
    due = {row["step"] for row in rows if row["name"] == "task_end"}
    due |= set() if record["run"]["no_initial_eval"] else {0}
    due |= {after for before, after in itertools.pairwise(steps) if every and after // every > before // every}
    problems = []
    for index, task in enumerate(record["experiment"]["tasks"]):
        found = [row["step"] for row in rows if row["name"] == f"eval_reward/{index}"]
        if task["continual_eval"] and found != sorted(due):
            problems.append(f"task {index} was evaluated at {found}, and due was {sorted(due)}")
    return problems


def _learning_rates(updates: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> list[str]:
    """Compare each with the schedule at the step where its update began, which is the row before."""
    settings, tasks = record["policy"]["settings"], record["experiment"]["tasks"]
    problems = []
    begin, task_began, place = 0, 0, None
    for row in updates:
        if place != (row["cycle"], row["task"]):
            place, task_began = (row["cycle"], row["task"]), begin
        left = 1.0
        if settings.get("use_scheduler"):
            left = 1 - (begin - task_began) / tasks[row["task"]]["num_timesteps"]
        elif settings.get("use_linear_lr_decay"):
            left = 1 - begin / settings["decay_over_steps"]
        expected = settings["learning_rate"] * max(0.0, left)
        if abs(row["value"] - expected) > 1e-6 * settings["learning_rate"]:
            problems.append(f"the learning rate at step {row['step']} is {row['value']}, not {expected}")
        begin = row["step"]
    return problems


def _tensorboard(directory: Path, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it tells of each session
    events = EventAccumulator(str(directory), size_guidance={"scalars": 0}).Reload()
    problems = []
    for name in sorted({row["name"] for row in rows} - {"task_start", "task_end"}):
        curve = [(row["step"], row["value"]) for row in rows if row["name"] == name]
        shown = [(event.step, event.value) for event in events.Scalars(name)]
        if [step for step, _ in shown] != [step for step, _ in curve]:
            extra = Counter(step for step, _ in shown) - Counter(step for step, _ in curve)
            gone = Counter(step for step, _ in curve) - Counter(step for step, _ in shown)
            problems.append(f"TensorBoard's {name} has steps too often: {dict(extra)}, and lacks: {dict(gone)}")
        elif any(abs(a - b) > 1e-5 * max(1.0, abs(b)) for (_, a), (_, b) in zip(shown, curve, strict=True)):
            problems.append(f"TensorBoard's {name} has other values than metrics.jsonl")
    return problems


def _replay(
    directory: Path, record: Mapping[str, Any], updates: Sequence[Mapping[str, Any]], outcome: Outcome
) -> list[str]:
    """Compare the reservoir with the updates: as many unrolls, and, while none was evicted, as many valid rows."""
    reservoir = load_checkpoint(resumable_checkpoints(directory / "checkpoints")[0]).policy["replay"]["reservoir"]
    settings = record["policy"]["settings"]
    per_update = settings["batch_size" if settings["runner"] == "pipelined" else "num_actors"]
    outcome.figures |= {"unrolls offered to the reservoir": reservoir["count"]}
    handed_over = per_update * len(updates)
    problems = []
    if reservoir["count"] != handed_over:
        problems.append(f"the reservoir was offered {reservoir['count']} unrolls, and {handed_over} were handed over")
    with UnrollStore.open(directory / "replay") as store:
        kept = store.numbers()
        if len(kept) == reservoir["count"]:
            valid = sum(int(unroll["valid"].sum()) for unroll in store.iterate(kept))
            outcome.figures |= {"valid rows in the store": valid}
            if valid != updates[-1]["step"]:
                problems.append(f"the store holds {valid} valid rows, and {updates[-1]['step']} steps were counted")
    return problems


if __name__ == "__main__":
    main()
