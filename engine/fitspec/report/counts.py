"""A run in one line."""

from __future__ import annotations

from fitspec.errors import counted
from fitspec.results import CheckOutcome, RunReport


def counts(report: RunReport) -> str:
    """``2 points fitted (1 from the store), 1 failed, 2 passed, 4 deselected``."""
    outcomes: tuple[CheckOutcome, ...] = ("failed", "unstable", "passed", "xfailed", "xpassed")
    parts = [f"{n} {outcome}" for outcome in outcomes if (n := report.count(outcome))]
    not_computed = report.not_computed
    errors = len(report.failed_points) - not_computed
    parts += [counted(errors, "error")] if errors else []
    parts += [f"{not_computed} not computed"] if not_computed else []
    parts += [f"{report.deselected} deselected"] if report.deselected else []
    cached = sum(point.cached for point in report.points)
    done = sum(point.outcome.status == "ok" for point in report.points)
    fitted = f"{counted(done, 'point')} fitted" + (f" ({cached} from the store)" if cached else "")
    text = ", ".join([fitted, *parts])
    return f"interrupted: {text}" if report.interrupted else text
