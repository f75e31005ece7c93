"""Where log records go: to the console, above the live bar, and to the run's log.txt."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console

__all__ = ["RunLog"]

_log = logging.getLogger(__name__)


class RunLog:
    """Sends log records to a console while the context lasts, and to a file from the first record on.

    The file lies in the run directory, which is made only when everything about the run is known to be good; what was
    said before that is written to it then.
    """

    def __init__(self, console: Console) -> None:
        """Log to `console`."""
        self._console_handler = _ConsoleHandler(console)
        self._earlier = _Keeper()
        self._file_handler: logging.FileHandler | None = None
        self._level = logging.NOTSET

    def write_to(self, path: Path) -> None:
        """Write to a file too, first of all what was logged so far."""
        self._file_handler = _FileHandler(path, encoding="utf-8")
        self._file_handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        for record in self._earlier.records:
            self._file_handler.handle(record)
        self._remove(self._earlier)
        self._add(self._file_handler)

    def write_traceback(self, error: BaseException) -> None:
        """Write where an error was raised to the file only: on the console its message is enough."""
        if self._file_handler is not None:
            record = _log.makeRecord(
                _log.name, logging.ERROR, __file__, 0, "the run failed", (), (type(error), error, error.__traceback__)
            )
            self._file_handler.handle(record)

    def __enter__(self) -> Self:
        """Begin."""
        root = logging.getLogger()
        self._level = root.level
        root.setLevel(logging.INFO)
        self._add(self._console_handler)
        self._add(self._earlier)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave logging as it was."""
        for handler in (self._console_handler, self._earlier, self._file_handler):
            if handler is not None:
                self._remove(handler)
                with contextlib.suppress(OSError):  # what is wrong with the disk is told by the run's own error
                    handler.close()
        logging.getLogger().setLevel(self._level)

    @staticmethod
    def _add(handler: logging.Handler) -> None:
        handler.addFilter(_of_interest)
        logging.getLogger().addHandler(handler)

    @staticmethod
    def _remove(handler: logging.Handler) -> None:
        logging.getLogger().removeHandler(handler)


class _ConsoleHandler(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        style = "yellow" if record.levelno >= logging.WARNING else None
        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        self._console.print(prefix + self.format(record), style=style, markup=False, highlight=False, soft_wrap=True)


class _FileHandler(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Pass over a disk that takes no more: the run's own error tells of it, and the console has the record."""


class _Keeper(logging.Handler):
    """Keeps records for a file that is not there yet."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def _of_interest(record: logging.LogRecord) -> bool:
    """Keep what our packages and plugins say, and only the warnings of other libraries."""
    return record.levelno >= logging.WARNING or record.name.startswith("crl")
