"""From real runs to a page: three short ones each of two policies, reported and opened in a browser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.crl_core.small_runs import run
from tests.crl_report.browser import needs_browser, open_page

from crl_core.cli.main import main
from crl_core.plan import plan_run
from crl_core.resolve import resolve

EVERY = 100


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report on PPO and IMPALA on the tutorial, three seeds of each."""
    directory = tmp_path_factory.mktemp("study")
    for policy in ("ppo", "impala"):
        for seed in range(3):
            settings = {
                "policy": policy,
                "preset": "tutorial",
                "experiment": "tutorial",
                "seed": seed,
                "num_timesteps": 4 * EVERY,
                "continual_testing_freq": EVERY,
                "continual_eval_num_returns": 2,
                "plasticity_freq": EVERY,
                "device": "cpu",
                "output_dir": str(directory / "runs" / f"{policy}_{seed}"),
            }
            resolved = resolve(settings)
            run(plan_run(resolved.run, resolved.policy))
    with pytest.raises(SystemExit) as ended:
        main(["report", str(directory / "runs"), "--output", str(directory / "report")])
    assert not ended.value.code
    return directory / "report"


def test_the_tables_have_the_runs_of_both_policies(report: Path) -> None:
    tables = json.loads((report / "tables.json").read_text())
    runs = {cell["row"]: cell["value"] for cell in tables["summary"]["cells"] if cell["column"] == "runs"}
    assert runs == {"impala": 3, "ppo": 3}
    finals = {(cell["row"], cell["column"]): cell["runs"] for cell in tables["final_returns"]["cells"]}
    assert finals == dict.fromkeys(
        [(task, policy) for task in ("catch", "mirrored_catch") for policy in ("impala", "ppo")], 3
    )
    assert (report / "plasticity.pdf").read_bytes().startswith(b"%PDF")


@needs_browser
def test_the_page_draws_a_panel_for_each_task(report: Path) -> None:
    seen = open_page(report, policy="impala")
    assert seen["errors"] == []
    assert seen["console"] == []
    assert seen["titles"] == ["catch", "mirrored_catch", "average over tasks"]
    assert seen["panels"] == 3
    assert seen["lines"] >= 6  # a mean for each policy in each panel
    assert seen["shaded"] == 2
    assert seen["hovered"]
    assert "3 runs" in seen["label"]
    assert seen["before"] == [True] * 9
    assert seen["after"] == ["legendonly"] * 9
    assert "effective rank, layer 2" in seen["plasticity"]
