"""The replication's script, on runs made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from minatar_replication import main
from tests.crl_report import conftest

make_run = conftest.make_run  # the fixture


@pytest.fixture
def make(make_run: Any) -> Any:
    """Return what makes a run of two games, `a` trained first: IMPALA forgets it, CLEAR hardly; seeds differ."""

    def make_one(policy: str, seed: int) -> Any:
        less = seed - 5
        left = {"impala": 2.0 - less, "clear": 10.0 - less}[policy]
        returns = {0: {0: 0.0, 10: 5.0, 20: 10.0, 30: left, 40: left}, 1: {0: 0, 10: 0, 20: 0, 30: 5, 40: 10.0 - less}}
        where = f"study/{policy}_{seed}"
        return make_run(where, returns, policy=policy, seed=seed, experiment="minatar_3_tasks_2_cycles").parent

    return make_one


def test_the_hypotheses_are_answered(make: Any, tmp_path: Path) -> None:
    for policy in ("impala", "clear"):
        for seed in (5, 6, 7):
            folder = make(policy, seed)
    evaluations = tmp_path / "evaluations.csv"
    result = CliRunner().invoke(main, ["--evaluations", str(evaluations), str(folder)])
    assert result.exit_code == 0, result.output
    assert "IMPALA                         1.00 (-1.48 to 3.48)   9.00 (6.52 to 11.48)" in result.output
    assert "IMPALA                         0.90 (0.65 to 1.15)" in result.output  # of a's 10, all but 2, 1 and 0
    assert "CLEAR                          0.10 (-0.15 to 0.35)" in result.output
    assert "3. F of CLEAR less half of IMPALA's: -0.350 (" in result.output
    assert "less 0.9 of IMPALA's: 0.900 (" in result.output
    assert "less 1.1 of IMPALA's: -0.900 (" in result.output
    assert "no finished run of clear on minatar_3_tasks_2_cycles with seed 8" in result.output
    head, *rows = evaluations.read_text().splitlines()
    assert head == "entry,policy,seed,game,step,mean_return"
    assert len(rows) == 6 * 2 * 5
    assert rows[4] == "0,impala,5,a,40,2"
    assert rows[-1] == "1,clear,7,b,40,8"


def test_runs_that_were_not_written_down_beforehand_are_refused(make: Any) -> None:
    make("impala", 5)
    folder = make("clear", 0)
    result = CliRunner().invoke(main, [str(folder)])
    assert result.exit_code == 1
    assert "is clear on minatar_3_tasks_2_cycles with seed 0, which minatar_replication.json has not" in result.output


def test_runs_of_one_policy_alone_answer_nothing(make: Any) -> None:
    result = CliRunner().invoke(main, [str(make("impala", 5))])
    assert result.exit_code == 1
    assert "has finished runs of impala, where impala and clear were expected" in result.output
