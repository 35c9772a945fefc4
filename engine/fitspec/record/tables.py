"""Recorded values as a CSV table: one row for what shares point, POI value and tolerances."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from fitspec.collect.expectations import AT_MU, BAND_SUFFIXES, TOLERANCES
from fitspec.errors import SourceError
from fitspec.outcome import Band
from fitspec.record.blocks import grouped
from fitspec.record.measured import Measured
from fitspec.sources import Row, read_table
from fitspec.spec.expect import BANDS, QUANTITIES


def table_text(found: Iterable[Measured], comment: str, *, several: bool) -> str:
    """A table of recorded values.

    Args:
        found: the values.
        comment: its first lines, each with a leading ``#``.
        several: more than one POI value is tested.
    """
    rows = []
    for (point, mu, rtol, atol), members in grouped(found, several=several).items():
        row = {"point": point} | ({} if mu is None else {"mu": _text(mu)})
        for m in members:
            row |= _cells(m)
        rows.append(row | {"rtol": _text(rtol), "atol": _text(atol)})
    used = {column for row in rows for column in row}
    columns = [column for column in _COLUMNS if column in used]
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return comment + out.getvalue()


def read_recorded(path: Path, tested: Iterable[float]) -> tuple[str, list[Measured]]:
    """What :func:`table_text` wrote: its comment, and its values.

    Args:
        path: of the table.
        tested: POI values; where there is but one, rows do not name it.

    Raises:
        SourceError: it cannot be read, or is none that was recorded.
    """
    rows = read_table(path)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    first = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    only = list(tested)
    default = only[0] if len(only) == 1 else None
    try:
        found = [m for row in rows for m in _values(row, default)]
    except (KeyError, ValueError) as error:
        problem = f"table {path.name!r} is not as it was recorded"
        raise SourceError(problem, "record into another one") from error
    return "".join(lines[:first]), found


def _cells(m: Measured) -> dict[str, str]:
    if isinstance(m.value, tuple):
        pairs = zip(BAND_SUFFIXES, m.value, strict=True)
        return {f"{m.quantity}_{suffix}": _text(value) for suffix, value in pairs}
    return {m.quantity: str(m.value).lower() if isinstance(m.value, bool) else _text(m.value)}


def _text(number: float) -> str:
    return repr(float(number)).removesuffix(".0")


_COLUMNS = [
    "point",
    "mu",
    *(
        column
        for quantity in QUANTITIES
        for column in (
            [f"{quantity}_{suffix}" for suffix in BAND_SUFFIXES]
            if quantity in BANDS
            else [quantity]
        )
    ),
    *TOLERANCES,
]
"""In this order."""


def _values(row: Row, default: float | None) -> Iterable[Measured]:
    cells = row.cells
    rtol, atol = (float(cells[name]) for name in TOLERANCES)
    mu = float(cells["mu"]) if "mu" in cells else default
    for quantity in QUANTITIES:
        value = _band(cells, quantity) if quantity in BANDS else _scalar(cells, quantity)
        if value is not None:
            at = mu if quantity in AT_MU else None
            yield Measured(cells["point"], quantity, at, value, rtol, atol)


def _scalar(cells: Mapping[str, str], quantity: str) -> float | bool | None:
    if quantity not in cells:
        return None
    return cells[quantity] == "true" if quantity == "excluded" else float(cells[quantity])


def _band(cells: Mapping[str, str], band: str) -> Band | None:
    if f"{band}_0" not in cells:
        return None
    m2, m1, median, p1, p2 = (float(cells[f"{band}_{suffix}"]) for suffix in BAND_SUFFIXES)
    return m2, m1, median, p1, p2
