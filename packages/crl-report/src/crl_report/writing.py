"""Tables as Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from crl_report.metrics import Estimate, Interval
from crl_report.tables import Cell, Table

__all__ = ["as_csv", "as_json", "as_latex", "as_markdown", "csv_text", "explained", "shown"]

_NOTHING = "--"
_TIMES = re.compile(r"\bx (?=\d)")
_MINUS = re.compile(r"-(?=\d)")
_LATEX = {
    "\\": r"\textbackslash{}",
    **{each: f"\\{each}" for each in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\^{}",
}


def as_markdown(table: Table) -> str:
    """Return a table as Markdown, with its title."""
    lines = [f"### {table.title}", "", *([explained(table), ""] if explained(table) else [])]
    lines += [_markdown_row(table.columns), _markdown_row(["---", *_aligned(table, "--:")])]
    lines += [_markdown_row([shown(cell, table.digits) for cell in row]) for row in table.rows]
    return "\n".join([*lines, ""])


def as_latex(table: Table) -> str:
    """Return a table for LaTeX, whose preamble needs the package booktabs.

    A table that is wider than long is turned, as pages are longer than wide.
    """
    if len(table.columns) > len(table.rows) + 1:
        table = table.turned()
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_latex_text(' '.join([f'{table.title}.', explained(table)]).strip())}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{l{''.join(_aligned(table, 'r'))}}}",
        r"\toprule",
        _latex_row([_latex_text(column) for column in table.columns]),
        r"\midrule",
        *(_latex_row([_latex_cell(cell, table.digits) for cell in row]) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
        "",
    ]
    return "\n".join(lines)


def as_csv(table: Table) -> str:
    """Return a table as CSV, a line for each cell: its row and column, the figure, its error or interval, the runs."""
    times = f"_x{table.times}" if table.times != 1 else ""
    names = ("value", "standard_error", "low", "high", "runs")
    rows = ([row, column, *(_figures(cell).get(name, "") for name in names)] for row, column, cell in _cells(table))
    return csv_text(["row", "column", f"value{times}", f"standard_error{times}", *names[2:]], rows)


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV, below their head."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()


def as_json(tables: Sequence[Table]) -> str:
    """Return tables as one JSON object; what is unknown is null."""
    data = {
        table.name: {
            "title": table.title,
            "cells": [{"row": row, "column": column, **_figures(cell)} for row, column, cell in _cells(table)],
        }
        for table in tables
    }
    return json.dumps(data, indent=1, allow_nan=False) + "\n"


def explained(table: Table) -> str:
    """Return what stands beside a table's figures, in a sentence; nothing where nothing does."""
    texts = [shown(cell, table.digits) for row in table.rows for cell in row[1:]]
    errors = "± standard error over runs" if any("±" in text for text in texts) else ""
    intervals = "[bootstrap interval]" if any("[" in text for text in texts) else ""
    said = ", ".join(each for each in (errors, intervals) if each)
    return f"Mean {said}." if said else ""


def shown(cell: Cell, digits: int) -> str:
    """Return a cell as text: a mean with its standard error, or a figure with its interval."""
    match cell:
        case None:
            return _NOTHING
        case Estimate():
            if not math.isfinite(cell.mean):
                return _NOTHING
            error = f" ± {cell.error:,.{digits}f}" if math.isfinite(cell.error) else ""
            return f"{_number(cell.mean, digits)}{error}"
        case Interval():
            if not math.isfinite(cell.value):
                return _NOTHING
            interval = (
                f" [{_number(cell.low, digits)}, {_number(cell.high, digits)}]" if math.isfinite(cell.low) else ""
            )
            return f"{_number(cell.value, digits)}{interval}"
        case float():
            return _number(cell, digits)
    return str(cell)


def _number(value: float, digits: int) -> str:
    """Return a number without the sign of a zero."""
    return f"{round(value, digits) + 0.0:,.{digits}f}"


def _figures(cell: Cell) -> dict[str, Any]:
    match cell:
        case Estimate():
            return {"value": _known(cell.mean), "standard_error": _known(cell.error), "runs": cell.runs}
        case Interval():
            return {"value": _known(cell.value), "low": _known(cell.low), "high": _known(cell.high), "runs": cell.runs}
    return {"value": cell}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _cells(table: Table) -> Iterator[tuple[str, str, Cell]]:
    for name, *cells in table.rows:
        for column, cell in zip(table.columns[1:], cells, strict=True):
            yield str(name), column, cell


def _aligned(table: Table, mark: str) -> list[str]:
    return [mark] * (len(table.columns) - 1)


def _markdown_row(cells: Sequence[str]) -> str:
    escaped = [cell.replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"


def _latex_row(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _latex_cell(cell: Cell, digits: int) -> str:
    text = _latex_text(shown(cell, digits))
    return text if isinstance(cell, str) else _MINUS.sub("$-$", text)


def _latex_text(text: str) -> str:
    return _TIMES.sub(r"$\\times$ ", _escaped(text)).replace("±", r"$\pm$")


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)
