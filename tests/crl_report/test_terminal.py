"""Tables on terminals of any width."""

from __future__ import annotations

import io

from rich.console import Console

from crl_report.tables import Table
from crl_report.terminal import print_table

LONG = "clear batch_replay_ratio=1.0 policy_cloning_cost=0.01"
TABLE = Table(
    "summary", "Summary", ["policy", "runs", "[90 %]"], [["ppo", 5, 1.5], [LONG, 5, 2.5], ["cora", 1, 9.0]], 2
)


def printed(width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    print_table(TABLE, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("┃│").split("┃" if "┃" in line else "│")]


def test_a_wide_terminal_shows_all_columns_side_by_side_and_long_names_below() -> None:
    title, _, head, _, *rows, _, explained = printed(200)
    assert title.strip() == "Summary"
    assert cells(head) == ["", "ppo", "clear (1)", "cora"]
    assert [cells(row) for row in rows] == [["runs", "5", "5", "1"], ["[90 %]", "1.50", "2.50", "9.00"]]
    assert explained == f"(1) {LONG}"


def test_a_narrow_one_shows_as_many_at_a_time_as_fit() -> None:
    # names take 6 letters, columns 4, 9 and 4; each has 3 around it, and one line closes the table
    heads = {width: [cells(line) for line in printed(width) if "┃" in line] for width in (10, 28, 29, 36)}
    assert heads[36] == [["", "ppo", "clear (1)", "cora"]]
    assert heads[29] == [["", "ppo", "clear (1)"], ["", "cora"]]
    assert heads[28] == [["", "ppo"], ["", "clear (1)"], ["", "cora"]]
    assert len(heads[10]) == 3
    assert [line.strip() for line in printed(28)].count("Summary") == 1
