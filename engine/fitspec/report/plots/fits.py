"""Pulls of the parameters of a fit, and their impacts on the POI."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fitspec.bestfit import BestFit, FittedParameter, Impact
from fitspec.report.plots.canvas import ONE_SIGMA, TWO_SIGMA, heading, plain
from fitspec.results import PointResult

TOP = 30
"""Parameters that are shown: of the largest impacts, or without impacts of the largest pulls."""


def pulls(analysis: str, point: PointResult, fit: BestFit) -> Figure | None:
    """Pulls and constraints of parameters, beside the impacts where there are any.

    Returns:
        None where no parameter is constrained.
    """
    impacts = {impact.parameter: impact for impact in fit.impacts or () if impact.size > 0}
    shown = _most_important(fit, impacts)
    if not shown:
        return None
    figure = Figure(
        figsize=(9.0 if impacts else 6.5, 1.6 + 0.24 * len(shown)), layout="constrained"
    )
    figure.suptitle(heading(f"{analysis}: {point.id}"), fontsize=13, fontweight="bold")
    panels = figure.subplots(1, 2 if impacts else 1, sharey=True, squeeze=False)[0]
    rows = np.arange(len(shown))[::-1]
    _draw_pulls(panels[0], rows, shown)
    panels[0].set_yticks(rows, [plain(p.name) for p in shown], fontsize=8)
    if impacts:
        _draw_impacts(panels[1], rows, [impacts[p.name] for p in shown])
        panels[1].set_xlabel(plain(f"impact on {fit.poi}"), fontsize=11)
        panels[1].ticklabel_format(axis="x", scilimits=(-3, 4))
        panels[1].xaxis.get_offset_text().set_fontsize(9)
    for panel in panels:
        panel.tick_params(axis="y", which="both", left=False, right=False)
        panel.tick_params(axis="x", labelsize=9)
        panel.set_ylim(-0.8, len(shown) - 0.2)
    return figure


def _most_important(fit: BestFit, impacts: Mapping[str, Impact]) -> list[FittedParameter]:
    known = [p for p in fit.parameters if p.pull is not None]
    if impacts:
        known = [p for p in known if p.name in impacts]
        return sorted(known, key=lambda p: -impacts[p.name].size)[:TOP]
    return sorted(known, key=lambda p: -abs(p.pull or 0.0))[:TOP]


def _draw_pulls(axes: Axes, rows: np.ndarray, shown: list[FittedParameter]) -> None:
    axes.axvspan(-2, 2, color=TWO_SIGMA, zorder=0)
    axes.axvspan(-1, 1, color=ONE_SIGMA, zorder=0)
    axes.axvline(0, color="#777777", linewidth=0.8, zorder=1)
    widths = [p.constraint or 0.0 for p in shown]
    axes.errorbar(
        [p.pull or 0.0 for p in shown], rows, xerr=widths, fmt="o", color="black", markersize=4,
        linewidth=1.2,
    )  # fmt: skip
    axes.set_xlim(min(-2.5, *axes.get_xlim()), max(2.5, *axes.get_xlim()))
    axes.set_xlabel("pull", fontsize=11)


def _draw_impacts(axes: Axes, rows: np.ndarray, impacts: list[Impact]) -> None:
    for name, colour, label in (("down", "#0072b2", "-"), ("up", "#d55e00", "+")):
        sizes = [getattr(impact, name) or 0.0 for impact in impacts]
        axes.barh(rows, sizes, height=0.6, color=colour, alpha=0.85, label=rf"${label}1\,\sigma$")
        before = [getattr(impact, f"nominal_{name}") or 0.0 for impact in impacts]
        axes.barh(rows, before, height=0.6, fill=False, edgecolor=colour, linewidth=0.8)
    axes.axvline(0, color="#777777", linewidth=0.8)
    axes.legend(loc="lower right", fontsize=9)
