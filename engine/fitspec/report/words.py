"""A check that does not hold, in plain text: one line, or a line and a table."""

from __future__ import annotations

import io

from rich.console import Console

from fitspec.report.comparison import comparison
from fitspec.results import CheckResult, as_band


def headline(check: CheckResult) -> str:
    """``CLs_obs at mu = 1: expected 0.25, found 0.24444``; of a band, what differs most."""
    at_mu = "" if check.mu is None else f" at mu = {check.mu:g}"
    return f"{check.quantity}{at_mu}: {_difference(check)}"


def story(check: CheckResult) -> str:
    """The headline, expected and found numbers in a table, and where the expected ones are from."""
    lines = [headline(check)]
    if check.actual is not None and check.expected is not None:
        lines += _table(check)
    if check.source:
        lines.append(f"  source: {check.source}")
    if check.outcome == "unstable" and check.reason:
        lines.append(f"  {check.reason}")
    return "\n".join(lines)


def worst(check: CheckResult) -> tuple[float, float]:
    """Expected and found number; of a band, those that differ most, by what is allowed.

    Args:
        check: one that has both.
    """
    bands = (as_band(value) for value in (check.expected, check.actual) if value is not None)
    pairs = [(e, a) for e, a in zip(*bands, strict=True) if e is not None and a is not None]

    def excess(pair: tuple[float, float]) -> float:
        expected, actual = pair
        return abs(actual - expected) / ((check.atol + check.rtol * abs(expected)) or 1e-300)

    return max(pairs, key=excess)


def _difference(check: CheckResult) -> str:
    if check.actual is None:
        return check.reason or "no value"
    if check.expected is None or isinstance(check.expected, bool):
        return f"expected {check.expected}, found {check.actual}"
    wanted, found = worst(check)
    return f"expected {wanted:.7g}, found {found:.7g}"


def _table(check: CheckResult) -> list[str]:
    text = io.StringIO()
    Console(file=text, width=200, color_system=None).print(comparison(check))
    return [line.rstrip() for line in text.getvalue().splitlines()]
