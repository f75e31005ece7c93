"""`crl check` on the real command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

Crl = Callable[..., "subprocess.CompletedProcess[str]"]
Install = Callable[..., None]

FORGETFUL = """
from collections.abc import Iterable
from crl_core import PolicySpec, hookimpl

@hookimpl
def crl_policies():
    yield PolicySpec(
        name="forgetful", summary="Raises.", policy="forgetful_policy:Forgetful", config="crl_core.config:PolicyConfig"
    )
"""
FORGETFUL_POLICY = """
from crl_core.random_policy import RandomPolicy

class Forgetful(RandomPolicy):
    def runner_options(self, task, *, eval_mode):
        return {"num_envs": 2, "num_steps": 4}

    def train(self, rollouts, *, progress):
        raise KeyError("advantages")
"""


def test_each_check_is_told_in_a_line_and_nothing_is_left_behind(crl: Crl, tmp_path: Path) -> None:
    names = ("light_import", "actions_in_space", "reset_rows_ignored")
    result = crl("check", "policy", "random", *[f"--only={name}" for name in names], TMPDIR=str(tmp_path))

    assert (result.returncode, result.stderr) == (0, "")
    lines = [line.split()[:2] for line in result.stdout.splitlines() if line and not line.startswith(" ")]
    assert lines[:3] == [["ok", "light_import"], ["ok", "actions_in_space"], ["n.a.", "reset_rows_ignored"]]
    assert "training changed no weight" in result.stdout
    assert "2 ok, 0 failed, 1 not applicable, in " in result.stdout
    assert not list(tmp_path.glob("crl-check-*"))


def test_a_policy_that_raises_is_told_with_the_place_and_without_a_traceback(
    crl: Crl, install_code: Install, site: Path
) -> None:
    install_code("forgetful", FORGETFUL)
    (site / "forgetful_policy.py").write_text(FORGETFUL_POLICY)

    result = crl("check", "policy", "forgetful", "--only", "no_nan")
    debugged = crl("check", "policy", "forgetful", "--only", "no_nan", CRL_DEBUG="1")

    assert result.returncode == 1
    assert "FAILED  no_nan" in result.stdout
    assert "raised KeyError: 'advantages'" in result.stdout
    assert "forgetful_policy.py:9, in train" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    assert "Traceback" in debugged.stdout


def test_json_is_for_programs(crl: Crl) -> None:
    result = crl("check", "experiment", "tutorial", "--only", "spaces", "--json")

    assert result.returncode == 0, result.stderr
    records = json.loads(result.stdout)
    assert [record["name"] for record in records] == ["spaces[catch]", "spaces[mirrored_catch]"]
    assert {record["outcome"] for record in records} == {"ok"}


def test_a_runner_is_checked_with_the_options_it_needs(crl: Crl) -> None:
    result = crl("check", "runner", "pipelined", "--option", "batch_size=2", "--only", "rows_aligned")
    without = crl("check", "runner", "pipelined", "--only", "rows_aligned")

    assert result.returncode == 0, result.stdout + result.stderr
    assert without.returncode == 1
    assert "batch_size" in without.stdout


def test_help_shows_the_settings_of_the_policy(crl: Crl) -> None:
    general, of_ppo = crl("check", "policy", "--help"), crl("check", "policy", "ppo", "--help")

    assert general.returncode == of_ppo.returncode == 0
    assert "crl check policy NAME --help shows them" in " ".join(general.stdout.split())
    assert "Settings of policy ppo:" in of_ppo.stdout
    assert "--learning-rate NUMBER" in of_ppo.stdout
    assert "--seed" not in of_ppo.stdout


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_ends_it_and_nothing_is_left_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "crl_core", "check", "policy", "random", "--only", "learns_tutorial"]
    process = subprocess.Popen(
        command, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("crl-check-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)

    assert process.returncode == 130
    assert b"Traceback" not in error
    assert not list(tmp_path.glob("crl-check-*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["policy", "pppo"], "unknown policy 'pppo'. Did you mean 'ppo'?"),
        (["policy", "ppo", "--learning-rate", "fast"], "--learning-rate: should be a number, got fast"),
        (
            ["policy", "ppo", "--learning-rat", "1"],
            "there is no option '--learning-rat'. Did you mean '--learning-rate'",
        ),
        (["policy", "ppo", "--preset", "tutoral"], "policy 'ppo' has no preset 'tutoral'. Did you mean 'tutorial'?"),
        (["policy", "random", "--only", "aligment"], "there is no check 'aligment'. Did you mean 'alignment'?"),
        (["experiment", "tutoral"], "unknown experiment 'tutoral'. Did you mean 'tutorial'?"),
        (["runner", "bath"], "unknown runner 'bath'. Did you mean 'batch'?"),
        (["runner", "batch", "--option", "size"], "--option: 'size' should be KEY=VALUE"),
    ],
)
def test_a_users_mistake_is_told_in_one_line(crl: Crl, arguments: list[str], message: str) -> None:
    result = crl("check", *arguments)

    assert result.returncode == 2
    assert result.stderr.startswith(f"Error: {message}")
    assert "Traceback" not in result.stderr
