"""Plots as files: which there are, and what they are called."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from fitspec.errors import MissingExtraError
from fitspec.files import write_file
from fitspec.results import RunReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("pdf", "png")
"""Each plot is drawn in all of them: for papers, and for screens."""

SCAN = 3
"""So many tests of one hypothesis are a curve."""


def require_plots() -> None:
    """Raise :class:`MissingExtraError` where nothing can be drawn."""
    for module in ("matplotlib", "mplhep"):
        if find_spec(module) is None:
            raise MissingExtraError(module, "plot")


def write_plots(report: RunReport, folder: Path) -> list[Path]:
    """Draw all that a run has for it, into a folder, which is made.

    Args:
        report: of the run.
        folder: where; files of the same names are replaced.

    Returns:
        the files.

    Raises:
        MissingExtraError: matplotlib or mplhep is not installed.
    """
    written = []
    for name, content in drawn(report).items():
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / name, content)
        written.append(folder / name)
    return written


def drawn(report: RunReport) -> dict[str, bytes]:
    """All plots by file name; the same report gives the same bytes.

    Raises:
        MissingExtraError: matplotlib or mplhep is not installed.
    """
    require_plots()
    import mplhep
    from matplotlib import rc_context

    files: dict[str, bytes] = {}
    with rc_context({**mplhep.style.ATLAS, "axes.autolimit_mode": "data"}):
        for title, figure in _figures(report):
            name = _file_name(title, files)
            for suffix in FORMATS:
                files[f"{name}.{suffix}"] = _saved(figure, suffix)
    return files


def _figures(report: RunReport) -> Iterator[tuple[str, Figure]]:
    """Title and figure of each plot."""
    from fitspec.report.plots.curves import line, scan
    from fitspec.report.plots.fits import pulls
    from fitspec.report.plots.grids import grids
    from fitspec.report.plots.planes import plane

    for grid in grids(report):
        figure = plane(grid) if len(grid.axes) == 2 else line(grid)
        if figure is not None:
            yield " ".join((grid.analysis, *grid.words, "exclusion")), figure
    analyses = {spec.path: spec.analysis for spec in report.specs}
    for point in report.points:
        analysis = analyses[point.spec]
        if len(point.outcome.tests) >= SCAN:
            yield f"{analysis} {point.id} CLs", scan(analysis, point)
        if (fit := point.outcome.fit) is not None and (figure := pulls(analysis, point, fit)):
            yield f"{analysis} {point.id} pulls", figure


def _file_name(title: str, taken: dict[str, bytes]) -> str:
    """What any file system takes, whatever the specification calls things."""
    name = re.sub(r"\s*([=-])\s*", r"\1", title)
    name = re.sub(r"[^A-Za-z0-9.+=_]+", "-", name).strip("-.")[:120] or "plot"
    numbered, count = name, 1
    while f"{numbered}.{FORMATS[0]}" in taken:
        count += 1
        numbered = f"{name}-{count}"
    return numbered


def _saved(figure: Figure, suffix: str) -> bytes:
    content = io.BytesIO()
    # without the time: the same plot is the same file
    metadata = {"CreationDate": None} if suffix == "pdf" else {}
    figure.savefig(content, format=suffix, metadata=metadata, bbox_inches="tight")
    return content.getvalue()
