"""What all plots have in common: a figure, its words, and the colours of a band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

ONE_SIGMA, TWO_SIGMA = "#85d1fb", "#fff6a1"
OBSERVED, REFERENCE, EXPECTED = "black", "#d55e00", "black"
GUIDE = "#cc3311"
"""Of the line at which a hypothesis is just excluded."""


LONGEST = 80
"""Letters of a title."""


def canvas(analysis: str, words: Sequence[str]) -> tuple[Figure, Axes]:
    """An empty plot with the analysis above it, and under that what it shows."""
    figure = Figure(figsize=(7.0, 5.6))
    axes = figure.add_subplot()
    figure.suptitle(heading(analysis), x=0.16, y=1.0, ha="left", fontsize=14, weight="bold")
    axes.set_title(heading(", ".join(words)), loc="left", fontsize=11)
    return figure, axes


def plain(text: str) -> str:
    """Text as it is: a dollar sign begins no formula."""
    return text.replace("$", r"\$")


def heading(text: str) -> str:
    """Plain text that does not make the picture wider."""
    return plain(text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}...")


def plain_numbers(axes: Axes, which: Literal["x", "y", "both"]) -> None:
    """No powers of ten beside the axis, where they run into its label."""
    axes.ticklabel_format(axis=which, useOffset=False, scilimits=(-6, 9))


def legend(axes: Axes, handles: Sequence[Any] | None = None) -> None:
    """The legend, beside the plot: inside it would hide a part of the band."""
    found = axes.get_legend_handles_labels()[0] if handles is None else handles
    axes.legend(handles=found, fontsize=10, loc="upper left", bbox_to_anchor=(1.0, 1.0))
