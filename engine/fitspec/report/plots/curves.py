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
    REFERENCE,
    TWO_SIGMA,
    canvas,
    legend,
    plain,
    plain_numbers,
)
from fitspec.report.plots.grids import Array, Grid, Hypothesis, resolved, test_at_one
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
        None where fewer than two hypotheses have the numbers.
    """
    [axis] = grid.axes
    chosen = sorted(grid.hypotheses, key=lambda h: h.labels[axis])
    in_pb = grid.by_limits and all(h.result.xsec_pb is not None for h in chosen)
    units = np.array([h.result.xsec_pb if in_pb else 1.0 for h in chosen], dtype=float)
    curve = _of_limits(grid, chosen, units) if grid.by_limits else _of_tests(grid, chosen)
    if np.isfinite(curve.observed).sum() < 2:
        return None
    figure, axes = canvas(grid.analysis, grid.words)
    _draw(axes, curve)
    confidence = f"{100 * grid.confidence:g}% CL"
    if grid.by_limits:
        theory = "theory" if in_pb else "as predicted"
        axes.plot(curve.places, units, color=GUIDE, linestyle="-.", label=theory)
        what = "cross-section, pb" if in_pb else "signal strength"
        axes.set_ylabel(f"{confidence} upper limit, {what}")
    else:
        _draw_level(axes, grid.confidence)
        axes.set_ylabel("CLs")
    reference = [h.reference_limit if grid.by_limits else h.reference_CLs for h in chosen]
    _draw_reference(axes, curve.places, reference, units)
    _draw_missing(axes, curve)
    axes.set_yscale("log")
    axes.set_xlabel(plain(axis))
    plain_numbers(axes, "x")
    legend(axes)
    return figure


def scan(analysis: str, point: PointResult, confidence: float) -> Figure:
    """CLs over the tested signal strengths of one hypothesis."""
    tests = sorted(map(resolved, point.outcome.tests), key=lambda test: test.mu)
    figure, axes = canvas(analysis, [point.id])
    _draw(
        axes,
        _Curve(
            np.array([test.mu for test in tests]),
            np.array([test.CLs_obs for test in tests]),
            np.array([test.CLs_exp for test in tests]),
        ),
    )
    _draw_level(axes, confidence)
    axes.set_ylim(0.0, 1.05)
    axes.set_xlabel("signal strength")
    plain_numbers(axes, "x")
    axes.set_ylabel("CLs")
    legend(axes)
    return figure


_NONE: Band = (np.nan,) * 5


def _of_limits(grid: Grid, hypotheses: Sequence[Hypothesis], units: Array) -> _Curve:
    outcomes = [h.result.outcome for h in hypotheses]
    bands: list[Band] = [o.upper_limit_exp or _NONE for o in outcomes]
    observed = np.array([o.upper_limit_obs for o in outcomes], dtype=float)
    places = grid.coordinates(hypotheses)[:, 0]
    return _Curve(places, observed * units, np.array(bands) * units[:, None])


def _of_tests(grid: Grid, hypotheses: Sequence[Hypothesis]) -> _Curve:
    tests = [test_at_one(h.result) for h in hypotheses]
    observed = np.array([None if test is None else test.CLs_obs for test in tests], dtype=float)
    expected = np.array([_NONE if test is None else test.CLs_exp for test in tests])
    return _Curve(grid.coordinates(hypotheses)[:, 0], observed, expected)


def _draw(axes: Axes, curve: _Curve) -> None:
    m2, m1, median, p1, p2 = curve.expected.T
    x = curve.places
    axes.fill_between(x, m2, p2, color=TWO_SIGMA, label=r"expected, $\pm 2\,\sigma$")
    axes.fill_between(x, m1, p1, color=ONE_SIGMA, label=r"expected, $\pm 1\,\sigma$")
    axes.plot(x, median, color=EXPECTED, linestyle="--", label="expected")
    axes.plot(x, curve.observed, color=OBSERVED, marker="o", markersize=4, label="observed")
    axes.margins(x=0.02)


def _draw_reference(
    axes: Axes, places: Array, reference: Sequence[float | None], units: Array
) -> None:
    mask = np.array([value is not None for value in reference])
    if mask.any():
        values = np.array([value for value in reference if value is not None]) * units[mask]
        style: dict[str, Any] = {
            "color": REFERENCE,
            "linestyle": "none",
            "marker": "x",
            "markersize": 7,
        }
        axes.plot(places[mask], values, label="observed, reference", **style)


def _draw_missing(axes: Axes, curve: _Curve) -> None:
    """Crosses at the foot, where a hypothesis has no numbers and the curves are broken."""
    missing = curve.places[np.isnan(curve.observed)]
    if missing.size:
        style: dict[str, Any] = {"color": "#777777", "linestyle": "none", "marker": "x"}
        foot = axes.get_xaxis_transform()  # places along the axis, a share of the height
        axes.plot(
            missing, np.full(missing.shape, 0.03), transform=foot, label="no numbers", **style
        )


def _draw_level(axes: Axes, confidence: float) -> None:
    level = round(1 - confidence, 12)
    axes.axhline(level, color=GUIDE, linestyle="-.", label=f"CLs = {level:g}")
