"""Resuming: a run's plan as run.json recorded it, and its state as the newest readable checkpoint holds it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from crl_core.checkpoint import load_checkpoint, resumable_checkpoints, set_aside
from crl_core.config import RunConfig
from crl_core.devices import select_device
from crl_core.errors import CheckpointError, ConfigError, CrlError, RunDirectoryError, UnknownNameError
from crl_core.experiment import Experiment
from crl_core.plan import RunPlan, load_policy_class
from crl_core.plugins import Registered, registry
from crl_core.policy import Policy
from crl_core.policy_settings import policy_config_class
from crl_core.run_directory import environment_record
from crl_core.sessions import read_record
from crl_core.specs import PolicySpec
from crl_core.validation import validate

__all__ = ["RecordedRun", "read_run", "restore"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecordedRun:
    """A run to go on with.

    Attributes:
        plan: the plan that run.json records.
        changes: what is different now from when the run was begun, one line each.
    """

    plan: RunPlan
    changes: tuple[str, ...]


def read_run(directory: Path, *, device: str | None = None) -> RecordedRun:
    """Read the plan of a run; nothing is written.

    Settings and experiment are those of run.json, whatever presets and experiments the installed packages offer now.

    Args:
        directory: the run directory.
        device: where the network lives from now on; None means where it was asked to be.

    Raises:
        RunDirectoryError: there is no run, or its record cannot be read.
        ConfigError: the installed policy does not take the recorded settings.
        CrlError: the policy or a task type is not installed, or the device is not there.
    """
    record = read_record(directory)
    try:
        run_id, named = record["run_id"], record["policy"]
        settings, version = named["settings"], named["version"]
        config = RunConfig.model_validate(record["run"])
        if device is not None:
            config = validate(RunConfig, {**record["run"], "device": device})
        entry = _policy(directory, named)
        experiment = Experiment.model_validate({k: v for k, v in record["experiment"].items() if k != "name"})
    except (KeyError, TypeError, AttributeError, ValidationError) as error:
        raise RunDirectoryError(
            f"{directory / 'run.json'} is not the record of a run that this version reads: {error}"
        ) from error
    try:
        policy_config = policy_config_class(entry).model_validate(settings)
    except ValidationError as error:
        raise ConfigError(
            f"{directory}: its settings were recorded with {named['distribution']} {version} and do not fit "
            f"the installed {entry.owner}; install that version to resume it:\n{error}"
        ) from error
    plan = RunPlan(
        config=config,
        policy=entry,
        policy_class=load_policy_class(entry),
        policy_config=policy_config,
        experiment=experiment,
        device=select_device(config.device),
        directory=directory,
        run_id=run_id,
        queue=record.get("queue"),
    )
    return RecordedRun(plan, tuple(_changes(record, plan)))


def restore(policy: Policy[Any], directory: Path) -> Mapping[str, Any] | None:
    """Give a policy the state of the newest checkpoint that can be read; return the rest of what that holds.

    A damaged one is set aside with a warning, and the one before it serves.

    Returns:
        The checkpoint's state; None where the run was ended before its first checkpoint.

    Raises:
        CheckpointError: there are checkpoints, and none can be read, or the policy does not take the newest.
        CrlError: the policy cannot go on from it, for example because its replay store is gone.
    """
    found = resumable_checkpoints(directory / "checkpoints")
    for path in found:
        try:
            checkpoint = load_checkpoint(path)
        except CheckpointError as error:
            _log.warning("%s; it is set aside as %s", error, set_aside(path).name)
            continue
        try:
            policy.load_state_dict(checkpoint.policy)
        except CrlError:
            raise
        except Exception as error:
            raise CheckpointError(
                f"{type(policy).__name__} cannot go on from the checkpoint {path}: {type(error).__name__}: {error}. "
                "Resume with the versions that wrote it, which run.json names."
            ) from error
        return checkpoint.state
    if found or _had_checkpoints(directory):
        raise CheckpointError(
            f"{directory}: none of its checkpoints can be read. Weights of finished tasks may be left in "
            f"{directory / 'checkpoints'}, but training cannot go on. To begin again, remove the directory."
        )
    return None


def _had_checkpoints(directory: Path) -> bool:
    """Tell whether a run came as far as its first checkpoint, before which it logs no more than a task's start."""
    left = list((directory / "checkpoints").glob("[!.]*"))
    metrics = directory / "metrics.jsonl"
    return bool(left) or (metrics.is_file() and metrics.read_bytes().count(b"\n") > 1)


def _policy(directory: Path, named: Mapping[str, str]) -> Registered[PolicySpec]:
    try:
        return registry().policy(f"{named['distribution']}/{named['name']}")
    except UnknownNameError as error:
        raise UnknownNameError(
            f"{directory} was begun with policy '{named['name']}' of {named['distribution']} {named['version']}, which "
            f"is not installed: pip install {named['distribution']}=={named['version']}. {error}"
        ) from error


def _changes(record: Mapping[str, Any], plan: RunPlan) -> list[str]:
    """Return what is different now, in versions and machine."""
    before: dict[str, Any] = {**record.get("plugins", {}), "device": record.get("device")}
    now: dict[str, Any] = {**plan.record()["plugins"], "device": str(plan.device)}
    environment = environment_record()
    for name in ("python", "torch", "platform", "host"):
        before[name], now[name] = record.get("environment", {}).get(name), environment[name]
    return [
        f"{name} was {before.get(name, 'not there')} and is {now.get(name, 'not there')}"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    ]
