"""`crl report`: from run directories to curves, tables and a page."""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from crl_report.analysis import Analysis, analyse
from crl_report.groups import group_notes, group_runs, refuse_mixed_experiments, rename_groups
from crl_report.reading import ReportError, find_runs, read_runs
from crl_report.records import RunRecord
from crl_report.steps import Steps
from crl_report.tables import Table, make_tables
from crl_report.terminal import print_table
from crl_report.writing import as_csv, as_json, as_latex, as_markdown

__all__ = ["report"]

_PACKAGES = ("crl-report", "crl-core")
_CSV = "csv"
_NOT_IN_EVERY_REPORT = (
    *("plasticity.png", "plasticity.pdf"),
    *(f"{_CSV}/{name}.csv" for name in ("human_normalized", "forgetting_*_cycle*", "transfer_*")),
)


@click.command()
@click.argument("runs", nargs=-1)
@click.option(
    "--output",
    "-o",
    default=Path("report"),
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The directory to write into; files of an earlier report are replaced.",
)
@click.option(
    "--window",
    type=click.IntRange(min=1),
    help="Evaluations in a trailing mean.  [default: a tenth of those in a training on a task, at most 20]",
)
@click.option(
    "--scale",
    type=click.Choice(["shared", "own"]),
    default="shared",
    show_default=True,
    help="What returns are divided by: the largest of all policies, so that they compare, or of each by itself, so "
    "that they do not.",
)
@click.option(
    "--reference",
    "references",
    multiple=True,
    metavar="RUN",
    help="Runs, folders or patterns of runs, that trained on one task alone, as long as the others, for forward "
    "transfer; may be repeated.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="LABEL=NEW",
    help="Another name for the group of runs that the report names LABEL; groups with the same become one; may be "
    "repeated.",
)
@click.option(
    "--tensorboard",
    multiple=True,
    metavar="[POLICY=]FOLDER",
    help="Runs of the original system: every directory in FOLDER with event files is one; may be repeated.",
)
@click.option("--experiment", help="With --tensorboard: the installed experiment that its runs trained on; or else:")
@click.option("--tasks", metavar="NAME,NAME,...", help="With --tensorboard: the tasks, in the order they were trained.")
@click.option("--task-steps", type=Steps(), help="With --tensorboard: the steps of each training.")
@click.option("--cycles", type=click.IntRange(min=1), help="With --tensorboard: walks through the tasks.")
def report(
    runs: Sequence[str],
    *,
    output: Path,
    window: int | None,
    scale: str,
    references: Sequence[str],
    labels: Sequence[str],
    tensorboard: Sequence[str],
    **past: Any,
) -> None:
    """Report on RUNS: run directories, folders of them (as of a config file), or patterns of either.

    All are of one experiment. They are grouped by policy and by the settings in which the runs of a policy differ.
    Writes report.html, curves.png, curves.pdf, tables.md, tables.tex, tables.json, methods.txt, and CSV
    files of the tables and the curves in csv/; of runs with --plasticity-freq also plasticity.png and plasticity.pdf.
    """
    if bool(runs) == bool(tensorboard):
        raise ReportError(
            "name either runs, or folders of event files with --tensorboard; `crl report --help` says more"
        )
    if runs and any(value is not None for value in past.values()):
        raise ReportError(
            "--experiment, --tasks, --task-steps and --cycles go with --tensorboard; runs say it themselves"
        )
    for directory in (output, *(output.iterdir() if output.is_dir() else ())):
        if (directory / "run.json").exists():
            raise ReportError(f"--output: {directory} is a run's directory; name one for the report alone")
    records, notes = read_runs(find_runs(runs)) if runs else _past_runs(tensorboard, past)
    refuse_mixed_experiments(records)
    groups = rename_groups(group_runs(records), labels)
    reference_records, reference_notes = _references(references)
    analysis = analyse(
        groups,
        window=window,
        shared_scale=scale == "shared",
        references=reference_records,
        notes=[*notes, *group_notes(groups), *reference_notes],
    )
    for note in analysis.notes:
        click.echo(f"note: {note}", err=True)
    tables = make_tables(analysis)
    _write(analysis, tables, output)
    print_table(tables[0], Console())
    click.echo(f"written: {output / 'report.html'}")


def _references(places: Sequence[str]) -> tuple[list[RunRecord], list[str]]:
    try:
        return read_runs(find_runs(places)) if places else ([], [])
    except ReportError as error:
        raise ReportError(f"--reference: {error}") from error


def _past_runs(folders: Sequence[str], past: Mapping[str, Any]) -> tuple[list[RunRecord], list[str]]:
    from crl_report.past import read_past_runs  # imports tensorboard

    return read_past_runs(folders, **past)


def _write(analysis: Analysis, tables: Sequence[Table], output: Path) -> None:
    """Write every file, each whole or not at all.

    Raises:
        ReportError: one cannot be written.
    """
    from crl_report.figures import write_figures  # these import matplotlib, plotly and scipy, which take seconds
    from crl_report.methods import describe_methods
    from crl_report.page import make_page
    from crl_report.style import curves_as_csv, make_figures

    figures, methods = make_figures(analysis), describe_methods(analysis)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    texts = {
        "report.html": make_page(analysis, figures, tables, methods, versions=versions),
        "tables.md": "\n".join(as_markdown(table) for table in tables),
        "tables.tex": "% needs \\usepackage{booktabs}\n\n" + "\n".join(as_latex(table) for table in tables),
        "tables.json": as_json(tables),
        "methods.txt": methods + "\n",
        "curves.csv": curves_as_csv(figures["curves"], [group.label for group in analysis.groups]),
        **{f"{table.name}.csv": as_csv(table) for table in tables},
    }
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output, prefix=".unfinished-") as unfinished:
            for name, panels in figures.items():
                write_figures(name, panels, _with_runs(analysis), Path(unfinished))
            for name, text in texts.items():
                (Path(unfinished) / name).write_text(text, encoding="utf-8")
            _replace(Path(unfinished), output)
    except OSError as error:
        raise ReportError(f"--output: {output} cannot be written: {error.strerror or error}") from error


def _with_runs(analysis: Analysis) -> list[str]:
    """Return each group's label with its number of runs."""
    counts = [len(group.runs) for group in analysis.groups]
    named = zip(analysis.groups, counts, strict=True)
    return [f"{group.label} ({count} run{'s' if count > 1 else ''})" for group, count in named]


def _replace(made: Path, output: Path) -> None:
    """Put a report's files in the place of an earlier one's; leave alone whatever else is there."""
    (output / _CSV).mkdir(exist_ok=True)
    written = {path: output / (_CSV if path.suffix == ".csv" else "") / path.name for path in made.iterdir()}
    for path, place in sorted(written.items()):
        path.replace(place)
    for pattern in _NOT_IN_EVERY_REPORT:
        for place in output.glob(pattern):
            if place not in written.values():
                place.unlink()
