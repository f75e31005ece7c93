"""The methods paragraph: how each number was computed, to be put into a paper."""

from __future__ import annotations

import jinja2

from crl_report.analysis import LARGEST_WINDOW, Analysis
from crl_report.atari_scores import RANDOM_AND_HUMAN
from crl_report.bands import CONFIDENCE

__all__ = ["describe_methods"]


def describe_methods(analysis: Analysis) -> str:
    """Return what was computed, and how, in full sentences; paragraphs are separated by empty lines."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("crl_report"),
        autoescape=False,  # noqa: S701  # the text is no HTML; the page that shows it escapes it
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    text = environment.get_template("methods.txt.jinja").render(
        analysis=analysis,
        trained=[analysis.tasks[i].id for i in analysis.trained],
        budgets=_budgets(analysis),
        schedule=_schedule(analysis),
        unfinished=sum(not run.record.finished for group in analysis.groups for run in group.runs),
        games=any(analysis.tasks[i].game in RANDOM_AND_HUMAN for i in analysis.evaluated),
        plasticity=any(run.record.plasticity for group in analysis.groups for run in group.runs),
        largest_window=LARGEST_WINDOW,
        confidence=round(100 * CONFIDENCE),
    )
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _budgets(analysis: Analysis) -> str:
    """Return how long the tasks are trained: one number where all are equal."""
    tasks = [analysis.tasks[i] for i in analysis.trained]
    if len({task.num_timesteps for task in tasks}) == 1:
        return f"{tasks[0].num_timesteps:,} steps each"
    return ", ".join(f"{task.id} {task.num_timesteps:,} steps" for task in tasks)


def _schedule(analysis: Analysis) -> str:
    """Return how often tasks are evaluated, and with how many episodes, as far as that is known."""
    distance = analysis.groups[0].runs[0].record.testing_freq
    every = "at the ends of trainings" if distance is None else f"every {distance:,} steps and at the ends of trainings"
    episodes = sorted({task.episodes for task in analysis.tasks if task.episodes is not None})
    return every + (f", with {' or '.join(map(str, episodes))} episodes of each task" if episodes else "")
