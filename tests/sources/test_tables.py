"""CSV tables: what is a row, and which line a problem is in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fitspec.errors import SourceError
from fitspec.sources import Row, read_table


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str | bytes], list[Row]]:
    """The rows of a table of this text."""

    def rows(text: str | bytes) -> list[Row]:
        path = tmp_path / "limits.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_table(path)

    return rows


Read = Callable[[str | bytes], list[Row]]


def test_a_row_has_its_line_and_its_cells_by_column(read: Read) -> None:
    assert read("m,limit\n100,0.5\n200,0.25\n") == [
        Row(2, {"m": "100", "limit": "0.5"}),
        Row(3, {"m": "200", "limit": "0.25"}),
    ]


def test_comments_and_blank_lines_are_counted_but_are_no_rows(read: Read) -> None:
    text = "# from HEPData\n\nm,limit\n# a comment, with a comma\n100,0.5\n   \n200,0.25"
    assert [row.line for row in read(text)] == [5, 7]


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        pytest.param("100,", {"m": "100"}, id="empty"),
        pytest.param("100,  ", {"m": "100"}, id="blank"),
        pytest.param(",", {}, id="all empty"),
        pytest.param(" 100 ,\t0.5 ", {"m": "100", "limit": "0.5"}, id="blanks around"),
        pytest.param('"x, y",0.5', {"m": "x, y", "limit": "0.5"}, id="quoted comma"),
        pytest.param("größe,0", {"m": "größe", "limit": "0"}, id="beyond ASCII"),
        pytest.param("1#2,#3", {"m": "1#2", "limit": "#3"}, id="a # inside is no comment"),
    ],
)
def test_cells_are_stripped_and_empty_ones_left_out(
    line: str, cells: dict[str, str], read: Read
) -> None:
    assert read(f"m,limit\n{line}\n") == [Row(2, cells)]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(" m , limit \n100,0.5\n", id="blanks in the header"),
        pytest.param("m,limit\r\n100,0.5\r\n", id="Windows line ends"),
        pytest.param("\ufeffm,limit\n100,0.5\n", id="byte order mark of a spreadsheet"),
    ],
)
def test_how_a_program_writes_a_table_does_not_matter(text: str, read: Read) -> None:
    assert read(text) == [Row(2, {"m": "100", "limit": "0.5"})]


def test_a_header_alone_is_a_table_without_rows(read: Read) -> None:
    assert read("m,limit\n") == []


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        pytest.param("100", 1, id="too few"),
        pytest.param("100,0.5,", 3, id="too many"),
        pytest.param('"100,0.5', 1, id="open quote"),
    ],
)
def test_a_row_of_another_length_is_refused_with_its_line(
    line: str, cells: int, read: Read
) -> None:
    with pytest.raises(SourceError, match=rf"limits\.csv:4: {cells} cells, but 2 columns"):
        read(f"# comment\nm,limit\n1,2\n{line}\n")


def test_two_columns_of_one_name_are_refused(read: Read) -> None:
    with pytest.raises(SourceError, match=r"limits\.csv:2: two columns are called 'm'"):
        read("# comment\nm,limit,m\n1,2,3\n")


@pytest.mark.parametrize("text", ["", "\n  \n", "# only\n# comments\n"], ids=repr)
def test_an_empty_table_is_refused(text: str, read: Read) -> None:
    with pytest.raises(SourceError, match=r"'limits\.csv' is empty"):
        read(text)


@pytest.mark.parametrize(
    "content", [b"m,limit\n\xff,1\n", b"\x1f\x8b\x08\x00"], ids=["Latin-1", "gzip"]
)
def test_a_table_that_is_no_text_is_refused(content: bytes, read: Read) -> None:
    with pytest.raises(SourceError, match=r"'limits\.csv' is not UTF-8 text"):
        read(content)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("absent.csv", r"table 'absent\.csv': No such file"),
        ("absent/limits.csv", r"table 'limits\.csv': No such file"),
        (".", "Is a directory"),
    ],
)
def test_a_table_that_is_no_file_is_refused(name: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=problem):
        read_table(tmp_path / name)


@pytest.mark.data
def test_the_published_tables_are_read(mirror: Path) -> None:
    tables = sorted((mirror / "published").glob("*.csv"))
    assert tables
    for path in tables:
        rows = read_table(path)
        assert rows
        assert all(row.cells for row in rows)


def test_a_monstrous_cell_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "huge.csv"
    table.write_text("mass,limit\n" + "1" * 200_000 + ",2\n")
    with pytest.raises(SourceError, match=r"^huge\.csv:2: field larger than field limit"):
        read_table(table)
