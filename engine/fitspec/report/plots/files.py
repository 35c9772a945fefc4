"""Plots as files: which there are, and what they are called."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Iterable, Iterator
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

LONGEST = 120
"""Bytes of a file's name, without its kind and number."""

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
    import matplotlib as mpl
    import mplhep

    style = dict(mplhep.style.ATLAS)
    style["font.sans-serif"] = [*style["font.sans-serif"], "DejaVu Sans"]
    files: dict[str, bytes] = {}
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()  # what users set for their own plots is not for these
        mpl.rcParams.update({**style, "axes.autolimit_mode": "data"})
        warnings.filterwarnings("ignore", "Glyph")  # of a letter that no font has
        for title, kind, figure in _figures(report):
            name = _file_name(title, kind, files)
            for suffix in FORMATS:
                files[f"{name}.{suffix}"] = _saved(figure, suffix)
    return files


def _figures(report: RunReport) -> Iterator[tuple[str, str, Figure]]:
    """Title, kind and figure of each plot."""
    from fitspec.report.plots.curves import line, scan
    from fitspec.report.plots.fits import pulls
    from fitspec.report.plots.grids import grids
    from fitspec.report.plots.planes import plane

    for grid in grids(report):
        figure = plane(grid) if len(grid.axes) == 2 else line(grid)
        if figure is not None:
            yield " ".join((grid.analysis, *grid.words)), "exclusion", figure
    specs = {spec.path: spec for spec in report.specs}
    for point in report.points:
        spec = specs[point.spec]
        title = f"{spec.analysis} {point.id}"
        if len(point.outcome.tests) >= SCAN:
            yield title, "CLs", scan(spec.analysis, point, spec.confidence)
        if (fit := point.outcome.fit) is not None and (figure := pulls(spec.analysis, point, fit)):
            yield title, "pulls", figure


def _file_name(title: str, kind: str, taken: Iterable[str]) -> str:
    """What any file system takes, whatever the specification calls things."""
    name = re.sub(r"\s*([=-])\s*", r"\1", title)
    name = re.sub(r"[^\w.+=]+", "-", name).strip("-.")
    if len(name.encode()) > LONGEST:  # its end may be what tells it from others
        name = f"{name[: LONGEST // 4]}-{hashlib.sha256(title.encode()).hexdigest()[:12]}"
    known = {other.casefold() for other in taken}
    numbered, count = f"{name}-{kind}", 1
    while f"{numbered}.{FORMATS[0]}".casefold() in known:
        count += 1
        numbered = f"{name}-{kind}-{count}"
    return numbered


def _saved(figure: Figure, suffix: str) -> bytes:
    content = io.BytesIO()
    # without the time: the same plot is the same file
    metadata = {"CreationDate": None} if suffix == "pdf" else {}
    figure.savefig(content, format=suffix, dpi=150, metadata=metadata, bbox_inches="tight")
    return content.getvalue()
