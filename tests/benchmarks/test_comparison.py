"""What follows from measured figures, with numbers made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from comparison import Comparison

REPEAT = {
    "impala": 800.0,
    "impala plain": 400.0,
    "clear": 500.0,
    "ppo": 200.0,
    "part impala environment 32": 0.001,
    "part impala forward 32": 0.0005,
    "part impala training 168": 0.00100,
    "part impala training 672": 0.00120,
    "part ppo environment 8": 0.0006,
    "part ppo forward 8": 0.0004,
    "part ppo training 256": 0.0005,
    "other impala": 640.0,
    "peer rllib_impala": 400.0,
    "peer sample_factory_appo": 200.0,
    "peer sb3_ppo": 100.0,
}


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comparison.usable_cores", lambda: 2)


def test_ratios() -> None:
    slower = {**REPEAT, "impala": 400.0}
    ratios = {ratio.name: ratio for ratio in Comparison({}, [REPEAT, slower, REPEAT], []).ratios()}
    # a step is 1 + 0.5 ms, and of 21 rows trained at 1 ms, the fastest, 20 are steps; CLEAR trains twice as many
    assert ratios["impala / roofline of impala"].values == pytest.approx([1.02, 0.51, 1.02])
    assert ratios["clear / roofline of clear"].median == pytest.approx(500 * 3.6e-3 / 2)
    assert ratios["ppo / sum of ppo's parts"].median == pytest.approx(200 * (0.6e-3 + 0.4e-3 + 4 * 0.5e-3))
    assert ratios["impala / impala plain"].values == [2.0, 1.0, 2.0]
    assert ratios["impala / impala plain"].median == 2.0
    assert ratios["impala / other impala"].median == 1.25
    assert ratios["impala / rllib_impala"].median == 2.0
    assert ratios["impala / sample_factory_appo"].median == 4.0
    assert ratios["ppo / sb3_ppo"].median == 2.0


def test_what_was_measured_is_read_back(tmp_path: Path) -> None:
    comparison = Comparison({"processor": "one"}, [REPEAT], [{"cores": 1, "environments": 8, "steps_per_second": 9.5}])
    comparison.write(tmp_path / "results.json")
    assert Comparison.read(tmp_path / "results.json") == comparison
