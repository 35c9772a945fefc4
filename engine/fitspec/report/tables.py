"""Tables as all reports have them: no lines, a bold header, numbers to the right."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text


def plain_table(*columns: str, text: int = 1) -> Table:
    """An empty table.

    Args:
        columns: their headers.
        text: how many of them hold text, and stand to the left; the others hold numbers.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(Text(column), justify="left" if index < text else "right", no_wrap=True)
    return table


def add_row(table: Table, *cells: str) -> None:
    """A row of plain text, whatever brackets are in it."""
    table.add_row(*(Text(_visible(cell)) for cell in cells))


def print_table(console: Console, table: Table) -> None:
    """At its full width: a number that is cut off says something else."""
    unlimited = console.options.update(max_width=10_000)
    table.width = console.measure(table, options=unlimited).maximum
    console.print(table, crop=False)


def print_line(console: Console, text: str, style: str = "") -> None:
    """A line as it is; the terminal may wrap it."""
    lines = "\n".join(map(_visible, text.split("\n")))
    console.print(Text(lines, style=style), soft_wrap=True)


def _visible(text: str) -> str:
    """Names are a stranger's: what would steer the terminal is written out."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
