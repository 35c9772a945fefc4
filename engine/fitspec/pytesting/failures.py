"""Failures as pytest shows them: a few words and a table, and no traceback."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from fitspec.report.comparison import comparison
from fitspec.results import NOT_COMPUTED, CheckResult, PointResult, as_band

_OPTION = re.compile(r"(?<!\S)--(endpoint|mirror|offline)\b")
"""What errors call the options of `fitspec run`."""


class _Told(pytest.fail.Exception):  # type: ignore[misc, name-defined]  # a class in a variable
    """A failure that its text tells in full."""

    def __init__(self, text: str) -> None:
        super().__init__(_OPTION.sub(r"--fitspec-\1", text), pytrace=False)


class Differs(_Told):
    """A number is not the expected one."""


class NoNumbers(_Told):
    """A point has none, for a reason of its own."""


class NotComputed(_Told):
    """The run did not come to this point, or could not begin; no ``xfail`` expects that."""


class Invalid(_Told):
    """A specification, or what it names, is not as it should be."""


for _kind in (Differs, NoNumbers, NotComputed, Invalid):
    _kind.__module__ = "builtins"  # in summaries, a class of this module has no prefix


def require_numbers(point: PointResult) -> None:
    """Raise where a point has none."""
    if point.outcome.status == "error":
        reason = point.outcome.error or ""
        raise _missing(reason)(reason)


def require_agreement(check: CheckResult) -> None:
    """Raise where a check does not hold, be it expected or not: pytest knows that by a marker."""
    if check.outcome not in {"passed", "xpassed"}:
        kind = Differs if check.actual is not None else _missing(check.reason or "")
        raise kind(told(check))


def _missing(reason: str) -> type[NoNumbers | NotComputed]:
    return NotComputed if reason.startswith(NOT_COMPUTED) else NoNumbers


def told(check: CheckResult) -> str:
    """A check that does not hold: what was expected and found, by how much, and who says so."""
    at_mu = "" if check.mu is None else f" at mu = {check.mu:g}"
    what = f"{check.quantity}{at_mu}"
    if check.actual is None:
        return f"{what}: {check.reason}"
    lines = [f"{what}: {_headline(check)}", *_table(check)]
    if check.source:
        lines.append(f"  source: {check.source}")
    return "\n".join(lines)


def _headline(check: CheckResult) -> str:
    """The number that differs most, of a band."""
    if check.actual is None or check.expected is None or isinstance(check.expected, bool):
        return f"expected {check.expected}, found {check.actual}"
    pairs = zip(as_band(check.actual), as_band(check.expected), strict=True)
    known = [(found, wanted) for found, wanted in pairs if found is not None and wanted is not None]
    found, wanted = max(known, key=lambda pair: _excess(check, *pair))
    return f"expected {wanted:.7g}, found {found:.7g}"


def _excess(check: CheckResult, found: float, wanted: float) -> float:
    """Difference over tolerance."""
    return abs(found - wanted) / ((check.atol + check.rtol * abs(wanted)) or 1e-300)


def _table(check: CheckResult) -> list[str]:
    text = io.StringIO()
    Console(file=text, width=200, color_system=None).print(comparison(check))
    return [line.rstrip() for line in text.getvalue().splitlines()]
