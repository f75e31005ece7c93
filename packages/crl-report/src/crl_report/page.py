"""report.html: everything on one page that opens without a network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import jinja2
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from crl_report.analysis import Analysis
from crl_report.bands import Band
from crl_report.style import SHADE, Panel, colour
from crl_report.tables import Table
from crl_report.writing import explained, shown

__all__ = ["make_page"]

_COLUMNS = 2
_PANEL_PIXELS, _BETWEEN_PIXELS, _LEGEND_PIXELS = 240, 100, 110
_DIGITS = 4  # significant ones of what stands in the page's curves


def make_page(
    analysis: Analysis,
    figures: Mapping[str, Sequence[Panel]],
    tables: Sequence[Table],
    methods: str,
    *,
    versions: str,
) -> str:
    """Return the page as HTML.

    Args:
        analysis: what is reported.
        figures: the panels of `curves`, and of `plasticity` where it was measured.
        tables: all tables, in order.
        methods: what `describe_methods` says.
        versions: of the packages that made it.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("crl_report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    labels = [group.label for group in analysis.groups]
    return environment.get_template("report.html.jinja").render(
        analysis=analysis,
        **{name: _as_html(name, _figure(panels, labels)) for name, panels in figures.items()},
        tables=[_shown(table) for table in tables],
        methods=methods,
        made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        versions=versions,
    )


def _as_html(name: str, figure: go.Figure) -> str:
    """Return a figure as an element with that name as its id; the first on the page brings the library along."""
    config = {"displaylogo": False, "responsive": True, "toImageButtonOptions": {"format": "svg"}}
    html: str = figure.to_html(full_html=False, include_plotlyjs=name == "curves", config=config, div_id=name)
    return html


def _shown(table: Table) -> dict[str, Any]:
    return {
        "title": table.title,
        "explained": explained(table),
        "columns": table.columns,
        "rows": [[shown(cell, table.digits) for cell in row] for row in table.rows],
    }


def _figure(panels: Sequence[Panel], labels: Sequence[str]) -> go.Figure:
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    titles = [f"{panel.title} (evaluation only)" if panel.dashed else panel.title for panel in panels]
    inside = _PANEL_PIXELS * rows + _BETWEEN_PIXELS * (rows - 1)
    figure = make_subplots(rows, columns, subplot_titles=titles, vertical_spacing=_BETWEEN_PIXELS / inside)
    for index, panel in enumerate(panels):
        row, column = divmod(index, columns)
        place = {"row": row + 1, "col": column + 1}
        for start, end in panel.shaded:
            look = {"fillcolor": SHADE, "line_width": 0, "opacity": 1, "layer": "below"}
            figure.add_vrect(start, end, **look, exclude_empty_subplots=False, **place)
        for group, (label, band) in enumerate(zip(labels, panel.bands, strict=True)):
            if band is not None:
                first = not any(each.bands[group] is not None for each in panels[:index])
                traces = _traces(band, label, group, dashed=panel.dashed, in_legend=first)
                figure.add_traces(traces, place["row"], place["col"])
        figure.update_xaxes(title_text="training steps", exponentformat="SI", **place)
        figure.update_yaxes(title_text=panel.unit, range=panel.limits(), **place)
    figure.update_layout(
        template="simple_white",
        height=inside + _LEGEND_PIXELS + _BETWEEN_PIXELS // 2,
        hovermode="x unified",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1 + 40 / inside, "groupclick": "togglegroup"},
        margin={"l": 60, "r": 20, "t": _LEGEND_PIXELS, "b": _BETWEEN_PIXELS // 2},
    )
    return figure


def _traces(band: Band, label: str, group: int, *, dashed: bool, in_legend: bool) -> list[go.Scatter]:
    """Return the band's edge and filling, and the mean, which all appear and vanish with the legend's one entry."""
    line, fill = colour(group), _transparent(colour(group))
    common: dict[str, Any] = {"x": band.steps, "legendgroup": label, "name": label, "mode": "lines"}
    low, high = _rounded(band.low), _rounded(band.high)
    edge: dict[str, Any] = {**common, "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    return [
        go.Scatter(**edge, y=low),
        go.Scatter(**edge, y=high, fill="tonexty", fillcolor=fill),
        go.Scatter(
            **common,
            y=_rounded(band.mean),
            line={"color": line, "width": 2, "dash": "dash" if dashed else "solid"},
            customdata=list(zip(low, high, band.runs.tolist(), strict=True)),
            hovertemplate="%{y:.4~g} (%{customdata[0]:.4~g} to %{customdata[1]:.4~g}, %{customdata[2]} runs)",
            showlegend=in_legend,
        ),
    ]


def _rounded(values: Any) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in values]


def _transparent(hexadecimal: str) -> str:
    red, green, blue = (int(hexadecimal[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.2)"
