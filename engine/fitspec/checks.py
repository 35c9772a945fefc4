"""Results against expectations, and the choice of the best expected case."""

from __future__ import annotations

from collections.abc import Sequence

from fitspec.collect import Combination, Expectation
from fitspec.outcome import Band, HypothesisTest, KnownBand, Outcome
from fitspec.results import (
    NOT_COMPUTED,
    XSEC_LIMITS,
    CheckOutcome,
    CheckResult,
    Combined,
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
        file=expectation.file,
        line=expectation.line,
    )


def combine(combination: Combination, results: Sequence[PointResult]) -> Combined | None:
    """The case with the lowest median expected CLs, at the last tested POI value.

    Where only limits were asked for, it is the one with the lowest median expected limit.

    Args:
        combination: the signal point.
        results: of its points, in their order.

    Returns:
        the choice; None if a case has no numbers, since any of them might have been the best.
    """
    ranks = [_expected(result.outcome) for result in results]
    found = [rank for rank in ranks if rank is not None]
    if len(found) < len(results):
        return None
    best = results[found.index(min(found))]
    return Combined(
        spec=combination.spec.name,
        id=combination.id,
        chosen=best.id,
        candidates=tuple(result.id for result in results),
        result=best,
    )


def _expected(outcome: Outcome) -> float | None:
    """What a case is chosen by; the lower the better."""
    if outcome.tests:
        return outcome.tests[-1].CLs_exp[2]
    return None if outcome.upper_limit_exp is None else outcome.upper_limit_exp[2]


def cross_check(result: PointResult, reference: Outcome) -> list[CheckResult]:
    """Compare a point with what pyhf finds for it; where they disagree, it is ``unstable``.

    Args:
        result: of the point.
        reference: the same hypothesis, fitted by pyhf.
    """
    ours, theirs = _compared(result.outcome), _compared(reference)
    gap = _deepest_gap(result.outcome, reference)
    missing = result.outcome.error or (reference.error and f"pyhf: {reference.error}")
    both = [key for key in ours if key in theirs] or [*ours, *theirs]
    checks = []
    for quantity, mu in both or [("CLs_obs", None)]:
        expected, actual = theirs.get((quantity, mu)), ours.get((quantity, mu))
        outcome: CheckOutcome = "error"
        if expected is not None and actual is not None:
            outcome = "passed" if _close(actual, expected, CROSS_RTOL, CROSS_ATOL) else "unstable"
        reason = {"passed": None, "unstable": gap}.get(outcome, missing)
        checks.append(
            CheckResult(
                result.spec, result.id, quantity, mu, expected, actual, CROSS_RTOL, CROSS_ATOL,
                outcome, CROSS_SOURCE, reason,
            )
        )  # fmt: skip
    return checks


CROSS_RTOL, CROSS_ATOL = 1e-3, 1e-5
"""More than two minimisers that converged to the same minimum can differ."""

CROSS_SOURCE = "cross-check with pyhf"


def _compared(outcome: Outcome) -> dict[tuple[str, float | None], float | Band]:
    """What a cross-check compares, by quantity and POI value."""
    values: dict[tuple[str, float | None], float | Band] = {}
    for test in outcome.tests:
        values["CLs_obs", test.mu] = test.CLs_obs
        values["CLs_exp", test.mu] = test.CLs_exp
    if outcome.discovery is not None:
        values["p0", None] = outcome.discovery.p0
    for quantity in ("upper_limit_obs", "upper_limit_exp"):
        if (limit := getattr(outcome, quantity)) is not None:
            values[quantity, None] = limit
    return values


def _deepest_gap(ours: Outcome, theirs: Outcome) -> str | None:
    """The fit whose minima differ most, which is mostly the reason for all other differences."""
    reference = {(fit.kind, fit.data, fit.mu): fit.twice_nll for fit in theirs.fits}
    gaps = [
        (fit.twice_nll - reference[key], fit)
        for fit in ours.fits
        if fit.data == "observed" and (key := (fit.kind, fit.data, fit.mu)) in reference
    ]
    if not gaps:
        return None
    gap, fit = max(gaps, key=lambda pair: abs(pair[0]))
    where = "the free fit" if fit.mu is None else f"the fit at mu = {fit.mu:g}"
    return f"{where} ends at -2 ln L = {fit.twice_nll:.6g}, {gap:+.2g} from pyhf's"


def _verdict(expectation: Expectation, actual: float | bool | Band) -> CheckOutcome:
    if isinstance(expectation.value, bool):
        holds = actual == expectation.value
    else:
        holds = _close(actual, expectation.value, expectation.rtol, expectation.atol)
    if expectation.xfail is not None:
        return "xpassed" if holds else "xfailed"
    return "passed" if holds else "failed"


def _close(actual: float | Band, expected: float | KnownBand, rtol: float, atol: float) -> bool:
    pairs = zip(as_band(actual), as_band(expected), strict=True)
    known = [(a, e) for a, e in pairs if a is not None and e is not None]
    return all(abs(a - e) <= atol + rtol * abs(e) for a, e in known)


def _actual(
    expectation: Expectation, result: PointResult | None
) -> tuple[float | bool | Band | None, str | None]:
    """The computed value, or why there is none."""
    if result is None:
        return None, "a case of this combination has no numbers"
    outcome = result.outcome
    value: float | bool | Band | None = None
    if expectation.mu is None:
        of = result if expectation.quantity in XSEC_LIMITS else outcome
        value = getattr(of, expectation.quantity)
    elif found := [test for test in outcome.tests if test.mu == expectation.mu]:
        value = _of_test(found[0], expectation)
    return value, None if value is not None else outcome.error or "not computed"


def _of_test(test: HypothesisTest, expectation: Expectation) -> float | bool | Band:
    if expectation.quantity == "excluded":
        confidence = expectation.target.spec.spec.poi.upper_limit
        return test.excluded(confidence) if confidence else test.excluded()
    value: float | Band = getattr(test, expectation.quantity)
    return value
