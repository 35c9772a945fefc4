"""CSV tables: published numbers with their source in comment lines."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fitspec.errors import SourceError
from fitspec.results import Label

MAX_BYTES = 1 << 26
"""Of a table; more is taken for a mistake."""

Numbered = tuple[int, list[str]]
"""Cells of a line, and its 1-based number in the file."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its 1-based line in the file and its cells by column; empty cells are left out."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class FullTable:
    """A table with a cell in every column of every row.

    Attributes:
        where: place of its header, for messages.
        columns: their names.
        rows: of each, its place and its cells by column.
    """

    where: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Mapping[str, Label]]]


def read_table(path: Path) -> list[Row]:
    """Rows of a CSV file with a header line; lines that start with ``#`` are comments.

    Raises:
        SourceError: it cannot be read, two columns share a name, or a row has more or fewer cells
            than the header.
    """
    (_, header), rows = _header_and_rows(path)
    return [
        Row(number, {k: v for k, v in zip(header, cells, strict=True) if v})
        for number, cells in rows
    ]


def read_full_table(path: Path) -> FullTable:
    """A CSV file as :func:`read_table` reads it, none of whose cells may be empty.

    Raises:
        SourceError: as for :func:`read_table`; or a cell is empty, or there is no row.
    """
    (number, header), rows = _header_and_rows(path)
    for row, cells in rows:
        if not all(cells):
            column = header[cells.index("")]
            raise SourceError(f"{path.name}:{row}: {column!r} is empty", "write 0 for no events")
    where = f"{path.name}:{number}"
    if not rows:
        raise SourceError(f"{where}: no row follows the header", "give it one a hypothesis")
    placed = [(f"{path.name}:{row}", dict(zip(header, cells, strict=True))) for row, cells in rows]
    return FullTable(where, header, placed)


def inline_table(rows: Sequence[Mapping[str, Label]]) -> FullTable:
    """The same of tables in a specification, whose keys are the columns.

    Raises:
        SourceError: a row has other columns than the first.
    """
    for number, row in enumerate(rows, 1):
        if odd := sorted(row.keys() ^ rows[0].keys()):
            problem = f"row {number}: only one of it and row 1 has {', '.join(map(repr, odd))}"
            raise SourceError(problem, "give all rows the same keys; 0 is no events")
    placed = [(f"row {number}", row) for number, row in enumerate(rows, 1)]
    return FullTable("row 1", list(rows[0]), placed)


def _header_and_rows(path: Path) -> tuple[Numbered, list[Numbered]]:
    lines = _text(path).splitlines()
    numbered = [(i, line) for i, line in enumerate(lines, 1) if line.strip() and line[0] != "#"]
    if not numbered:
        raise SourceError(f"table {path.name!r} is empty", "its first line names the columns")
    header = _cells(path.name, *numbered[0])
    for column, count in Counter(filter(None, header)).items():
        if count > 1:
            raise SourceError(f"{path.name}:{numbered[0][0]}: two columns are called {column!r}")
    rows = []
    for number, line in numbered[1:]:
        cells = _cells(path.name, number, line)
        if len(cells) != len(header):
            problem = f"{path.name}:{number}: {len(cells)} cells, but {len(header)} columns"
            raise SourceError(problem, "give every column a cell")
        rows.append((number, cells))
    return (numbered[0][0], header), rows


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # it might never end
            raise SourceError(f"table {path.name!r} is no regular file", "check the path")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise SourceError(
                f"table {path.name!r} is larger than {MAX_BYTES >> 20} MiB", "split it"
            )
        return content.decode("utf-8-sig")  # Excel writes a BOM
    except OSError as error:
        raise SourceError(f"table {path.name!r}: {error.strerror}", "check the path") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"table {path.name!r} is not UTF-8 text", "save it as UTF-8") from error


def _cells(table: str, number: int, line: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line]))]
    except csv.Error as error:
        raise SourceError(f"{table}:{number}: {error}", "it is no CSV table") from error
