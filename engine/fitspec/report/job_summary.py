"""The summary of a job of GitHub Actions, in Markdown: failures first, what passed folded away."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fitspec.outcome import Band
from fitspec.report.counts import counts
from fitspec.report.words import worst
from fitspec.results import STOPPED, CheckResult, PointResult, RunReport

MAX_BYTES = 1 << 20
"""That GitHub accepts of a step."""

_RESERVE = 1000
"""Bytes for what must stand after a table that was cut off."""

_SPECIAL = re.compile(r"[^\w ,.+-]|_|(?<=www)\.", re.IGNORECASE)
"""What Markdown, HTML or a link may be made of, in text of others."""


@dataclass(frozen=True, slots=True)
class _Table:
    """Rows under a title; a folded one opens at a click.

    Attributes:
        title: with the number of rows.
        columns: their names.
        rows: of cells that are Markdown.
        folded: closed at first.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    folded: bool = True


def to_markdown(report: RunReport, room: int = MAX_BYTES) -> str:
    """The report in Markdown.

    Args:
        report: of a run.
        room: bytes that it may take; tables are cut off, and say so.
    """
    env = report.environment
    lines = [
        f"## fitspec: {counts(report)}",
        "",
        f"fitspec {_text(env['fitspec'])}, backend {_text(env['backend'])}, "
        f"endpoint {_text(env['endpoint'])}, {report.seconds:.1f} s",
        "\n",
    ]
    text = "\n".join(lines)
    for table in _tables(report):
        if table.rows:
            text += _written(table, room - len(text.encode()) - _RESERVE)
    return text if len(text.encode()) <= room else ""


def _written(table: _Table, room: int) -> str:
    """As many rows as there is room for."""
    title = [f"### {table.title}"]
    if table.folded:
        title = ["<details>", f"<summary>{table.title}</summary>"]
    lines = [*title, "", _row(table.columns), _row(["---"] * len(table.columns))]
    used = sum(len(line.encode()) + 1 for line in lines)
    if used > room:
        return f"{table.title}: no room to list them\n\n" if room > 0 else ""
    for number, cells in enumerate(table.rows):
        row = _row(cells)
        used += len(row.encode()) + 1
        if used > room:
            lines += ["", f"... and {len(table.rows) - number} more"]
            break
        lines.append(row)
    lines += ["", "</details>"] if table.folded else []
    return "\n".join([*lines, "\n"])


def _tables(report: RunReport) -> Iterator[_Table]:
    def having(*outcomes: str) -> list[CheckResult]:
        return [check for check in report.checks if check.outcome in outcomes]

    compared = ("check", "expected", "found", "rel. diff.", "allowed", "source")
    failed = [_comparison(check) for check in having("failed", "unstable")]
    yield _Table("Failures", compared, failed, folded=False)
    errors = [(_code(p.node_id), p.outcome.error or "") for p in report.failed_points]
    errors = [(name, _text(why)) for name, why in errors if not why.startswith(STOPPED)]
    yield _Table("Points without numbers", ("point", "reason"), errors, folded=False)
    limits = [_limits(p) for p in report.points if p.outcome.upper_limit_obs is not None]
    names = ("point", "obs", "exp [-1, +1 sigma]", "obs in pb", "exp in pb [-1, +1 sigma]")
    yield _Table(f"Upper limits ({len(limits)})", names, limits)
    known = having("xfailed", "xpassed")
    yield _Table(
        f"Known differences ({len(known)})",
        ("check", "outcome", "reason"),
        [(_code(c.node_id), c.outcome, _text(c.reason or "")) for c in known],
    )
    passed = having("passed")
    yield _Table(f"Passed ({len(passed)})", compared, list(map(_comparison, passed)))
    tests = [row for point in report.points for row in _tests(point)]  # a scan has very many
    names = ("point", "mu", "CLs obs", "exp [-1, +1 sigma]", "")
    yield _Table(f"Hypothesis tests ({len(tests)})", names, tests)


def _comparison(check: CheckResult) -> Sequence[str]:
    """A row; of a band, the number that differs most."""
    at_mu = "" if check.mu is None else f" at mu = {check.mu:g}"
    numbers = [str(check.expected), str(check.actual), "", ""]
    if not isinstance(check.expected, bool):
        wanted, found = worst(check)
        difference = f"{abs(found - wanted) / abs(wanted):.2g}" if wanted else ""
        allowed = f"{check.rtol:g}" + (f" + {check.atol:g}" if check.atol else "")
        numbers = [f"{wanted:.7g}", f"{found:.7g}", difference, allowed]
    return [f"{_code(check.node_id)}{at_mu}", *numbers, _text(check.source or "")]


def _limits(point: PointResult) -> Sequence[str]:
    found = point.outcome
    row = [_code(point.node_id), *_with_band(found.upper_limit_obs, found.upper_limit_exp)]
    return row + _with_band(point.upper_limit_xsec_obs, point.upper_limit_xsec_exp)


def _tests(point: PointResult) -> Iterator[Sequence[str]]:
    for test in point.outcome.tests:
        excluded = "excluded" if test.excluded() else ""
        numbers = _with_band(test.CLs_obs, test.CLs_exp)
        yield [_code(point.node_id), f"{test.mu:g}", *numbers, excluded]


def _with_band(observed: float | None, expected: Band | None) -> list[str]:
    if observed is None or expected is None:
        return ["", ""]
    low, median, high = expected[1:4]
    return [f"{observed:.4g}", f"{median:.4g} [{low:.4g}, {high:.4g}]"]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>"


def _text(text: str) -> str:
    """Text that is nothing but text: what means something in Markdown and HTML, as an entity."""
    line = " ".join(text.split())
    return _SPECIAL.sub(_entity, line)


def _entity(found: re.Match[str]) -> str:
    char = found.group()
    return f"&#{ord(char)};" if char.isprintable() else "\ufffd"
