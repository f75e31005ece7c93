"""Runs side by side: all of one experiment, in groups of one policy with the same settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crl_report.reading import ReportError
from crl_report.records import RunRecord, TaskRecord

__all__ = ["Group", "differing_fields", "group_notes", "group_runs", "refuse_mixed_experiments", "rename_groups"]


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but their seed.

    Attributes:
        label: the policy's name, and the settings in which it differs from other groups of the same policy; or a label
            that the user chose.
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
            ("steps between evaluations (--continual-testing-freq)", first.testing_freq, run.testing_freq),
            *_differing_tasks(first, run),
        ]:
            if one != other:
                raise ReportError(
                    f"runs of different experiments cannot share a report: the {what} of {first.source}: {one}; of "
                    f"{run.source}: {other}. Name runs of one experiment with the same options"
                )


def group_runs(runs: Sequence[RunRecord]) -> list[Group]:
    """Return the groups, in the order of their first runs."""
    by_identity: dict[tuple[str, str], list[RunRecord]] = {}
    for run in runs:
        by_identity.setdefault((run.policy, _canonical(_identity(run))), []).append(run)
    members = list(by_identity.values())
    groups: list[Group] = []
    for each in members:
        same_policy = [_identity(other[0]) for other in members if other[0].policy == each[0].policy]
        label = " ".join([each[0].policy, *_differing(_identity(each[0]), same_policy)])
        groups.append(_group(label, each))
    return groups


def rename_groups(groups: Sequence[Group], names: Sequence[str]) -> list[Group]:
    """Return the groups with other labels, each given as `OLD=NEW`; those that get the same one become one.

    Raises:
        ReportError: there is no such label.
    """
    labels = {group.label: group.label for group in groups}
    for name in names:
        old = max((label for label in labels if name.startswith(f"{label}=")), key=len, default="")
        new = name.removeprefix(f"{old}=").strip()
        if not (old and new):
            known = ", ".join(f"'{label}'" for label in labels)
            raise ReportError(f"--label: {name}: write LABEL=NEW with one of these labels: {known}")
        labels[old] = new
    merged: dict[str, list[RunRecord]] = {}
    for group in groups:
        merged.setdefault(labels[group.label], []).extend(group.runs)
    return [_group(label, runs) for label, runs in merged.items()]


def group_notes(groups: Sequence[Group]) -> list[str]:
    """Return what a reader should know of groups: seeds that ran twice, versions that differ."""
    return [note for group in groups for note in (*_repeated_seeds(group), *_versions(group))]


def _group(label: str, runs: Sequence[RunRecord]) -> Group:
    return Group(label, tuple(sorted(runs, key=lambda run: run.seed)))


def _identity(run: RunRecord) -> dict[str, Any]:
    """Return what makes a policy another one: its settings, and the package it came from."""
    return {**run.settings, "package": run.distribution}


def _budgets(run: RunRecord) -> str:
    return ", ".join(f"{task.num_timesteps:,}" for task in run.tasks if task.trained)


def _differing_tasks(first: RunRecord, run: RunRecord) -> list[tuple[str, object, object]]:
    """Return the fields in which the tasks of two runs differ: what, and the value of each."""
    return [
        (f"{field} of task {task.id}", one, other)
        for task, its in zip(first.tasks, run.tasks, strict=False)  # that there are as many is found out before
        for field, (one, other) in differing_fields(task, its).items()
    ]


def differing_fields(task: TaskRecord, other: TaskRecord) -> dict[str, tuple[object, object]]:
    """Return the fields that make two tasks different ones, with the value of each."""
    one, two = (json.loads(each.definition or "{}") for each in (task, other))
    return {name: (one.get(name), two.get(name)) for name in sorted(one | two) if one.get(name) != two.get(name)}


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


def _versions(group: Group) -> list[str]:
    versions = sorted({run.version for run in group.runs})
    return [f"{group.label}: its runs are of different versions: {', '.join(versions)}"] if len(versions) > 1 else []


_MISSING = object()
