"""What follows from measured figures, with numbers made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from comparison import Comparison

REPEAT = {
    "cores": 2,
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


def test_ratios() -> None:
    slower = {**REPEAT, "impala": 400.0}
    ratios = {ratio.name: ratio for ratio in Comparison({}, [REPEAT, slower, REPEAT], []).ratios()}
    # a step is 1 + 0.5 ms, 1 ms of training, the fastest, and a twentieth of a forward pass; CLEAR trains on two rows
    assert ratios["impala / roofline of impala"].values == pytest.approx([1.01, 0.505, 1.01])
    assert ratios["clear / roofline of clear"].median == pytest.approx(500 * (1.5e-3 + 2 * 1.025e-3) / 2)
    assert ratios["ppo / sum of ppo's parts"].median == pytest.approx(200 * (0.6e-3 + 0.4e-3 + 4 * 0.5e-3))
    assert ratios["impala / impala plain"].values == [2.0, 1.0, 2.0]
    assert ratios["impala / impala plain"].median == 2.0
    assert ratios["impala / other impala"].median == 1.25
    assert ratios["impala / rllib_impala"].median == 2.0
    assert ratios["impala / sample_factory_appo"].median == 4.0
    assert ratios["ppo / sb3_ppo"].median == 2.0


def test_an_interrupted_repeat_counts_where_it_has_the_figures() -> None:
    comparison = Comparison({}, [REPEAT, {"cores": 2, "impala": 100.0, "impala plain": 50.0}], [])
    ratios = {ratio.name: ratio for ratio in comparison.ratios()}
    assert ratios["impala / impala plain"].values == [2.0, 2.0]
    assert len(ratios["impala / roofline of impala"].values) == 1
    assert any(line.startswith("roofline of clear") for line in comparison.lines())
    assert "cores" not in comparison.names()


def test_what_was_measured_is_read_back(tmp_path: Path) -> None:
    comparison = Comparison({"processor": "one"}, [REPEAT], [{"cores": 1, "environments": 8, "steps_per_second": 9.5}])
    comparison.write(tmp_path / "results.json")
    assert Comparison.read(tmp_path / "results.json") == comparison
