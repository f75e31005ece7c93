"""`TimingLog`: speeds, lags and memory between two rows of timing.jsonl, which no seed gives again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["TimingLog"]


class TimingLog:
    """Takes in the timings of every update; a row holds their means, or the maximum of those whose name ends so."""

    def __init__(self) -> None:
        """Start the clock."""
        self._values: dict[str, list[float]] = {}
        self._steps = 0
        self._seconds = 0.0
        self._since = time.perf_counter()

    def pause(self) -> None:
        """Leave out the time since the last update, which was not spent training."""
        self._since = time.perf_counter()

    def add(self, timings: Mapping[str, float], steps: int) -> None:
        """Take in one update, which ends now."""
        now = time.perf_counter()
        self._seconds += now - self._since
        self._since = now
        self._steps += steps
        for name, value in timings.items():
            self._values.setdefault(name, []).append(value)

    def take(self) -> dict[str, float]:
        """Return the row and begin the next one."""
        row = {
            name: max(values) if name.endswith("_max") else sum(values) / len(values)
            for name, values in self._values.items()
        }
        if self._seconds > 0:
            row["steps_per_second"] = self._steps / self._seconds
        memory = _anonymous_megabytes()
        if memory is not None:
            row["anonymous_megabytes"] = memory
        self._values, self._steps, self._seconds = {}, 0, 0.0
        return row


def _anonymous_megabytes() -> float | None:
    """Return the memory this process holds, mapped files such as a replay store left out; None if unknown."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None  # only Linux has it
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith("RssAnon:")]
    return kilobytes[0] / 1000 if kilobytes else None
