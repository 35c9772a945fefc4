"""CSV tables: what is a row, and which line a problem is in."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fitspec.errors import SourceError
from fitspec.sources import Row, inline_table, read_full_table, read_table, tables


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


@pytest.mark.parametrize("reader", [read_table, read_full_table])
def test_a_table_without_end_is_refused(reader, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tables, "MAX_BYTES", 1 << 20)
    table = tmp_path / "huge.csv"
    table.write_text("mass\n" + "1\n" * (1 << 20))
    with pytest.raises(SourceError, match=r"'huge\.csv' is larger than 1 MiB; split it"):
        reader(table)
    for endless in ("/dev/zero", tmp_path / "pipe"):
        if endless != "/dev/zero":
            os.mkfifo(endless)
        with pytest.raises(SourceError, match="is no regular file"):
            reader(Path(endless))


def test_a_full_table_knows_the_place_of_everything(tmp_path: Path) -> None:
    (tmp_path / "signal.csv").write_text("# ours\n\nm, SR\n100,1.5\n\n200,0\n")

    table = read_full_table(tmp_path / "signal.csv")

    assert (table.where, table.columns) == ("signal.csv:3", ["m", "SR"])
    assert table.rows == [
        ("signal.csv:4", {"m": "100", "SR": "1.5"}), ("signal.csv:6", {"m": "200", "SR": "0"})
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("m,SR\n100,1\n200,\n", "signal.csv:3: 'SR' is empty; write 0 for no events"),
        ("m,SR\n", "signal.csv:1: no row follows the header; give it one a hypothesis"),
        ("m,SR\n100\n", "signal.csv:2: 1 cells, but 2 columns; give every column a cell"),
    ],
    ids=["an empty cell", "no row", "a short row"],
)  # fmt: skip
def test_a_full_table_has_no_holes(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "signal.csv").write_text(text)
    with pytest.raises(SourceError) as caught:
        read_full_table(tmp_path / "signal.csv")
    assert str(caught.value) == problem


def test_tables_of_a_specification_are_rows(tmp_path: Path) -> None:
    table = inline_table([{"m": 100, "SR": 1.5}, {"SR": 0, "m": "low"}])
    assert (table.where, table.columns) == ("row 1", ["m", "SR"])
    assert table.rows == [("row 1", {"m": 100, "SR": 1.5}), ("row 2", {"SR": 0, "m": "low"})]

    with pytest.raises(SourceError) as caught:
        inline_table([{"m": 100, "SR": 1.5}, {"m": 200, "SRR": 1.5}])
    assert str(caught.value) == (
        "row 2: only one of it and row 1 has 'SR', 'SRR'; "
        "give all rows the same keys; 0 is no events"
    )
