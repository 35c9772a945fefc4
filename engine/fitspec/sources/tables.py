"""CSV tables: published numbers with their source in comment lines."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from fitspec.errors import SourceError


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its 1-based line in the file and its cells by column; empty cells are left out."""

    line: int
    cells: dict[str, str]


def read_table(path: Path) -> list[Row]:
    """Rows of a CSV file with a header line; lines that start with ``#`` are comments.

    Raises:
        SourceError: it cannot be read, two columns share a name, or a row has more or fewer cells
            than the header.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # Excel writes a BOM
    except OSError as error:
        raise SourceError(f"table {path.name!r}: {error.strerror}", "check the path") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"table {path.name!r} is not UTF-8 text", "save it as UTF-8") from error
    numbered = [(i, line) for i, line in enumerate(lines, 1) if line.strip() and line[0] != "#"]
    if not numbered:
        raise SourceError(f"table {path.name!r} is empty", "its first line names the columns")
    header = _cells(path.name, *numbered[0])
    for column in filter(None, header):
        if header.count(column) > 1:
            raise SourceError(f"{path.name}:{numbered[0][0]}: two columns are called {column!r}")
    rows = []
    for number, line in numbered[1:]:
        cells = _cells(path.name, number, line)
        if len(cells) != len(header):
            problem = f"{path.name}:{number}: {len(cells)} cells, but {len(header)} columns"
            raise SourceError(problem, "give every column a cell; it may be empty")
        rows.append(Row(number, {k: v for k, v in zip(header, cells, strict=True) if v}))
    return rows


def _cells(table: str, number: int, line: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line]))]
    except csv.Error as error:
        raise SourceError(f"{table}:{number}: {error}", "it is no CSV table") from error
