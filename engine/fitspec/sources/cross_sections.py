"""Theory cross-sections as a function of one label, from CSV tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fitspec.errors import SourceError, nearest
from fitspec.sources.pattern import label_value
from fitspec.sources.tables import Row, read_table

COLUMN = "xsec_pb"
"""Column of the cross-sections."""


@dataclass(frozen=True, slots=True)
class CrossSections:
    """A table of cross-sections.

    Attributes:
        name: of its file, for messages.
        labels: (n,) values of the label, positive and ascending.
        xsec_pb: (n,) cross-sections in pb, positive.
    """

    name: str
    labels: Sequence[float]
    xsec_pb: Sequence[float]

    def at(self, label: float) -> float | None:
        """The cross-section in pb; None outside the table, which is never extrapolated.

        Interpolated in the logarithms of both: between two rows it is a power of the label. The
        published tables fall over so many decades, in steps so wide at their low end, that this is
        up to four times closer to a row that is left out than a straight line in the label is.
        """
        import numpy as np

        if not self.labels[0] <= label <= self.labels[-1]:
            return None
        return float(np.exp(np.interp(np.log(label), np.log(self.labels), np.log(self.xsec_pb))))


def read_cross_sections(path: Path, label: str) -> CrossSections:
    """The cross-sections of a CSV file with the columns ``label`` and ``xsec_pb``.

    Raises:
        SourceError: naming file and line: it cannot be read, lacks a column or a cell, has one
            that is no positive number, or labels that do not ascend.
    """
    rows = read_table(path)
    columns = list(dict.fromkeys(column for row in rows for column in row.cells))
    if not rows:
        raise SourceError(f"table {path.name!r} has no rows", f"give it {label} and {COLUMN}")
    for column in (label, COLUMN):
        if column not in columns:
            remedy = nearest(column, columns) or f"its columns are {', '.join(columns)}"
            raise SourceError(f"table {path.name!r} has no column {column!r}", remedy)
    labels = [_positive(path.name, row, label) for row in rows]
    for row, before, value in zip(rows[1:], labels, labels[1:], strict=False):
        if value <= before:
            problem = f"{path.name}:{row.line}: {label} = {value:g} comes after {before:g}"
            raise SourceError(problem, "sort the rows, and give each label once")
    return CrossSections(path.name, labels, [_positive(path.name, row, COLUMN) for row in rows])


def _positive(table: str, row: Row, column: str) -> float:
    cell = row.cells.get(column, "")
    value = label_value(cell)
    if isinstance(value, str) or value <= 0:
        problem = f"{table}:{row.line}: {column} = {cell!r} is no positive number"
        raise SourceError(problem, "correct the row")
    return float(value)
