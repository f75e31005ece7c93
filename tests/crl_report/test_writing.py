"""Tables in every form."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from crl_report.metrics import Estimate, Interval
from crl_report.tables import Cell, Table
from crl_report.writing import as_csv, as_json, as_latex, as_markdown, shown

NAN = float("nan")
TABLE = Table(
    "t",
    "F_x & more",
    ["task", "clear", "a|b"],
    [["one_task", Estimate(-1.25, 0.5, 3), None], ["two", Estimate(4.0, NAN, 1), Interval(0.5, 0.25, 0.75, 2)]],
    2,
)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (Estimate(1234.56, 1.0, 2), "1,234.56 ± 1.00"),
        (Estimate(1.0, NAN, 1), "1.00"),
        (Estimate(NAN, NAN, 0), "--"),
        (Estimate(-0.001, 0.0, 2), "0.00 ± 0.00"),
        (Interval(0.5, 0.25, 0.75, 2), "0.50 [0.25, 0.75]"),
        (Interval(0.5, NAN, NAN, 1), "0.50"),
        (Interval(NAN, NAN, NAN, 0), "--"),
        (None, "--"),
        (3, "3"),
    ],
)
def test_a_cell_shows_its_error_or_interval(cell: Cell, text: str) -> None:
    assert shown(cell, 2) == text


def test_markdown() -> None:
    assert as_markdown(TABLE).splitlines() == [
        "### F_x & more",
        "",
        "Mean ± standard error over runs, [bootstrap interval].",
        "",
        "| task | clear | a\\|b |",
        "| --- | --: | --: |",
        "| one_task | -1.25 ± 0.50 | -- |",
        "| two | 4.00 | 0.50 [0.25, 0.75] |",
    ]


def test_latex_escapes_names_and_sets_minus_signs() -> None:
    lines = as_latex(TABLE).splitlines()
    assert r"\caption{F\_x \& more. Mean $\pm$ standard error over runs, [bootstrap interval].}" in lines
    assert r"\begin{tabular}{lrr}" in lines
    assert r"one\_task & $-$1.25 $\pm$ 0.50 & -- \\" in lines
    assert r"two & 4.00 & 0.50 [0.25, 0.75] \\" in lines


def test_latex_turns_what_is_wider_than_long() -> None:
    rows = as_latex(
        Table("t", "Wide", ["policy", "runs", "final"], [["ppo", 3, Estimate(1.0, NAN, 1)]], 1)
    ).splitlines()
    assert rows[2:12] == [
        r"\caption{Wide.}",
        r"\label{tab:t}",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"policy & ppo \\",
        r"\midrule",
        r"runs & 3 \\",
        r"final & 1.0 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_csv_has_a_line_for_each_cell_with_all_digits() -> None:
    assert as_csv(TABLE).splitlines() == [
        "row,column,value,standard_error,low,high,runs",
        "one_task,clear,-1.25,0.5,,,3",
        "one_task,a|b,,,,,",
        "two,clear,4.0,,,,1",
        "two,a|b,0.5,,0.25,0.75,2",
    ]


def test_latex_sets_times_and_not_other_letters() -> None:
    table = Table("t", "max F x 10 of x 3", ["box 1"], [], 1)
    assert as_latex(table).splitlines()[2] == r"\caption{max F $\times$ 10 of $\times$ 3.}"
    assert "box 1" in as_latex(table)


def test_csv_says_of_figures_ten_times_as_large_that_they_are() -> None:
    assert as_csv(replace(TABLE, times=10)).splitlines()[:2] == [
        "row,column,value_x10,standard_error_x10,low,high,runs",
        "one_task,clear,-1.25,0.5,,,3",
    ]


def test_json_has_null_for_what_is_unknown() -> None:
    cells = json.loads(as_json([TABLE]))["t"]["cells"]
    assert cells[0] == {"row": "one_task", "column": "clear", "value": -1.25, "standard_error": 0.5, "runs": 3}
    assert cells[1] == {"row": "one_task", "column": "a|b", "value": None}
    assert cells[2]["standard_error"] is None
