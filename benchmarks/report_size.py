"""How long a large report takes, and how much memory: 20 runs, 6 tasks, 2,400 evaluations of each.

    python benchmarks/report_size.py [--runs 20] [--evaluations 2400]

The runs are written first, as runs write them, with 40,000 rows of losses among their evaluations.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np

_TASKS, _CYCLES, _STEPS = 6, 5, 50_000_000
_OTHER_ROWS = 40_000


@click.command()
@click.option("--runs", default=20, show_default=True)
@click.option("--evaluations", default=2400, show_default=True, help="Of each task.")
def main(runs: int, evaluations: int) -> None:
    """Write runs, report on them, and print."""
    with tempfile.TemporaryDirectory() as directory:
        for index in range(runs):
            _write_run(Path(directory) / f"runs/{index}", index, evaluations)
        started = time.perf_counter()
        command = [sys.executable, "-m", "crl_core", "report", f"{directory}/runs", "--output", f"{directory}/report"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        took = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        page = (Path(directory) / "report/report.html").stat().st_size / 1e6
    print(f"{runs} runs, {_TASKS} tasks, {evaluations:,} evaluations: {took:.1f} s, {peak:.2f} GB, page {page:.1f} MB")


def _write_run(directory: Path, index: int, evaluations: int) -> None:
    rng = np.random.default_rng(index)
    directory.mkdir(parents=True)
    tasks = [{"id": f"game_{task}", "num_timesteps": _STEPS} for task in range(_TASKS)]
    record = {
        "run": {"seed": index // 4},
        "policy": {"name": f"policy_{index % 4}", "settings": {}},
        "experiment": {"name": "six_games", "cycle_count": _CYCLES, "tasks": tasks},
    }
    (directory / "run.json").write_text(json.dumps(record), encoding="utf-8")
    (directory / "status.json").write_text('{"state": "finished"}', encoding="utf-8")
    whole = _TASKS * _CYCLES * _STEPS
    rows = []
    for visit in range(_TASKS * _CYCLES):
        at = {"cycle": visit // _TASKS, "task": visit % _TASKS}
        rows.append({"step": visit * _STEPS, **at, "name": "task_start", "value": 0})
        rows.append({"step": (visit + 1) * _STEPS, **at, "name": "task_end", "value": 0})
    for step in np.linspace(0, whole, evaluations).astype(int).tolist():
        rows += [
            {"step": step, "cycle": 0, "task": 0, "name": f"eval_reward/{task}", "value": float(rng.normal(task, 1))}
            for task in range(_TASKS)
        ]
    rows += [
        {"step": step, "cycle": 0, "task": 0, "name": "policy_loss", "value": float(rng.normal())}
        for step in np.linspace(0, whole, _OTHER_ROWS).astype(int).tolist()
    ]
    rows.sort(key=lambda row: (row["step"], row["name"] == "task_start"))
    (directory / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
