"""Settings: `PolicyConfig`, the base of every policy's settings, and `RunConfig`, the settings every run has.

Both are pydantic models. The command line makes an option of every field, so a field is documented once, here or in the
policy's own config, and validated the same way wherever its value comes from.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Collection, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from crl_core.loading import same_name

__all__ = ["PolicyConfig", "RunConfig", "Settings", "ThreadCount"]

ThreadCount = Annotated[int, Field(ge=1, le=4096)] | Literal["auto"]
"""How many threads; `auto` is what suits this machine's cores."""

_DEVICE = re.compile(r"auto|(cpu|cuda|mps)(:[0-9]{1,2})?")  # torch takes cuda:256 for cuda:0
_TOO_LARGE = 2**63  # for a whole number, as arrays and tensors hold 64 bits


class Settings(BaseModel):
    """Frozen settings that take their values as typed or as text, `25e6` included."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _from_text(cls, value: object, info: ValidationInfo) -> object:
        """Read what a command line can only give as text, before the field's own type checks it.

        Also refuses what that type would take and nobody means: true as a number, and what no run could use.
        """
        if info.field_name is None:
            return value
        wanted = _plain_types(cls.model_fields[info.field_name].annotation)
        if isinstance(value, str):
            _refuse_text(value)
            value = _read(value, wanted)
        _refuse_number(value, wanted)
        return value


class PolicyConfig(Settings):
    """Base of a policy's settings.

    Subclass it, give every field a type, a default, bounds and a `Field(description=…)`. The defaults must validate, as
    users may set none of them.

    Class attributes:
        ignored_settings: names that configs of other systems carry and that mean nothing here, each with the reason;
            they are accepted, and reported once per run.
        supported_runners: the environment runners the policy can learn from; what learns from the columns of any
            rollout can from all of the core's.
    """

    ignored_settings: ClassVar[Mapping[str, str]] = {}
    supported_runners: ClassVar[tuple[str, ...]] = ("batch", "sync", "full_parallel")

    runner: str = Field("batch", description="The environment runner that collects data for training.")

    @field_validator("runner")
    @classmethod
    def _supported_runner(cls, runner: str) -> str:
        distribution, slash, name = runner.rpartition("/")
        for supported in cls.supported_runners:
            if same_name(supported) == same_name(name):
                return f"{distribution}{slash}{supported}"
        raise ValueError(f"runner '{runner}' is not one this policy supports: {', '.join(cls.supported_runners)}")

    @property
    def learns_while_collecting(self) -> bool:
        """Whether the runner goes on collecting during `train`, so that they have to share the cores."""
        return False

    @property
    def runner_name(self) -> str:
        """The runner's own name, also where `runner` is a `distribution/name`."""
        return self.runner.rpartition("/")[2]

    @classmethod
    def split_ignored(cls, settings: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Part settings into those that mean something and one warning for each that does not."""
        kept = {name: value for name, value in settings.items() if name not in cls.ignored_settings}
        warnings = [
            f"ignored: {name}, because {cls.ignored_settings[name]}"
            for name in settings
            if name in cls.ignored_settings
        ]
        return kept, warnings


class RunConfig(Settings):
    """The settings every run has, whatever its policy. Their names are reserved: no policy may use one."""

    policy: str = Field(description="The policy to train; `crl list policies` shows what is installed.")
    experiment: str = Field(
        description="What to train on: a name that `crl list experiments` shows, gym:<Gymnasium id>, or a JSON or TOML "
        "file."
    )
    preset: str | None = Field(
        None, description="A named set of the policy's settings, such as a paper's for a benchmark."
    )
    output_dir: str | None = Field(None, description="The run directory. [runs/<policy>_<experiment>_<timestamp>]")
    seed: int = Field(0, ge=0, lt=2**63, description="The one seed that everything random in the run derives from.")
    device: str = Field("auto", description="A torch device: auto, cpu, cuda, cuda:0, mps.")
    torch_threads: ThreadCount = Field(
        "auto",
        description="Threads of torch's operations on the CPU; auto: one for observations of up to 1,024 numbers, "
        "else all cores, or half where environments step meanwhile.",
    )
    environment_threads: ThreadCount | None = Field(
        None,
        description="Threads of Atari's own in training (for each collector), or of others that have some, instead of "
        "the task's number.",
    )
    num_timesteps: int | None = Field(None, ge=1, description="Steps of each task, instead of the experiment's own.")
    cycle_count: int | None = Field(None, ge=1, description="Walks through the tasks, instead of the experiment's own.")
    continual_testing_freq: int | None = Field(
        None, ge=1, description="Steps between two evaluations of all tasks, instead of the experiment's own."
    )
    continual_eval_num_returns: int | None = Field(
        None, ge=1, description="Episodes per task in one evaluation, instead of the task's own."
    )
    eval_max_steps: int | None = Field(
        None, ge=1, description="Steps after which an evaluation ends an episode, instead of the task's own."
    )
    no_initial_eval: bool = Field(False, description="Leave out the evaluation before the first training step.")
    render_freq: int | None = Field(
        None,
        ge=1,
        description="Steps between two films in videos/, each of an episode (its first 1,000 steps) of the "
        "task in training.",
    )
    plasticity_freq: int | None = Field(
        None,
        ge=1,
        description="Steps between two measurements of the network's dormant units, effective rank, weights and "
        "gradients, which `crl report` draws.",
    )
    timesteps_per_save: int = Field(30_000, ge=1, description="Steps between two checkpoints.")
    comment: str = Field("", description="Free text that is stored with the run.")

    @field_validator("device")
    @classmethod
    def _known_device(cls, device: str) -> str:
        if not _DEVICE.fullmatch(device):
            raise ValueError(f"device '{device}' is unknown; use auto, cpu, cuda, cuda:<index> or mps")
        return device


def _plain_types(annotation: Any) -> set[Any]:
    """Return the plain types an annotation allows: `int | None` gives `{int, NoneType}`.

    Words to choose from, such as `auto`, are left out: what else is allowed says how to read any other text.
    """
    origin = get_origin(annotation)
    if origin is None:
        return {annotation}
    if origin is Literal:
        return {type(choice) for choice in get_args(annotation)} - {str}
    if origin is Annotated:
        return _plain_types(get_args(annotation)[0])
    if isinstance(origin, type) and origin is not UnionType:
        return {origin}
    return set().union(*(_plain_types(argument) for argument in get_args(annotation)))


def _read(text: str, wanted: set[Any]) -> object:
    """Read text as one of the wanted types, or leave it for the field to judge."""
    if NoneType in wanted and text.lower() in {"none", "null"}:
        return None
    if str in wanted:
        return text
    if int in wanted:
        return _integer(text)
    if any(isinstance(each, type) and issubclass(each, Collection) for each in wanted):
        with contextlib.suppress(ValueError, RecursionError):  # no JSON, a number of thousands of digits; nested deeply
            return json.loads(text)
    return text


def _integer(text: str) -> object:
    """Read `25e6` as 25000000; leave what is no whole number for the field to refuse."""
    try:
        number = float(text)
    except ValueError:
        return text
    if not number.is_integer():
        return text
    # Python reads no more than 4,300 digits; and a float is exact only where the text has no digits of its own.
    return int(text) if abs(number) <= _TOO_LARGE and text.strip().lstrip("+-").isdigit() else int(number)


def _refuse_text(text: str) -> None:
    if "\0" in text:
        raise ValueError("has a NUL character, which no name or path can have")
    try:
        text.encode(errors="surrogateescape")  # a command line or a file's name may have bytes that are not UTF-8
    except UnicodeEncodeError as error:
        raise ValueError("has half of a surrogate pair, which is no text") from error


def _refuse_number(value: object, wanted: set[Any]) -> None:
    if isinstance(value, bool) and wanted & {int, float} and not wanted & {bool, str}:
        raise ValueError("should be a whole number" if int in wanted else "should be a number")
    if isinstance(value, (int, float)) and int in wanted and float not in wanted:
        if value >= _TOO_LARGE:
            raise ValueError(f"should be less than {_TOO_LARGE}")
        if value < -_TOO_LARGE:
            raise ValueError(f"should be greater than or equal to {-_TOO_LARGE}")
