"""The numbers of a point as expectations: rounded, with tolerances that fit how they are made."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fitspec.outcome import Band, HypothesisTest
from fitspec.results import PointResult

RTOL = 1e-3
"""Of what is not random: minimisers, platforms and both backends agree better than this."""

MU_HAT_ATOL = 1e-3
"""Of the best-fit POI, which may be 0."""

UNCERTAINTIES = 5
"""Standard uncertainties that toys may be off: 3.5 of the difference of two runs."""

DIGITS = 8
"""Significant digits of what is written: far more than tolerances ask for."""

RECORDED_BY = "recorded by fitspec"
"""How the source of a recorded expectation begins."""

Identity = tuple[str, str, float | None]
"""Point, quantity, and the POI value it belongs to, where it belongs to one."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One quantity of one point, as it would be expected.

    Attributes:
        id: of the point.
        quantity: its name in the specification language.
        mu: the POI value it belongs to, where it belongs to one.
        value: number, band or boolean.
        rtol: relative tolerance.
        atol: absolute tolerance.
    """

    id: str
    quantity: str
    mu: float | None
    value: float | bool | Band
    rtol: float = RTOL
    atol: float = 0.0

    @property
    def identity(self) -> Identity:
        """What it is a value of."""
        return self.id, self.quantity, self.mu


def provenance(environment: Mapping[str, str], day: str) -> str:
    """The source of recorded expectations.

    Args:
        environment: of the run.
        day: of the run, ``2026-11-25``.
    """
    made = environment
    libraries = ", ".join(f"{name} {made[name]}" for name in ("numpy", "scipy", "pyhf"))
    return f"{RECORDED_BY} {made['fitspec']}, {made['backend']} backend, {libraries}, {day}"


def measured(point: PointResult, name: str, confidence: float | None) -> list[Measured]:
    """All quantities of a point that can be expected.

    Args:
        point: with its numbers.
        name: id of the point, or of the combination that chose it.
        confidence: of an exclusion; None for the usual one.
    """
    outcome = point.outcome
    found = [m for test in outcome.tests for m in _of_test(test, name, confidence)]
    if outcome.discovery is not None:
        toys = outcome.discovery.toys
        errors = () if toys is None else (toys.obs_error, 1 / toys.thrown)
        found.append(_measured(name, "p0", None, outcome.discovery.p0, errors))
    if outcome.mu_hat is not None:
        value = _rounded(outcome.mu_hat)
        found.append(Measured(name, "mu_hat", None, value, atol=MU_HAT_ATOL))
    return [*found, *_limits(point, name)]


def _of_test(test: HypothesisTest, name: str, confidence: float | None) -> Iterator[Measured]:
    toys, mu = test.toys, test.mu
    observed: Sequence[float | None] = ()
    expected, background = observed, observed
    if toys is not None:
        least = 1 / toys.thrown  # even where none of the toys, or every one, is as extreme
        observed = (toys.obs_error, least)
        expected = (*toys.exp_error, least)
        background = (toys.p_b_error, least)
    yield _measured(name, "CLs_obs", mu, test.CLs_obs, observed)
    yield _measured(name, "CLs_exp", mu, test.CLs_exp, expected)
    yield _measured(name, "p_b", mu, test.p_b, background)
    excluded = test.excluded() if confidence is None else test.excluded(confidence)
    yield Measured(name, "excluded", mu, excluded)


def _limits(point: PointResult, name: str) -> Iterator[Measured]:
    outcome = point.outcome
    observed, expected = outcome.upper_limit_obs, outcome.upper_limit_exp
    if observed is None or expected is None:
        return
    errors = (outcome.upper_limit_obs_error,), outcome.upper_limit_exp_error or ()
    yield _measured(name, "upper_limit_obs", None, observed, errors[0])
    yield _measured(name, "upper_limit_exp", None, expected, errors[1])
    xsec, in_pb = point.upper_limit_xsec_obs, point.upper_limit_xsec_exp
    if xsec is None or in_pb is None or point.xsec_pb is None:
        return
    scale = point.xsec_pb
    scaled = [[None if e is None else e * scale for e in some] for some in errors]
    yield _measured(name, "upper_limit_xsec_obs", None, xsec, scaled[0])
    yield _measured(name, "upper_limit_xsec_exp", None, in_pb, scaled[1])


def _measured(
    name: str,
    quantity: str,
    mu: float | None,
    value: float | Band,
    errors: Sequence[float | None],
) -> Measured:
    """Tolerances follow from standard uncertainties, where there are any."""
    largest = max((error for error in errors if error is not None), default=0.0)
    atol = _upwards(UNCERTAINTIES * largest)
    return Measured(name, quantity, mu, _rounded_all(value), RTOL, atol)


def _rounded_all(value: float | Band) -> float | Band:
    if isinstance(value, tuple):
        m2, m1, median, p1, p2 = map(_rounded, value)
        return m2, m1, median, p1, p2
    return _rounded(value)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _upwards(tolerance: float) -> float:
    """To two significant digits: a tolerance with more would pretend."""
    if tolerance == 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(tolerance)) - 1)
    return float(f"{math.ceil(tolerance / step) * step:.2g}")
