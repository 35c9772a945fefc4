"""Results against expectations, and the choice of the best expected case."""

from __future__ import annotations

from collections.abc import Sequence

from fitspec.collect import Combination, Expectation
from fitspec.results import (
    NOT_COMPUTED,
    Band,
    CheckOutcome,
    CheckResult,
    Combined,
    HypothesisTest,
    PointResult,
    as_band,
)


def check(expectation: Expectation, result: PointResult | None) -> CheckResult:
    """Compare one quantity.

    It passes where every number fulfils ``|actual - expected| <= atol + rtol * |expected|``. An
    expected failure covers wrong numbers and, as in pytest, errors.

    Args:
        expectation: value, tolerance and source.
        result: of the point it speaks of; None if it was not computed.
    """
    actual, reason = _actual(expectation, result)
    outcome: CheckOutcome = "error"
    if actual is not None:
        outcome, reason = _verdict(expectation, actual), expectation.xfail
    elif expectation.xfail is not None and not (reason or "").startswith(NOT_COMPUTED):
        outcome, reason = "xfailed", f"{expectation.xfail} ({reason})"
    return CheckResult(
        spec=expectation.target.spec.name,
        id=expectation.target.id,
        quantity=expectation.quantity,
        mu=expectation.mu,
        expected=expectation.value,
        actual=actual,
        rtol=expectation.rtol,
        atol=expectation.atol,
        outcome=outcome,
        source=expectation.source,
        reason=reason,
    )


def combine(combination: Combination, results: Sequence[PointResult]) -> Combined | None:
    """The case with the lowest median expected CLs, at the last tested POI value.

    Args:
        combination: the signal point.
        results: of its points, in their order.

    Returns:
        the choice; None if a case has no numbers, since any of them might have been the best.
    """
    if any(not result.outcome.tests for result in results):
        return None
    best = min(results, key=lambda result: result.outcome.tests[-1].CLs_exp[2])
    return Combined(
        spec=combination.spec.name,
        id=combination.id,
        chosen=best.id,
        candidates=tuple(result.id for result in results),
        result=best,
    )


def _verdict(expectation: Expectation, actual: float | bool | Band) -> CheckOutcome:
    if isinstance(expectation.value, bool):
        holds = actual == expectation.value
    else:
        pairs = zip(as_band(actual), as_band(expectation.value), strict=True)
        holds = all(abs(a - e) <= expectation.atol + expectation.rtol * abs(e) for a, e in pairs)
    if expectation.xfail is not None:
        return "xpassed" if holds else "xfailed"
    return "passed" if holds else "failed"


def _actual(
    expectation: Expectation, result: PointResult | None
) -> tuple[float | bool | Band | None, str | None]:
    """The computed value, or why there is none."""
    if result is None:
        return None, "a case of this combination has no numbers"
    outcome = result.outcome
    if outcome.status == "error":
        return None, outcome.error
    if expectation.mu is None:
        value: float | bool | Band | None = getattr(outcome, expectation.quantity)
    else:
        test = next(t for t in outcome.tests if t.mu == expectation.mu)
        value = _of_test(test, expectation)
    return value, None if value is not None else "not computed"


def _of_test(test: HypothesisTest, expectation: Expectation) -> float | bool | Band:
    if expectation.quantity == "excluded":
        confidence = expectation.target.spec.spec.poi.upper_limit
        return test.excluded(confidence) if confidence else test.excluded()
    value: float | Band = getattr(test, expectation.quantity)
    return value
