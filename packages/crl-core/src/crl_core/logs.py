"""Where log records go: to the console, above the live bar, and to the run's log.txt."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

__all__ = ["logging_to"]


class _ConsoleHandler(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        style = "yellow" if record.levelno >= logging.WARNING else None
        self._console.print(self.format(record), style=style, markup=False, highlight=False, soft_wrap=True)


def _of_interest(record: logging.LogRecord) -> bool:
    """Keep what our packages and plugins say, and only the warnings of other libraries."""
    return record.levelno >= logging.WARNING or record.name.startswith("crl")


@contextlib.contextmanager
def logging_to(console: Console, file: Path | None = None) -> Iterator[None]:
    """Send log records to `console` and, with a time, to `file` while the context lasts."""
    root = logging.getLogger()
    handlers: list[logging.Handler] = [_ConsoleHandler(console)]
    if file is not None:
        to_file = logging.FileHandler(file, encoding="utf-8")
        to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        handlers.append(to_file)
    level = root.level
    root.setLevel(logging.INFO)
    for handler in handlers:
        handler.addFilter(_of_interest)
        root.addHandler(handler)
    try:
        yield
    finally:
        root.setLevel(level)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
