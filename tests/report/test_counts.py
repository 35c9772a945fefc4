"""A run in one line."""

from __future__ import annotations

from reports import check, failed, point, report

from fitspec.report.counts import counts


def test_everything_is_counted_once():
    outcomes = ("failed", "unstable", "passed", "xfailed", "xpassed")
    checks = tuple(check(outcome, f"p{number}") for number, outcome in enumerate(outcomes))
    points = (
        point("one"), point("two", cached=True), failed("three", "lost"),
        failed("four", "not computed: interrupted"),
    )  # fmt: skip

    assert counts(report(*points, checks=checks, deselected=3, interrupted=True)) == (
        "interrupted: 2 points fitted (1 from the store), 1 failed, 1 unstable, 1 passed, "
        "1 xfailed, 1 xpassed, 1 error, 1 not computed, 3 deselected"
    )
