"""What `compare.py` measured, kept as JSON, and what follows from it: the roofline, our share of it, ratios."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import statistics
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from crl_core.cores import usable_cores

__all__ = ["LIMITS", "Comparison", "Ratio", "machine"]

Repeat = dict[str, float]
"""The figures of one repeat by name: steps per second, seconds per row for what begins with `part`, and `cores`."""

_UNROLL_LENGTH = 20
_PPO_EPOCHS = 4
_PACKAGES = ("crl-core", "torch", "gymnasium", "ale-py", "numpy")


@dataclass(frozen=True)
class Ratio:
    """One figure over another.

    Attributes:
        name: what is compared with what.
        values: one for each repeat.
    """

    name: str
    values: list[float]

    @property
    def median(self) -> float:
        """The median over the repeats."""
        return statistics.median(self.values)


@dataclass(frozen=True)
class Comparison:
    """Everything that was measured.

    Attributes:
        machine: where, with which versions and by which command.
        repeats: the figures of each repeat.
        scaling: rows of cores, environments and steps per second.
    """

    machine: dict[str, str]
    repeats: list[Repeat]
    scaling: list[dict[str, float]]

    @classmethod
    def read(cls, path: Path) -> Comparison:
        """Return what `write` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def values(self, name: str) -> list[float]:
        """Return a figure in each repeat that has it."""
        return [repeat[name] for repeat in self.repeats if name in repeat]

    def names(self) -> list[str]:
        """Return the names of all figures, in the order they were measured."""
        return list(dict.fromkeys(name for repeat in self.repeats for name in repeat if name != "cores"))

    def ratios(self) -> Iterator[Ratio]:
        """Yield ours over what the machine allows, over the plain setting, over others and over the peers."""
        for policy, limit in _LIMITS.items():
            yield from self._ratio(policy, limit.name, limit.speed, needs=limit.needs)
        for policy in _LIMITS:
            for other in (f"{policy} plain", f"other {policy}"):
                yield from self._ratio(policy, other, itemgetter(other), needs={other})
        for name in self.names():
            if name.startswith("peer "):
                policy = "ppo" if name.endswith("_ppo") else "impala"
                yield from self._ratio(policy, name, itemgetter(name), needs={name})

    def limit(self, name: str) -> list[float]:
        """Return what the parts allow, in each repeat that has them all: one of `LIMITS`."""
        (limit,) = (each for each in _LIMITS.values() if each.name == name)
        return [limit.speed(repeat) for repeat in self.repeats if set(limit.needs) <= set(repeat)]

    def lines(self) -> Iterator[str]:
        """Yield everything as text."""
        for name in self.names():
            values = self.values(name)
            if name.startswith("part "):
                values, unit = [1e6 * value for value in values], "us per row"
            else:
                unit = "steps/s"
            yield f"{name:32} {_spread(values, 0)} {unit}"
        for limit in _LIMITS.values():
            if values := self.limit(limit.name):
                yield f"{limit.name:32} {_spread(values, 0)} steps/s"
        for ratio in self.ratios():
            yield f"{ratio.name:32} {_spread(ratio.values, 2)}"

    def _ratio(
        self, policy: str, other: str, under: Callable[[Repeat], float], *, needs: Collection[str]
    ) -> Iterator[Ratio]:
        """Yield the ratio in each repeat that has all figures, if one has: the last may have been interrupted."""
        whole = [repeat for repeat in self.repeats if {policy, *needs} <= set(repeat)]
        if whole:
            name = f"{policy} / {other.removeprefix('peer ')}"
            yield Ratio(name, [repeat[policy] / under(repeat) for repeat in whole])


@dataclass(frozen=True)
class _Limit:
    """The speed that a policy's parts allow, computed from a repeat's figures."""

    name: str
    needs: Collection[str]
    speed: Callable[[Repeat], float]


def _roofline(repeat: Repeat, *, rows_per_step: int) -> float:
    """Return cores / core-seconds per step of environment, forward pass and training at the best batch size."""
    training = min(value for name, value in repeat.items() if name.startswith("part impala training"))
    forward = repeat["part impala forward 32"]
    learning = training + forward / _UNROLL_LENGTH  # the observation after an unroll only goes forwards
    return repeat["cores"] / (repeat["part impala environment 32"] + forward + rows_per_step * learning)


def _sum_of_ppo(repeat: Repeat) -> float:
    """Return the speed of PPO if nothing but its parts took time, one after the other, each on all cores."""
    parts = [repeat[f"part ppo {part}"] for part in ("environment 8", "forward 8", "training 256")]
    return 1 / (parts[0] + parts[1] + _PPO_EPOCHS * parts[2])


_IMPALA_PARTS = {"part impala environment 32", "part impala forward 32", "part impala training 672"}
_PPO_PARTS = {"part ppo environment 8", "part ppo forward 8", "part ppo training 256"}
_LIMITS = {
    "impala": _Limit("roofline of impala", {"impala", *_IMPALA_PARTS}, lambda each: _roofline(each, rows_per_step=1)),
    "clear": _Limit("roofline of clear", {"clear", *_IMPALA_PARTS}, lambda each: _roofline(each, rows_per_step=2)),
    "ppo": _Limit("sum of ppo's parts", {"ppo", *_PPO_PARTS}, _sum_of_ppo),
}
LIMITS = tuple(limit.name for limit in _LIMITS.values())
"""What the parts of our policies allow."""


def machine() -> dict[str, str]:
    """Return what a figure depends on besides the code."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {
        "processor": f"{_processor()}, {usable_cores()} cores",
        "system": f"{platform.system()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "command": " ".join(["python", "benchmarks/compare.py", *_shown(sys.argv[1:])]),
    }


def _shown(arguments: list[str]) -> list[str]:
    """Return arguments without the commands of others, which only mean something on the machine they ran on."""
    return [f"'{each.partition('=')[0]}=...'" if "=" in each and " " in each else each for each in arguments]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    fields: Any = (line.partition(":") for line in info.read_text().splitlines()) if info.exists() else ()
    return next((value.strip() for name, _, value in fields if name.strip() == "model name"), platform.machine())


def _spread(values: list[float], digits: int) -> str:
    low, middle, high = (f"{each:,.{digits}f}" for each in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low} to {high})"
