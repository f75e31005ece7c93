"""Groups of runs: their figures worked by hand, and what is missing left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crl_report.analysis import Analysis, analyse
from crl_report.groups import group_notes, group_runs, refuse_mixed_experiments, rename_groups
from crl_report.metrics import Estimate, Interval
from crl_report.reading import ReportError, read_run, read_runs
from crl_report.tables import Cell, Table, make_tables

A = {0: 0.0, 10: 5.0, 20: 10.0, 30: 6.0, 40: 4.0}
B = {0: 1.0, 10: 1.0, 20: 3.0, 30: 8.0, 40: 9.0}


def analysed(*directories: Path, **options: Any) -> Analysis:
    groups = group_runs([read_run(directory) for directory in directories])
    return analyse(groups, notes=group_notes(groups), **{"window": 1, **options})


def table(analysis: Analysis, name: str) -> dict[tuple[str, str], Cell]:
    (found,) = (each for each in make_tables(analysis) if each.name == name)
    return cells(found)


def cells(found: Table) -> dict[tuple[str, str], Cell]:
    return {
        (str(row[0]), column): cell
        for row in found.rows
        for column, cell in zip(found.columns[1:], row[1:], strict=True)
    }


def test_forgetting_and_transfer_are_ten_times_the_mean_and_error_over_runs(make_run: Any) -> None:
    second = {**A, 40: 8.0}
    analysis = analysed(make_run("0", {0: A, 1: B}), make_run("1", {0: second, 1: B}, seed=1))
    forgetting = table(analysis, "forgetting_clear_cycle0")
    assert forgetting["a", "after b"] == Estimate(pytest.approx(4.0), pytest.approx(2.0), 2)  # 0.6 and 0.2 of s = 10
    assert forgetting["b", "after a"] is None
    assert forgetting["all", "all"] == forgetting["a", "all"] == forgetting["a", "after b"]
    transfer = table(analysis, "transfer_clear")
    assert transfer["b", "after a"] == Estimate(pytest.approx(20 / 9), pytest.approx(0.0), 2)
    assert transfer["a", "after b"] is None


def test_margins_are_averaged_within_a_run_first(make_run: Any) -> None:
    tasks = [{"id": name, "num_timesteps": 20} for name in "abc"]
    visits = [(0, 0, 0, 20), (0, 1, 20, 40), (0, 2, 40, 60)]
    one = {0: {0: 0, 20: 10, 40: 6, 60: 5}, 1: {0: 0, 20: 0, 40: 10, 60: 10}, 2: {0: 0, 20: 0, 40: 0, 60: 10}}
    two = {0: {0: 0, 20: 10, 40: 10, 60: 9}, 1: {0: 0, 20: 0, 40: 10, 60: 4}, 2: {0: 0, 20: 0, 40: 0, 60: 10}}
    analysis = analysed(
        make_run("0", one, tasks=tasks, visits=visits), make_run("1", two, tasks=tasks, visits=visits, seed=1)
    )
    forgetting = table(analysis, "forgetting_clear_cycle0")
    # run 0: F[a,b] 0.4, F[a,c] 0.1, F[b,c] 0.0; run 1: 0.0, 0.1, 0.6
    assert forgetting["a", "all"] == Estimate(pytest.approx(1.5), pytest.approx(1.0), 2)  # 0.25 and 0.05
    assert forgetting["all", "after c"] == Estimate(pytest.approx(2.0), pytest.approx(1.5), 2)  # 0.05 and 0.35
    assert forgetting["all", "all"] == Estimate(pytest.approx(2.0), pytest.approx(1 / 3), 2)  # 0.5 / 3 and 0.7 / 3


def test_the_shared_scale_is_that_of_all_policies_and_the_own_one_of_each(make_run: Any) -> None:
    strong, weak = make_run("0", {0: A, 1: B}), make_run("1", {0: {0: 0, 20: 5, 40: 2}, 1: B}, policy="ppo")
    shared = table(analysed(strong, weak), "forgetting_ppo_cycle0")["a", "after b"]
    own = table(analysed(strong, weak, shared_scale=False), "forgetting_ppo_cycle0")["a", "after b"]
    assert isinstance(shared, Estimate)
    assert isinstance(own, Estimate)
    assert (shared.mean, own.mean) == (pytest.approx(3.0), pytest.approx(6.0))  # (5 - 2) / 10 and (5 - 2) / 5


def test_an_unfinished_run_counts_only_for_what_it_has_whole(make_run: Any) -> None:
    whole = make_run("0", {0: A, 1: B})
    broken = make_run(
        "1",
        {0: {0: 0, 10: 5, 20: 10, 30: 2}, 1: {0: 1, 10: 1, 20: 5, 30: 5}},
        seed=1,
        visits=[(0, 0, 0, 20), (0, 1, 20, None)],
        state="interrupted",
    )
    analysis = analysed(whole, broken)
    forgetting = table(analysis, "forgetting_clear_cycle0")["a", "after b"]
    transfer = table(analysis, "transfer_clear")["b", "after a"]
    final = table(analysis, "final_returns")["a", "clear"]
    assert isinstance(forgetting, Estimate)
    assert isinstance(transfer, Estimate)
    assert isinstance(final, Estimate)
    assert (forgetting.runs, transfer.runs, final.runs, final.mean) == (1, 2, 1, 4.0)
    assert table(analysis, "summary")["clear", "runs"] == 2


def test_a_task_that_is_only_evaluated_has_no_column_of_its_own(make_run: Any) -> None:
    tasks = [
        {"id": "a", "num_timesteps": 20},
        {"id": "b", "num_timesteps": 20},
        {"id": "held_out", "num_timesteps": 0, "eval_mode": True},
    ]
    analysis = analysed(make_run("0", {0: A, 1: B, 2: {0: 0, 20: 1, 40: 4}}, tasks=tasks))
    transfer = table(analysis, "transfer_clear")
    held_out = "held_out (evaluation only)"
    assert transfer[held_out, "after a"] == Estimate(pytest.approx(2.5), pytest.approx(float("nan"), nan_ok=True), 1)
    assert transfer[held_out, "after b"] == Estimate(pytest.approx(7.5), pytest.approx(float("nan"), nan_ok=True), 1)
    assert not any("held_out" in column for _, column in transfer)


def test_a_task_that_was_never_evaluated_is_left_out(make_run: Any) -> None:
    analysis = analysed(make_run("0", {0: A}))
    assert {row for row, _ in table(analysis, "final_returns")} == {"a"}
    assert {row for row, _ in table(analysis, "forgetting_clear_cycle0")} == {"a", "all"}


def test_a_task_whose_returns_are_all_zero_is_left_out_of_metrics_and_said_so(make_run: Any) -> None:
    analysis = analysed(make_run("0", {0: A, 1: dict.fromkeys(B, 0.0)}))
    assert table(analysis, "summary")["clear", "final return / s"] == Estimate(
        pytest.approx(0.4), pytest.approx(float("nan"), nan_ok=True), 1
    )
    assert any("task b: a policy's runs returned nothing but 0" in note for note in analysis.notes)


def test_forgetting_in_later_cycles_has_tables_of_its_own(make_run: Any) -> None:
    visits = [(0, 0, 0, 20), (0, 1, 20, 40), (1, 0, 40, 60), (1, 1, 60, 80)]
    evaluations = {0: {0: 0, 20: 10, 40: 4, 60: 9, 80: 7}, 1: {0: 0, 20: 0, 40: 10, 60: 6, 80: 10}}
    analysis = analysed(make_run("0", evaluations, visits=visits, cycle_count=2))
    later = {
        pair: cell.mean
        for pair, cell in table(analysis, "forgetting_clear_cycle1").items()
        if isinstance(cell, Estimate)
    }
    assert later["a", "after a"] == pytest.approx(-5.0)
    assert later["a", "after b"] == pytest.approx(2.0)
    assert later["b", "after a"] == pytest.approx(4.0)
    assert later["b", "after b"] == pytest.approx(-4.0)
    summary = table(analysis, "summary")
    both = summary["clear", "forgetting F x 10, all cycles"]
    # F[a,a] -0.5, F[a,b] mean of 0.6 and 0.2, F[b,a] 0.4, F[b,b] -0.4
    assert isinstance(both, Estimate)
    assert both.mean == pytest.approx(10 * (-0.5 + 0.4 + 0.4 - 0.4) / 4)


def test_continual_world_is_over_the_tasks_that_are_trained(make_run: Any) -> None:
    summary = table(analysed(make_run("0", {0: A, 1: B})), "summary")
    performance, forgotten = (summary["clear", f"CW {what} [90 %]"] for what in ("performance", "forgetting"))
    assert isinstance(performance, Interval)
    assert isinstance(forgotten, Interval)
    assert performance.value == pytest.approx((0.4 + 1.0) / 2)
    assert forgotten.value == pytest.approx((1.0 - 0.4 + 0.0) / 2)


def test_forward_transfer_is_measured_against_runs_that_trained_on_one_task(make_run: Any) -> None:
    references = {
        name: read_run(
            make_run(
                name,
                {0: returns},
                tasks=[{"id": name, "num_timesteps": 20}],
                visits=[(0, 0, 0, 20)],
                policy="impala",
            )
        )
        for name, returns in {"a": {0: 0, 20: 10}, "b": {0: 1, 20: 9}}.items()
    }
    run = make_run("0", {0: A, 1: B})
    forward = table(analysed(run, references=list(references.values())), "summary")[
        "clear", "CW forward transfer [90 %]"
    ]
    # a: AUC of A / 10 from 0 to 20: 0.5, alone 0.5; b: of B / 9 from 20 to 40: (5.5 + 8.5) / 2 / 9 = 7 / 9, alone 5 / 9
    assert isinstance(forward, Interval)
    assert forward.value == pytest.approx((0 + (7 / 9 - 5 / 9) / (1 - 5 / 9)) / 2)

    lacking = analysed(run, references=[references["b"]])
    unknown = table(lacking, "summary")["clear", "CW forward transfer [90 %]"]
    assert isinstance(unknown, Interval)
    assert unknown.runs == 0
    assert "no reference run trained on a" in lacking.notes

    other = read_run(
        make_run("c", {0: {0: 0, 20: 10}}, tasks=[{"id": "c", "num_timesteps": 20}], visits=[(0, 0, 0, 20)])
    )
    told = f"{other.source}: it trained on c, which is no task of the other runs; it counts for nothing"
    assert told in analysed(run, references=[other]).notes
    mirrored = make_run(
        *("m", {0: {0: 0, 20: 10}}),
        tasks=[{"id": "a", "num_timesteps": 20, "mirrored": True}],
        visits=[(0, 0, 0, 20)],
    )
    notes = analysed(run, references=[read_run(mirrored)]).notes
    assert f"{mirrored}: its task a has mirrored True, that of the other runs None" in notes


def test_forward_transfer_does_not_depend_on_the_window(make_run: Any) -> None:
    perfect = dict.fromkeys(range(400, 801), 1.0)
    run = make_run(
        *("0", {0: dict.fromkeys(range(801), 1.0), 1: {**dict.fromkeys(range(400), 0.0), 400: 0.5, **perfect}}),
        visits=[(0, 0, 0, 400), (0, 1, 400, 800)],
        tasks=[{"id": name, "num_timesteps": 400} for name in "ab"],
    )
    alone = make_run(
        *("b", {0: {0: 0.0, **dict.fromkeys(range(1, 401), 1.0)}}),
        tasks=[{"id": "b", "num_timesteps": 400}],
        visits=[(0, 0, 0, 400)],
    )
    areas = {
        window: analysed(run, references=[read_run(alone)], window=window).groups[0].runs[0].forward
        for window in (1, 20)
    }
    # one learner, from the second evaluation on perfect: 399.5 of 400, here from the first on
    assert areas[1][1] == areas[20][1] == pytest.approx((1 - 399.5 / 400) / (1 - 399.5 / 400))


def test_a_trained_task_that_was_never_evaluated_is_told(make_run: Any) -> None:
    assert "task b: it was never evaluated; it is left out" in analysed(make_run("0", {0: A})).notes


def test_runs_of_another_package_are_a_group_of_their_own_and_of_another_version_told(make_run: Any) -> None:
    runs = [replace(read_run(make_run(name, {0: A}, seed=seed)), version="0.1") for seed, name in enumerate("xyz")]
    runs[1] = replace(runs[1], version="0.2")
    (group,) = group_runs(runs)
    assert group_notes([group]) == ["clear: its runs are of different versions: 0.1, 0.2"]
    runs[2] = replace(runs[2], distribution="mine")
    assert [group.label for group in group_runs(runs)] == ["clear package=", "clear package=mine"]


def test_a_reference_with_another_distance_between_evaluations_is_told(make_run: Any) -> None:
    reference = make_run(
        *("b", {0: {0: 1, 20: 9}}),
        tasks=[{"id": "b", "num_timesteps": 20}],
        visits=[(0, 0, 0, 20)],
        testing_freq=20,
    )
    notes = analysed(make_run("0", {0: A, 1: B}), references=[read_run(reference)]).notes
    assert f"{reference}: it evaluated every 20 steps, the other runs every 10" in notes


def test_a_window_beyond_a_training_is_told(make_run: Any) -> None:
    assert "reaches beyond a training, the shortest of which has 2" in " ".join(
        analysed(make_run("0", {0: A, 1: B}), window=3).notes
    )


def test_references_of_several_tasks_or_policies_are_refused(make_run: Any) -> None:
    with pytest.raises(ReportError, match="trains on 2 tasks"):
        analysed(make_run("0", {0: A, 1: B}), references=[read_run(make_run("r", {0: A, 1: B}))])
    alone = [{"id": "b", "num_timesteps": 20}]
    several = [
        read_run(make_run(policy, {0: {0: 1, 20: 9}}, tasks=alone, visits=[(0, 0, 0, 20)], policy=policy))
        for policy in ("ppo", "impala")
    ]
    with pytest.raises(ReportError, match="several policies: impala, ppo"):
        analysed(make_run("1", {0: A, 1: B}), references=several)


def test_the_window_is_a_tenth_of_the_evaluations_of_a_visit_and_at_most_twenty(make_run: Any) -> None:
    few = dict.fromkeys(range(0, 41, 2), 1.0)
    many = dict.fromkeys(range(801), 1.0)
    assert analysed(make_run("0", {0: few, 1: few}), window=None).window == 1
    long = make_run("1", {0: many, 1: many}, visits=[(0, 0, 0, 400), (0, 1, 400, 800)])
    assert analysed(long, window=None).window == 20


def test_runs_differ_in_settings_are_groups_named_by_them(make_run: Any) -> None:
    runs = [
        make_run("0", {0: A}, settings={"learning_rate": 0.1, "gamma": 0.9}),
        make_run("1", {0: A}, settings={"learning_rate": 0.2, "gamma": 0.9}),
        make_run("2", {0: A}, policy="ppo"),
        make_run("3", {0: A}, settings={"learning_rate": 0.2, "gamma": 0.9}, seed=1),
    ]
    groups = group_runs([read_run(run) for run in runs])
    assert [(group.label, len(group.runs)) for group in groups] == [
        ("clear learning_rate=0.1", 1),
        ("clear learning_rate=0.2", 2),
        ("ppo", 1),
    ]
    assert group_notes(groups) == []


def test_groups_take_other_labels(make_run: Any) -> None:
    runs = [make_run(str(rate), {0: A}, settings={"learning_rate": rate}) for rate in (0.1, 0.2)]
    groups = group_runs([read_run(run) for run in runs])
    named = rename_groups(groups, ["clear learning_rate=0.2=twice as fast"])
    assert [group.label for group in named] == ["clear learning_rate=0.1", "twice as fast"]
    for wrong in ("slow=fast", "clear learning_rate=0.1", "clear learning_rate=0.1=", "clear learning_rate=0.1= "):
        with pytest.raises(ReportError, match=r"'clear learning_rate=0\.1', 'clear learning_rate=0\.2'"):
            rename_groups(groups, [wrong])
    (merged,) = rename_groups(groups, ["clear learning_rate=0.2=both", "clear learning_rate=0.1=both"])
    assert (merged.label, len(merged.runs)) == ("both", 2)


def test_a_seed_that_ran_twice_is_told(make_run: Any) -> None:
    groups = group_runs([read_run(make_run("0", {0: A})), read_run(make_run("1", {0: A}))])
    assert group_notes(groups) == ["clear: seed 0 has 2 runs, which count as independent ones"]


@pytest.mark.parametrize(
    ("difference", "message"),
    [
        (
            {"tasks": [{"id": "a", "num_timesteps": 20}, {"id": "b", "num_timesteps": 20, "game": "pong"}]},
            "the game of task b of",
        ),
        ({"testing_freq": 5}, "the steps between evaluations"),
        ({"cycle_count": 2}, "the number of cycles of"),
        ({"tasks": [{"id": "a", "num_timesteps": 20}, {"id": "c", "num_timesteps": 20}]}, "the tasks of"),
        ({"tasks": [{"id": "a", "num_timesteps": 20}, {"id": "b", "num_timesteps": 30}]}, "the budgets of steps of"),
    ],
)
def test_runs_of_different_experiments_are_refused(make_run: Any, difference: dict[str, Any], message: str) -> None:
    runs, _ = read_runs([make_run("0", {0: A}), make_run("1", {0: A}, **difference)])
    with pytest.raises(ReportError, match=message):
        refuse_mixed_experiments(runs)


def test_an_experiment_may_have_been_named_in_another_way(make_run: Any) -> None:
    runs, _ = read_runs([make_run("0", {0: A}), make_run("1", {0: A}, experiment="../two_tasks.json")])
    refuse_mixed_experiments(runs)


def test_settings_that_only_python_takes_for_equal_are_groups_of_their_own(make_run: Any) -> None:
    runs = [make_run(str(index), {0: A}, settings={"x": x}) for index, x in enumerate([1, 1.0, True])]
    groups = group_runs([read_run(run) for run in runs])
    assert [group.label for group in groups] == ["clear x=1", "clear x=1.0", "clear x=True"]


def test_an_evaluation_that_stopped_early_says_nothing_of_later_trainings(make_run: Any) -> None:
    analysis = analysed(make_run("0", {0: A, 1: {0: 1.0, 10: 3.0}}))
    final = table(analysis, "final_returns")["b", "clear"]
    assert isinstance(final, Estimate)
    assert final.runs == 0
    transfer = table(analysis, "transfer_clear")["b", "after a"]
    assert isinstance(transfer, Estimate)
    assert transfer.mean == pytest.approx(10 * 2 / 3)  # its last evaluation within the training on a
    forgetting = table(analysed(make_run("1", {0: {0: 0.0, 20: 10.0}, 1: B})), "forgetting_clear_cycle0")
    assert forgetting["a", "after b"] is None


def test_a_reference_with_other_steps_or_settings_is_refused(make_run: Any) -> None:
    longer = [{"id": "b", "num_timesteps": 200}]
    reference = read_run(make_run("r", {0: {0: 1, 200: 9}}, tasks=longer, visits=[(0, 0, 0, 200)]))
    with pytest.raises(ReportError, match="for 200 steps, where the other runs do for 20"):
        analysed(make_run("0", {0: A, 1: B}), references=[reference])
    alone = [{"id": "b", "num_timesteps": 20}]
    several = [
        read_run(make_run(f"s{x}", {0: {0: 1, 20: 9}}, tasks=alone, visits=[(0, 0, 0, 20)], settings={"x": x}))
        for x in (1, 2)
    ]
    with pytest.raises(ReportError, match="different settings"):
        analysed(make_run("1", {0: A, 1: B}), references=several)
