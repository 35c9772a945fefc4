"""Exclusions in a plane of two labels: contours between the hypotheses of a grid."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.tri import LinearTriInterpolator, Triangulation

from fitspec.report.plots.canvas import (
    EXPECTED,
    OBSERVED,
    ONE_SIGMA,
    REFERENCE,
    canvas,
    legend,
    plain,
    plain_numbers,
)
from fitspec.report.plots.grids import Array, Grid, Hypothesis

STEPS = 400
"""Of the fine grid on which contours are found, along each axis."""

_Style = Literal["-", "--", ":"]

_MINUS, _MEDIAN, _PLUS = 1, 2, 3
"""Indices in a band."""


def plane(grid: Grid) -> Figure | None:
    """Observed and expected exclusion, with the expected one's band, and the reference.

    Contours are where the interpolated margin is 0; it is linear between hypotheses, and unknown
    outside the grid.

    Returns:
        None where no hypothesis has the numbers.
    """
    known = [(h, found) for h in grid.hypotheses if (found := grid.margins(h)) is not None]
    if not known:
        return None
    figure, axes = canvas(grid.analysis, (*grid.words, f"{100 * grid.confidence:g}% CL"))
    handles: list[Any] = []
    surface = _Surface.of(grid, [h for h, _ in known])
    if surface is not None:
        band = np.array([expected for _, (_, expected) in known])
        low, high = surface.fine(band[:, _MINUS]), surface.fine(band[:, _PLUS])
        between = np.ma.minimum(low, -high)
        if between.max() > 0:
            axes.contourf(*surface.mesh, between, levels=[0, np.inf], colors=[ONE_SIGMA])
            handles.append(Patch(color=ONE_SIGMA, label=r"expected, $\pm 1\,\sigma$"))
        observed = np.array([found for _, (found, _) in known])
        handles += _contour(axes, surface, band[:, _MEDIAN], EXPECTED, "--", "expected")
        handles += _contour(axes, surface, observed, OBSERVED, "-", "observed")
    told = [(h, m) for h in grid.hypotheses if (m := grid.reference_margin(h)) is not None]
    if (surface := _Surface.of(grid, [h for h, _ in told])) is not None:
        levels = np.array([m for _, m in told])
        handles += _contour(axes, surface, levels, REFERENCE, ":", "observed, reference")
    handles += _points(axes, grid)
    axes.set_xlabel(plain(grid.axes[0]))
    axes.set_ylabel(plain(grid.axes[1]))
    _leave_room(axes, grid.coordinates())
    plain_numbers(axes, "both")
    legend(axes, handles)
    return figure


class _Surface:
    """Values at hypotheses, interpolated on a fine grid between them."""

    def __init__(self, places: Array) -> None:
        self._low = places.min(axis=0)
        self._size = np.ptp(places, axis=0)
        # in units of their ranges, or triangles would be slivers
        self._triangles = Triangulation(*((places - self._low) / self._size).T)
        x, y = (np.linspace(0, 1, STEPS) for _ in range(2))
        self._unit = np.meshgrid(x, y)

    @classmethod
    def of(cls, grid: Grid, hypotheses: list[Hypothesis]) -> _Surface | None:
        """None where they are too few, or on a line."""
        places = grid.coordinates(hypotheses)
        if len(places) < 3 or np.linalg.matrix_rank(places - places[0]) < 2:
            return None
        return cls(places)

    @property
    def mesh(self) -> tuple[Array, Array]:
        """Coordinates of the fine grid."""
        x, y = self._unit
        return self._low[0] + self._size[0] * x, self._low[1] + self._size[1] * y

    def fine(self, values: Array) -> Any:
        """Interpolated values, masked outside the hypotheses."""
        return LinearTriInterpolator(self._triangles, values)(*self._unit)


def _leave_room(axes: Axes, places: Array) -> None:
    """Around the hypotheses."""
    room = 0.04 * np.ptp(places, axis=0)
    axes.set_xlim(places[:, 0].min() - room[0], places[:, 0].max() + room[0])
    axes.set_ylim(places[:, 1].min() - room[1], places[:, 1].max() + room[1])


def _contour(
    axes: Axes, surface: _Surface, values: Array, colour: str, style: _Style, label: str
) -> list[Line2D]:
    """Where values are 0; nothing where all are on one side."""
    if not values.min() < 0 < values.max():
        return []
    fine = surface.fine(values)
    axes.contour(*surface.mesh, fine, levels=[0], colors=[colour], linestyles=[style])
    return [Line2D([], [], color=colour, linestyle=style, label=label)]


def _points(axes: Axes, grid: Grid) -> list[Line2D]:
    """The hypotheses themselves: excluded, not excluded, or without numbers."""
    found = [grid.margins(h) for h in grid.hypotheses]
    places = grid.coordinates()
    kinds: list[tuple[str, dict[str, Any], list[bool]]] = [
        ("excluded", {"marker": "o"}, [m is not None and m[0] > 0 for m in found]),
        (
            "not excluded",
            {"marker": "o", "markerfacecolor": "white"},
            [m is not None and m[0] <= 0 for m in found],
        ),
        ("no numbers", {"marker": "x"}, [m is None for m in found]),
    ]
    handles = []
    for label, look, mask in kinds:
        if any(mask):
            style = {
                "color": "#777777",
                "linestyle": "none",
                "markersize": 3.5,
                "zorder": 1,
                **look,
            }
            axes.plot(*places[mask].T, markeredgewidth=0.8, **style)
            handles.append(Line2D([], [], label=label, **style))
    return handles
