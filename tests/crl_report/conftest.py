"""Run directories as runs write them, with evaluations chosen by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return what writes a run's directory: two tasks of 20 steps, evaluated every 10, unless told otherwise."""

    def make(
        name: str,
        evaluations: Mapping[int, Mapping[int, float]],
        *,
        policy: str = "clear",
        settings: Mapping[str, Any] | None = None,
        seed: int = 0,
        tasks: Sequence[Mapping[str, Any]] | None = None,
        visits: Sequence[tuple[int, int, int, int | None]] = ((0, 0, 0, 20), (0, 1, 20, 40)),
        cycle_count: int = 1,
        state: str = "finished",
        experiment: str = "two_tasks",
        testing_freq: int = 10,
        plasticity: Mapping[str, Mapping[int, float]] | None = None,
    ) -> Path:
        directory = tmp_path / name
        directory.mkdir(parents=True)
        tasks = tasks or [{"id": "a", "num_timesteps": 20}, {"id": "b", "num_timesteps": 20}]
        record = {
            "run": {"seed": seed},
            "policy": {"name": policy, "settings": dict(settings or {"learning_rate": 0.1})},
            "experiment": {
                "name": experiment,
                "cycle_count": cycle_count,
                "continual_testing_freq": testing_freq,
                "tasks": list(tasks),
            },
        }
        (directory / "run.json").write_text(json.dumps(record))
        (directory / "status.json").write_text(json.dumps({"state": state}))
        rows: list[dict[str, Any]] = []
        for cycle, task, start, end in visits:
            rows.append({"step": start, "cycle": cycle, "task": task, "name": "task_start", "value": 0})
            if end is not None:
                rows.append({"step": end, "cycle": cycle, "task": task, "name": "task_end", "value": 0})
        for index, returns in evaluations.items():
            rows += [
                {"step": step, "cycle": 0, "task": 0, "name": f"eval_reward/{index}", "value": value}
                for step, value in returns.items()
            ]
        for figure, values in (plasticity or {}).items():
            rows += [
                {"step": step, "cycle": 0, "task": 0, "name": f"plasticity/{figure}", "value": value}
                for step, value in values.items()
            ]
        rows.sort(key=lambda row: (row["step"], row["name"] == "task_start"))
        (directory / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return directory

    return make
