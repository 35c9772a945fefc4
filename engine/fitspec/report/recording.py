"""What would change in a specification's expectations, and what is left as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fitspec.inference.asymptotics import SIGMAS
from fitspec.record import Recording, Replacement
from fitspec.results import as_band

Row = tuple[str, str, str, str, str]


def print_replacements(console: Console, replacements: Iterable[Replacement]) -> None:
    """A row for every number that would change, and where the old one came from."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("expectation", "expected", "measured", "rel. diff.", "source"):
        table.add_column(column, justify="left" if column in _TEXT else "right", no_wrap=True)
    for replacement in replacements:
        for row in _rows(replacement):
            table.add_row(*map(Text, row))
    unlimited = console.options.update(max_width=10_000)
    table.width = console.measure(table, options=unlimited).maximum
    console.print(table, crop=False)


_TEXT = ("expectation", "source")


def print_obstacles(console: Console, recording: Recording) -> None:
    """Points without numbers, and checks that fail and are not recorded's to change."""
    for point in recording.failed:
        console.print(f"not recorded: {point.node_id}: {point.outcome.error}", markup=False)
    for check in recording.left:
        console.print(
            f"fails, and is left as it is: {check.node_id}: "
            f"expected by {check.source or 'a table, or a block of several points'}",
            markup=False,
        )


def _rows(replacement: Replacement) -> Iterator[Row]:
    old, new = replacement.old, replacement.new
    name = f"{old.target.id}::{old.quantity}" + ("" if old.mu is None else f" at mu = {old.mu:g}")
    source = old.source or ""
    if isinstance(old.value, bool) or isinstance(new.value, bool):
        yield name, str(old.value).lower(), str(new.value).lower(), "", source
        return
    expected, measured = as_band(old.value), as_band(new.value)
    sigmas = [f" ({sigma:+d} sigma)" for sigma in SIGMAS] if len(measured) > 1 else [""]
    for sigma, before, after in zip(sigmas, expected, measured, strict=True):
        if before is not None and after is not None:
            relative = f"{(after - before) / abs(before):+.2g}" if before else ""
            yield f"{name}{sigma}", f"{before:.7g}", f"{after:.7g}", relative, source
