"""What moved between two runs, for people and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from fitspec.drift import Change, Drift, PartChange, Shift, Tolerance
from fitspec.errors import counted

SHOWN = 20
"""More rows of one kind are counted only."""


def drift_json(drift: Drift, old: str, new: str, tolerance: Tolerance) -> bytes:
    """All of it as indented JSON: flat lists, each a data frame."""
    content = {
        "schema": 1,
        "old": old,
        "new": new,
        **dataclasses.asdict(tolerance),
        "points": drift.points,
        "moved": drift.moved,
        "shifts": [dataclasses.asdict(shift) for shift in drift.shifts],
        "changes": [dataclasses.asdict(change) for change in drift.changes],
        "differences": [dataclasses.asdict(difference) for difference in drift.differences],
        "parts": [dataclasses.asdict(part) for part in drift.parts],
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def print_drift(console: Console, drift: Drift, *, everything: bool = False) -> None:
    """Causes first, then what moved, then one line that sums it up.

    Args:
        console: where to write.
        drift: what to tell.
        everything: every row, however many there are.
    """
    several = len({shift.spec for shift in drift.shifts}) > 1
    sections = {
        "different runs": _differences(drift),
        "changed inputs": _parts(drift.parts),
        "changed results": _changes(drift.changes),
        "moved numbers": _shifts(drift.shifts, full_names=several),
    }
    for title, rows in sections.items():
        if rows:
            console.print(Rule(title, characters="-", style="bold"))
            _print_rows(console, rows, everything=everything)
    console.print(Rule(_summary(drift), characters="=", style="red" if drift.moved else "green"))


Row = tuple[str, ...]


def _print_rows(console: Console, rows: list[Row], *, everything: bool) -> None:
    """At their full width: a number that is cut off says something else."""
    header, *body = rows
    shown = body if everything else body[:SHOWN]
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(header))
    for name in header:
        table.add_column(name, no_wrap=True)
    for row in shown:
        table.add_row(*map(Text, row))
    unlimited = console.options.update(max_width=10_000)
    table.width = console.measure(table, options=unlimited).maximum
    console.print(table, crop=False)
    if len(shown) < len(body):
        console.print(f"... and {len(body) - len(shown)} more; -v shows them, --json has them")


def _differences(drift: Drift) -> list[Row]:
    rows = [
        (d.spec or "", d.key, _setting(d.old), "->", _setting(d.new)) for d in drift.differences
    ]
    return [("",) * 5, *rows] if rows else []


def _setting(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= _LONG else f"{text[:12]}..."


_LONG = 60
"""Digests are longer, and nobody compares them by eye."""


def _parts(parts: Iterable[PartChange]) -> list[Row]:
    """The same change of several patches is one row."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for part in parts:
        where = f"workspace of {part.spec}" if part.id is None else part.id
        rows.setdefault((part.part, part.change, _events(part)), []).append(where)
    listed = [(*change, _and_more(where)) for change, where in rows.items()]
    return [("",) * 4, *listed] if listed else []


def _events(part: PartChange) -> str:
    if part.old_events is None and part.new_events is None:
        return ""
    old, new = _number(part.old_events), _number(part.new_events)
    return f"{new} events" if old == new else f"{old} -> {new} events"


def _and_more(names: list[str]) -> str:
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more


def _changes(changes: Iterable[Change]) -> list[Row]:
    rows = []
    for change in changes:
        if change.what in {"point", "quantity"}:
            name = "" if change.what == "point" else change.old or change.new or ""
            rows.append((change.id, name, "is new" if change.old is None else "is gone"))
        else:
            rows.append((change.id, change.what, f"{change.old} -> {change.new}"))
    return [("",) * 3, *rows] if rows else []


def _shifts(shifts: Iterable[Shift], *, full_names: bool) -> list[Row]:
    rows = [
        (
            f"{shift.spec}::{shift.id}" if full_names else shift.id,
            _quantity(shift),
            _number(shift.old),
            _number(shift.new),
            "" if shift.relative is None else f"{shift.relative:+.2g}",
            "" if shift.sigmas is None else f"{shift.sigmas:+.2g}",
            "" if shift.flipped is None else f"now {shift.flipped}",
        )
        for shift in _foremost(shifts)
    ]
    header = ("point", "quantity", "old", "new", "rel. diff.", "band sigmas", "")
    return [header, *rows] if rows else []


def _foremost(shifts: Iterable[Shift]) -> Iterator[Shift]:
    """Of a band, what matters most."""
    seen = set()
    for shift in shifts:
        identity = (shift.spec, shift.id, shift.quantity, shift.mu)
        if identity not in seen:
            seen.add(identity)
            yield shift


def _quantity(shift: Shift) -> str:
    sigma = "" if shift.sigma is None else f" ({shift.sigma:+d} sigma)"
    return f"{shift.quantity}{sigma}" + ("" if shift.mu is None else f" at mu = {shift.mu:g}")


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.5g}"


def _summary(drift: Drift) -> str:
    if not drift.moved:
        return f"{counted(drift.points, 'point')} compared, nothing moved"
    moved = len({(shift.spec, shift.id) for shift in drift.shifts})
    flipped = len({(flip.spec, flip.id) for flip in drift.flips})
    parts = [f"{counted(drift.points, 'point')} compared", f"{moved} moved"]
    parts += [f"exclusions of {flipped} flipped"] * bool(flipped)
    parts += [counted(len(drift.changes), "other change")] * bool(drift.changes)
    return ", ".join(parts)
