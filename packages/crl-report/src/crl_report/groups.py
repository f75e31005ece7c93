"""Runs side by side: all of one experiment, in groups of one policy with the same settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crl_report.reading import ReportError
from crl_report.records import RunRecord

__all__ = ["Group", "group_runs", "refuse_mixed_experiments"]


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but their seed.

    Attributes:
        label: the policy's name, and the settings in which it differs from other groups of the same policy.
        runs: its runs, by seed.
    """

    label: str
    runs: tuple[RunRecord, ...]


def refuse_mixed_experiments(runs: Sequence[RunRecord]) -> None:
    """Refuse runs that did not walk through the same tasks.

    Raises:
        ReportError: two runs differ in their experiment; says in what.
    """
    first = runs[0]
    for run in runs[1:]:
        for what, one, other in [
            ("tasks", ", ".join(task.id for task in first.tasks), ", ".join(task.id for task in run.tasks)),
            ("number of cycles", first.cycle_count, run.cycle_count),
            ("budgets of steps", _budgets(first), _budgets(run)),
            ("steps between evaluations", first.testing_freq, run.testing_freq),
            ("definitions of tasks", _definitions(first), _definitions(run)),
        ]:
            if one != other:
                raise ReportError(
                    f"runs of different experiments cannot share a report: the {what} of {first.source}: {one}; of "
                    f"{run.source}: {other}. Name the runs of one experiment"
                )


def group_runs(runs: Sequence[RunRecord]) -> tuple[list[Group], list[str]]:
    """Return the groups, in the order of their first runs, and a note for each seed that a group has twice."""
    by_settings: dict[tuple[str, str], list[RunRecord]] = {}
    for run in runs:
        by_settings.setdefault((run.policy, _canonical(dict(run.settings))), []).append(run)
    members = list(by_settings.values())
    groups: list[Group] = []
    notes: list[str] = []
    for each in members:
        same_policy = [other[0].settings for other in members if other[0].policy == each[0].policy]
        label = " ".join([each[0].policy, *_differing(each[0].settings, same_policy)])
        groups.append(Group(label, tuple(sorted(each, key=lambda run: run.seed))))
        notes += _repeated_seeds(groups[-1])
    return groups, notes


def _budgets(run: RunRecord) -> str:
    return ", ".join(f"{task.num_timesteps:,}" for task in run.tasks if task.trained)


def _definitions(run: RunRecord) -> str:
    return ", ".join(task.definition for task in run.tasks)


def _differing(settings: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return `name=value` for the settings that are not the same in all of `others`."""
    return [
        f"{name}={value}"
        for name, value in sorted(settings.items())
        if any(_canonical(other.get(name, _MISSING)) != _canonical(value) for other in others)
    ]


def _canonical(value: object) -> str:
    """Return settings as text, in which 1 and 1.0, though equal, differ."""
    return json.dumps(value, sort_keys=True, default=str)


def _repeated_seeds(group: Group) -> list[str]:
    seeds = [run.seed for run in group.runs]
    return [
        f"{group.label}: seed {seed} has {seeds.count(seed)} runs, which count as independent ones"
        for seed in sorted(set(seeds))
        if seeds.count(seed) > 1
    ]


_MISSING = object()
