"""A table on a terminal, in pieces where it is too wide; where one column alone is, its cells are folded."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table as TerminalTable
from rich.text import Text

from crl_report.tables import Table
from crl_report.writing import shown

__all__ = ["print_table"]

_LONGEST_HEAD = 24
_LONGEST_WORD = 16
_AROUND_A_CELL = 3  # a line, and a space on either side

Column = Sequence[str]
"""A column's head, and its cells."""


def print_table(table: Table, console: Console) -> None:
    """Print a table with its rows as columns, side by side as far as the terminal is wide; names too long below it."""
    turned = table.turned()
    heads, explained = _shortened(turned.columns[1:])
    names = ["", *(shown(row[0], table.digits) for row in turned.rows)]
    columns = [
        [head, *(shown(row[index], table.digits) for row in turned.rows)] for index, head in enumerate(heads, start=1)
    ]
    title: str | None = table.title
    for piece in _pieces(columns, console.width - _width(names) - 1):
        console.print(_for_terminal(title, [names, *piece]))
        title = None  # what follows is the same table
    for line in explained:
        console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)


def _shortened(heads: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return heads of which long ones are their first word and a number, and a line for each of those."""
    long = dict.fromkeys(head for head in heads if cell_len(head) > _LONGEST_HEAD)
    numbers = (number for number in itertools.count(1) if not any(head.endswith(f"({number})") for head in heads))
    marks = {head: f"({number})" for head, number in zip(long, numbers, strict=False)}
    short = [f"{_first_word(head)} {marks[head]}" if head in marks else head for head in heads]
    return short, [f"{mark} {head}" for head, mark in marks.items()]


def _first_word(head: str) -> str:
    word = head.split(maxsplit=1)[0]
    return word if cell_len(word) <= _LONGEST_WORD else set_cell_size(word, _LONGEST_WORD - 1).rstrip() + "…"


def _pieces(columns: Sequence[Column], width: int) -> Iterator[list[Column]]:
    """Yield as many columns at a time as have room, at least one."""
    piece: list[Column] = []
    for column in columns:
        if piece and sum(map(_width, [*piece, column])) > width:
            yield piece
            piece = []
        piece.append(column)
    yield piece


def _width(column: Column) -> int:
    return max(map(cell_len, column)) + _AROUND_A_CELL


def _for_terminal(title: str | None, columns: Sequence[Column]) -> TerminalTable:
    made = TerminalTable(title=Text(title) if title else None)
    for index, (head, *_) in enumerate(columns):  # as text, since brackets would be markup
        made.add_column(Text(head), justify="right" if index else "left", overflow="fold")
    for row in zip(*(cells for _, *cells in columns), strict=True):
        made.add_row(*map(Text, row))
    return made
