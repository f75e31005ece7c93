"""Tables on terminals of any width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from crl_report.tables import Table
from crl_report.terminal import print_table

LONG = "clear batch_replay_ratio=1.0 policy_cloning_cost=0.01"


def table(*policies: str) -> Table:
    rows = [[name, 5, 1.5 + index] for index, name in enumerate(policies)]
    return Table("summary", "Summary", ["policy", "runs", "[90 %]"], rows, 2)


TABLE = table("ppo", LONG, "cora")


def printed(shown: Table, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    print_table(shown, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("┃│").split("┃" if "┃" in line else "│")]


def heads(shown: Table, width: int) -> list[list[str]]:
    return [cells(line)[1:] for line in printed(shown, width) if "┃" in line]


def test_a_wide_terminal_shows_all_columns_side_by_side_and_long_names_below() -> None:
    title, _, head, _, *rows, _, explained = printed(TABLE, 200)
    assert title.strip() == "Summary"
    assert cells(head) == ["", "ppo", "clear (1)", "cora"]
    assert [cells(row) for row in rows] == [["runs", "5", "5", "5"], ["[90 %]", "1.50", "2.50", "3.50"]]
    assert explained == f"(1) {LONG}"


def test_a_narrow_one_shows_as_many_at_a_time_as_fit() -> None:
    # names take 6 letters, columns 4, 9 and 4; each has 3 around it, and one line closes the table
    assert heads(TABLE, 36) == [["ppo", "clear (1)", "cora"]]
    assert heads(TABLE, 29) == [["ppo", "clear (1)"], ["cora"]]
    assert heads(TABLE, 28) == [["ppo"], ["clear (1)"], ["cora"]]
    assert [line.strip() for line in printed(TABLE, 28)].count("Summary") == 1


def test_where_one_column_is_too_wide_nothing_is_left_out() -> None:
    text = "".join(printed(TABLE, 18))
    assert "…" not in text
    assert all(figure in text for figure in ("1.50", "2.50", "3.50"))


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ((LONG, f"{LONG} x", "ppo"), ["clear (1)", "clear (2)", "ppo"]),
        ((LONG, "clear (1)"), ["clear (2)", "clear (1)"]),  # which a user has named so
        (("a" * 30, "ppo"), ["a" * 15 + "… (1)", "ppo"]),
        (("模型" * 7, "ppo"), ["模型" * 3 + "模… (1)", "ppo"]),  # each takes the room of two letters
    ],
)
def test_long_names_become_short_ones_that_no_other_has(policies: tuple[str, ...], expected: list[str]) -> None:
    assert heads(table(*policies), 200) == [expected]
