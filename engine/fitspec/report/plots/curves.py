"""Curves with their expected bands: along a line of hypotheses, and of one hypothesis's scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fitspec.outcome import Band
from fitspec.report.plots.canvas import (
    EXPECTED,
    GUIDE,
    OBSERVED,
    ONE_SIGMA,
    PUBLISHED,
    TWO_SIGMA,
    canvas,
    legend,
    plain,
)
from fitspec.report.plots.grids import LEVEL, Array, Grid, Hypothesis, test_at_one
from fitspec.results import PointResult


@dataclass(frozen=True, slots=True)
class _Curve:
    """What is drawn over one axis."""

    places: Array
    observed: Array
    expected: Array  # (N, 5)


def line(grid: Grid) -> Figure | None:
    """Upper limits over a label, in pb where cross-sections are known; without limits, CLs.

    Returns:
        None where no hypothesis has the numbers.
    """
    [axis] = grid.axes
    limits = [h for h in grid.hypotheses if h.result.outcome.upper_limit_obs is not None]
    tests = [h for h in grid.hypotheses if test_at_one(h.result) is not None]
    if not (chosen := limits or tests):
        return None
    chosen = sorted(chosen, key=lambda h: h.labels[axis])
    in_pb = bool(limits) and all(h.result.xsec_pb is not None for h in chosen)
    figure, axes = canvas(grid.analysis, grid.words)
    units = np.array([h.result.xsec_pb if in_pb else 1.0 for h in chosen], dtype=float)
    curve = _of_limits(grid, chosen, units) if limits else _of_tests(grid, chosen)
    _draw(axes, curve)
    if limits:
        theory = "theory" if in_pb else "as predicted"
        axes.plot(curve.places, units, color=GUIDE, linestyle="-.", label=theory)
    else:
        axes.axhline(LEVEL, color=GUIDE, linestyle="-.", label=f"CLs = {LEVEL}")
    published = [h.published_limit if limits else h.published_CLs for h in chosen]
    _draw_published(axes, curve.places, published, units)
    axes.set_yscale("log")
    axes.set_xlabel(plain(axis))
    what = "cross-section, pb" if in_pb else "signal strength"
    axes.set_ylabel(f"95% CL upper limit, {what}" if limits else "CLs")
    legend(axes)
    return figure


def scan(analysis: str, point: PointResult) -> Figure:
    """CLs over the tested signal strengths of one hypothesis."""
    tests = sorted(point.outcome.tests, key=lambda test: test.mu)
    figure, axes = canvas(analysis, [point.id])
    _draw(
        axes,
        _Curve(
            np.array([test.mu for test in tests]),
            np.array([test.CLs_obs for test in tests]),
            np.array([test.CLs_exp for test in tests]),
        ),
    )
    axes.axhline(LEVEL, color=GUIDE, linestyle="-.", label=f"CLs = {LEVEL}")
    axes.set_ylim(0.0, 1.05)
    axes.set_xlabel("signal strength")
    axes.set_ylabel("CLs")
    legend(axes)
    return figure


def _of_limits(grid: Grid, hypotheses: Sequence[Hypothesis], units: Array) -> _Curve:
    outcomes = [h.result.outcome for h in hypotheses]
    bands: list[Band] = [o.upper_limit_exp or (np.nan,) * 5 for o in outcomes]
    observed = np.array([o.upper_limit_obs for o in outcomes], dtype=float)
    places = grid.coordinates(hypotheses)[:, 0]
    return _Curve(places, observed * units, np.array(bands) * units[:, None])


def _of_tests(grid: Grid, hypotheses: Sequence[Hypothesis]) -> _Curve:
    tests = [test for h in hypotheses if (test := test_at_one(h.result)) is not None]
    observed, expected = [test.CLs_obs for test in tests], [test.CLs_exp for test in tests]
    return _Curve(grid.coordinates(hypotheses)[:, 0], np.array(observed), np.array(expected))


def _draw(axes: Axes, curve: _Curve) -> None:
    m2, m1, median, p1, p2 = curve.expected.T
    x = curve.places
    axes.fill_between(x, m2, p2, color=TWO_SIGMA, label=r"expected, $\pm 2\,\sigma$")
    axes.fill_between(x, m1, p1, color=ONE_SIGMA, label=r"expected, $\pm 1\,\sigma$")
    axes.plot(x, median, color=EXPECTED, linestyle="--", label="expected")
    axes.plot(x, curve.observed, color=OBSERVED, marker="o", markersize=4, label="observed")
    axes.margins(x=0.02)


def _draw_published(
    axes: Axes, places: Array, published: Sequence[float | None], units: Array
) -> None:
    mask = np.array([value is not None for value in published])
    if mask.any():
        values = np.array([value for value in published if value is not None]) * units[mask]
        style: dict[str, Any] = {
            "color": PUBLISHED,
            "linestyle": "none",
            "marker": "x",
            "markersize": 7,
        }
        axes.plot(places[mask], values, label="observed, as published", **style)
