"""What is to be recorded: new expectations, and those that would have to change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fitspec.collect import Expectation
from fitspec.record.measured import RECORDED_BY, Identity, Measured, measured
from fitspec.results import CheckResult, PointResult, RunReport, as_band
from fitspec.spec import SpecFile

DERIVED = ("p_b", "excluded")
"""Not recorded of their own accord: they follow from, or say less than, what is."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """An expectation that does not hold, and what was measured."""

    old: Expectation
    new: Measured


@dataclass(frozen=True, slots=True)
class Recording:
    """What is to be done.

    Attributes:
        additions: values that nothing expects yet, or nothing as precisely.
        replacements: of expectations that do not hold and can be changed.
        failed: points without numbers, which cannot be recorded.
        left: checks that do not hold and are not changed: of other people's tables, and of
            blocks that speak of several points.
    """

    additions: tuple[Measured, ...]
    replacements: tuple[Replacement, ...]
    failed: tuple[PointResult, ...]
    left: tuple[CheckResult, ...]

    @property
    def empty(self) -> bool:
        """There is nothing to write."""
        return not (self.additions or self.replacements)


def make_recording(
    spec: SpecFile, expectations: Sequence[Expectation], report: RunReport
) -> Recording:
    """Sort what was measured by what is expected already.

    An expectation that holds stays as it is. One that is wider than what would be recorded, a
    published value with few digits, gets the measured value beside it, and so does a known
    difference (``xfail``).

    Args:
        spec: the specification.
        expectations: its expectations, of the selected points.
        report: of its run, with the same selection.
    """
    confidence = spec.spec.poi.upper_limit
    own = {
        m.identity: m
        for point in report.points
        if point.outcome.status == "ok"
        for m in measured(point, point.id, confidence)
    }
    of_combined = {
        m.identity: m
        for combined in report.combined
        for m in measured(combined.result, combined.id, confidence)
    }
    covered: set[Identity] = set()
    replacements, left = [], []
    for expectation, check in zip(expectations, report.checks, strict=False):
        identity = (expectation.target.id, expectation.quantity, expectation.mu)
        found = own.get(identity) or of_combined.get(identity)
        if found is None or expectation.xfail is not None:
            continue
        if check.outcome == "failed":
            covered.add(identity)
            if _editable(spec, expectation):
                replacements.append(Replacement(expectation, found))
            else:
                left.append(check)
        elif is_recorded(expectation) or _as_precise(expectation, found):
            covered.add(identity)
    additions = [m for key, m in own.items() if key not in covered and m.quantity not in DERIVED]
    return Recording(tuple(additions), tuple(replacements), report.failed_points, tuple(left))


def is_recorded(expectation: Expectation) -> bool:
    """It was recorded before."""
    return (expectation.source or "").startswith(RECORDED_BY)


def _editable(spec: SpecFile, expectation: Expectation) -> bool:
    """It speaks of this point alone: in a block of its own, or in a recorded table."""
    block = spec.spec.expect[expectation.block]
    return block.point == expectation.target.id or (
        block.table is not None and is_recorded(expectation)
    )


def _as_precise(expectation: Expectation, found: Measured) -> bool:
    if isinstance(expectation.value, bool) or isinstance(found.value, bool):
        return True
    pairs = zip(as_band(expectation.value), as_band(found.value), strict=True)
    return all(
        e is not None
        and m is not None
        and expectation.atol + expectation.rtol * abs(e)
        <= (found.atol + found.rtol * abs(m)) * 1.01
        for e, m in pairs
    )
