"""Where a run stands: the order of visits, what is due when, and what a resumed run goes on with."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.crl_core.small_runs import scripted_task

from crl_core.experiment import Experiment
from crl_core.schedule import Schedule


def experiment(*budgets: int, eval_only: tuple[int, ...] = (), **fields: Any) -> Experiment:
    tasks = [
        scripted_task(f"task{index}", num_timesteps=budget, eval_mode=index in eval_only)
        for index, budget in enumerate(budgets)
    ]
    return Experiment(tasks=tuple(tasks), **fields)


def make(an_experiment: Experiment, *, initial_evaluation: bool = True, timesteps_per_save: int = 1000) -> Schedule:
    return Schedule(an_experiment, initial_evaluation=initial_evaluation, timesteps_per_save=timesteps_per_save)


def walk(schedule: Schedule, steps: int) -> dict[str, list[int]]:
    """Train `steps` at a time, evaluating and saving when due, as a run does; return at which steps that was."""
    seen: dict[str, list[int]] = {"evaluated": [], "saved": [], "ended": []}

    def do_what_is_due() -> None:
        if schedule.evaluation_due():
            seen["evaluated"].append(schedule.total_steps)
            schedule.evaluated()
        if schedule.save_due():
            seen["saved"].append(schedule.total_steps)
            schedule.saved()

    for _ in schedule.remaining():
        do_what_is_due()
        while not schedule.task_done():
            schedule.advance(steps)
            do_what_is_due()
        seen["ended"].append(schedule.total_steps)
    return seen


def test_a_film_and_a_measurement_are_due_every_so_many_steps_of_the_run() -> None:
    schedule = Schedule(
        experiment(50, 50), initial_evaluation=False, timesteps_per_save=1000, render_freq=30, plasticity_freq=40
    )
    filmed, measured = [], []
    for _ in schedule.remaining():
        while not schedule.task_done():
            schedule.advance(7)
            if schedule.film_due():
                filmed.append(schedule.total_steps)
                schedule.filmed()
            if schedule.measurement_due():
                measured.append(schedule.total_steps)
                schedule.measured()
            assert not schedule.film_due()
            assert not schedule.measurement_due()
    assert filmed == [35, 63, 91]
    assert measured == [42, 84]


def test_no_film_is_due_unless_asked_for() -> None:
    schedule = make(experiment(50))
    for _ in schedule.remaining():
        schedule.advance(50)
        assert not schedule.film_due()


def visits(schedule: Schedule) -> list[tuple[int, int, str, bool]]:
    found = []
    for visit in schedule.remaining():
        found.append((visit.cycle, visit.index, visit.task.id, visit.is_new))
        while not schedule.task_done():
            schedule.advance(10)
    return found


def test_every_cycle_visits_the_trained_tasks_in_order() -> None:
    schedule = make(experiment(10, 10, 10, eval_only=(1,), cycle_count=2))

    assert visits(schedule) == [
        (0, 0, "task0", True),
        (0, 2, "task2", True),
        (1, 0, "task0", True),
        (1, 2, "task2", True),
    ]
    assert schedule.total_steps == 40


def test_a_task_ends_at_the_first_collection_that_reaches_its_budget_and_owes_the_next_nothing() -> None:
    assert walk(make(experiment(10, 10)), steps=7)["ended"] == [14, 28]


def test_progress_counts_in_the_visit_and_in_the_run() -> None:
    schedule = make(experiment(10, 20, cycle_count=2))
    found = []
    for _ in schedule.remaining():
        while not schedule.task_done():
            schedule.advance(5)
        progress = schedule.progress()
        found.append((progress.cycle, progress.task, progress.task_steps, progress.task_num_timesteps))
    assert found == [(0, 0, 10, 10), (0, 1, 20, 20), (1, 0, 10, 10), (1, 1, 20, 20)]
    assert schedule.progress().run_num_timesteps == 60
    assert schedule.progress().total_steps == 60


@pytest.mark.parametrize(
    ("frequency", "steps", "evaluated"),
    [
        (None, 5, [0, 20, 40]),
        (10, 5, [0, 10, 20, 30, 40]),
        (10, 7, [0, 14, 21, 35, 42]),  # crossings of 10, 20, 30 and 40; 21 and 42 are task ends as well
        (15, 5, [0, 15, 20, 30, 40]),
        (1000, 20, [0, 20, 40]),
        (3, 10, [0, 10, 20, 30, 40]),  # several crossings in one collection are one evaluation
    ],
)
def test_evaluations_are_due_at_the_start_at_crossings_and_at_task_ends(
    frequency: int | None, steps: int, evaluated: list[int]
) -> None:
    assert walk(make(experiment(20, 20, continual_testing_freq=frequency)), steps)["evaluated"] == evaluated


def test_the_initial_evaluation_can_be_left_out() -> None:
    assert walk(make(experiment(20, 20), initial_evaluation=False), steps=5)["evaluated"] == [20, 40]


def test_checkpoints_are_due_at_the_start_by_steps_and_after_evaluations() -> None:
    schedule = make(experiment(50, continual_testing_freq=40), timesteps_per_save=15)
    seen = walk(schedule, steps=5)
    assert seen["evaluated"] == [0, 40, 50]
    assert seen["saved"] == [0, 15, 30, 40, 50]


def test_the_very_first_checkpoint_needs_no_evaluation() -> None:
    schedule = make(experiment(50))
    next(schedule.remaining())
    assert schedule.save_due()
    assert not schedule.saved_here()
    schedule.saved()
    assert schedule.saved_here()
    assert not schedule.save_due()
    schedule.evaluated()
    assert not schedule.save_due()  # there is one of this very step


def restored(schedule: Schedule, an_experiment: Experiment) -> Schedule:
    again = make(an_experiment)
    again.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    return again


def test_a_run_resumed_in_the_middle_of_a_visit_goes_on_with_it() -> None:
    tasks = experiment(10, 10, cycle_count=2)
    schedule = make(tasks)
    visit = schedule.remaining()
    next(visit)
    schedule.advance(10)
    next(visit)
    schedule.advance(5)

    resumed = restored(schedule, tasks)

    assert resumed.segment == schedule.segment == 2
    assert visits(resumed) == [(0, 1, "task1", False), (1, 0, "task0", True), (1, 1, "task1", True)]
    assert resumed.total_steps == 45  # 15 before, then 10 more (5 were left), 10 and 10
    assert resumed.segment == 5  # a resumed visit draws its environments' seeds anew


def test_a_run_resumed_at_the_very_end_of_a_task_ends_it_without_a_step() -> None:
    tasks = experiment(10, 10)
    schedule = make(tasks)
    next(schedule.remaining())
    schedule.advance(10)
    schedule.evaluated()
    schedule.saved()

    resumed = restored(schedule, tasks)
    remaining = resumed.remaining()

    first = next(remaining)
    assert (first.task.id, first.is_new, resumed.task_done()) == ("task0", False, True)
    assert not resumed.evaluation_due()  # it was evaluated before it was saved
    assert not resumed.save_due()
    second = next(remaining)
    assert (second.task.id, second.is_new, resumed.task_done()) == ("task1", True, False)


def test_a_run_resumed_between_an_evaluations_due_step_and_the_evaluation_makes_it() -> None:
    tasks = experiment(40, continual_testing_freq=10)
    schedule = make(tasks)
    next(schedule.remaining())
    schedule.evaluated()
    schedule.advance(10)

    resumed = restored(schedule, tasks)
    next(resumed.remaining())

    assert resumed.evaluation_due()
    assert resumed.evaluations == 1


def test_a_finished_run_has_nothing_left() -> None:
    tasks = experiment(10)
    schedule = make(tasks)
    walk(schedule, steps=5)
    assert list(restored(schedule, tasks).remaining()) == []
