"""The page in a real browser: what it draws, what it says of itself, and what a user does with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.crl_report.browser import needs_browser, open_page

from crl_core.cli.main import main

pytestmark = needs_browser


@pytest.fixture
def seen(make_run: Any, tmp_path: Path) -> dict[str, Any]:
    """Return what a browser found on a page of two policies with three runs each."""
    for policy in ("ppo", "clear"):
        for seed in range(3):
            evaluations = {0: {0: 0.0, 10: 5.0 + seed, 20: 10.0, 40: 4.0}, 1: {0: 1.0, 20: 3.0, 40: 9.0 - seed}}
            make_run(f"study/{policy}{seed}", evaluations, policy=policy, seed=seed)
    with pytest.raises(SystemExit):
        main(["report", str(tmp_path / "study"), "--output", str(tmp_path / "report")])
    return open_page(tmp_path / "report", policy="clear")


def test_the_page_draws_and_answers(seen: dict[str, Any]) -> None:
    assert seen["errors"] == []
    assert seen["console"] == []
    assert seen["titles"] == ["a", "b", "average over tasks"]
    assert seen["panels"] == 3
    assert seen["lines"] >= 6  # a mean for each policy in each panel
    assert seen["shaded"] == 2
    assert seen["hovered"]
    assert "6 (" in seen["label"]  # the mean of 5, 6 and 7, with its interval
    assert "3 runs" in seen["label"]
    assert seen["before"] == [True] * 9
    assert seen["after"] == ["legendonly"] * 9
