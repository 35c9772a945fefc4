"""What all plots have in common: a figure, its words, and the colours of a band."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

ONE_SIGMA, TWO_SIGMA = "#85d1fb", "#fff6a1"
OBSERVED, PUBLISHED, EXPECTED = "black", "#d55e00", "black"
GUIDE = "#cc3311"
"""Of the line at which a hypothesis is just excluded."""


def canvas(analysis: str, words: Sequence[str]) -> tuple[Figure, Axes]:
    """An empty plot with the analysis above it, and under that what it shows."""
    figure = Figure(figsize=(7.0, 5.6))
    axes = figure.add_subplot()
    figure.suptitle(plain(analysis), x=0.16, y=1.0, ha="left", fontsize=14, fontweight="bold")
    axes.set_title(plain(", ".join(words)), loc="left", fontsize=11)
    return figure, axes


def plain(text: str) -> str:
    """Text as it is: a dollar sign begins no formula."""
    return text.replace("$", r"\$")


def legend(axes: Axes) -> None:
    """The legend, where there is anything to tell, in the emptiest corner."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", fontsize=10, frameon=True, framealpha=0.9, edgecolor="none")
