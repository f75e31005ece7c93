"""What the study of docs/results.md and its replication both compute, and hypotheses 3 and 4, which both answer."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from intervals import show_difference, show_mean

from crl_report.analysis import GroupAnalysis, RunAnalysis

__all__ = [
    "CLEAR",
    "IMPALA",
    "Groups",
    "forgetting_of_runs",
    "less",
    "print_forgetting",
    "print_hypothesis_3",
    "print_hypothesis_4",
    "print_returns",
]

IMPALA, CLEAR = "IMPALA", "CLEAR"

Groups = Mapping[str, GroupAnalysis]
"""The runs of each policy, by the name it has in the page."""


def forgetting_of_runs(group: GroupAnalysis) -> list[float]:
    """Return F of each run."""
    return [_forgetting(run) for run in group.runs]


def _forgetting(run: RunAnalysis) -> float:
    """Return F; a game that returned nothing but 0 in all runs has no scale, and no part in it."""
    pairs = [value for (i, j, _), value in run.forgetting.items() if i != j and not math.isnan(value)]
    return statistics.mean(pairs) if pairs else 0.0


def less(values: Mapping[str, Sequence[float]], name: str, other: str, share: float) -> str:
    """Return the mean of one policy less a share of another's, with its interval."""
    return show_difference(values[name], [share * value for value in values[other]])


def print_returns(groups: Groups, games: Sequence[str]) -> None:
    """Print the final returns of every group."""
    print(f"final returns: {', '.join(games)}")
    for name, group in groups.items():
        finals = [[run.final[index] for run in group.runs] for index in range(len(games))]
        print(f"  {name:30} {'   '.join(show_mean(each) for each in finals)}")


def print_forgetting(forgetting: Mapping[str, Sequence[float]]) -> None:
    """Print F of every group."""
    print("\nF")
    for name, values in forgetting.items():
        print(f"  {name:30} {show_mean(values)}")


def print_hypothesis_3(forgetting: Mapping[str, Sequence[float]]) -> None:
    """Print whether CLEAR forgets at most half as much as IMPALA."""
    print(f"\n3. F of CLEAR less half of IMPALA's: {less(forgetting, CLEAR, IMPALA, 0.5)}")


def print_hypothesis_4(groups: Groups, last: int) -> None:
    """Print whether CLEAR ends within 10 percent of IMPALA on the game that is trained last, whose index is given."""
    finals = {name: [run.final[last] for run in group.runs] for name, group in groups.items()}
    shares = (f"{share:g} of IMPALA's: {less(finals, CLEAR, IMPALA, share)}" for share in (0.9, 1.1))
    print(f"4. final return of CLEAR on the last game less {'; less '.join(shares)}")
