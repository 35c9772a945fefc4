"""Shifts in their own units, and in standard deviations of the expected band."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import pytest

from fitspec.bestfit import BestFit, FittedParameter
from fitspec.drift.shifts import SIGMAS, Shift, Tolerance, numbers, shifts
from fitspec.outcome import Discovery, HypothesisTest, Outcome, Toys
from fitspec.results import PointResult

PHI = NormalDist().cdf
DEFAULT = Tolerance()


def expected_CLs(separation: float, sigmas: float) -> float:
    """arXiv:1007.1727 eq. 89, for mu / sigma = separation."""
    return (1 - PHI(separation - sigmas)) / PHI(sigmas)


def expected_limit(sigmas: float) -> float:
    """Eq. 88 for sigma = 1, and CLs: the mu at which the CLs of eq. 89 is 0.05."""
    return NormalDist().inv_cdf(1 - 0.05 * PHI(sigmas)) + sigmas


def with_CLs(CLs_obs: float, separation: float = 2.0, toys: Toys | None = None) -> PointResult:
    band = tuple(expected_CLs(separation, sigma) for sigma in SIGMAS)
    test = HypothesisTest(1.0, CLs_obs, band, 0.1, 0.5, 1.0, 4.0, toys)
    return PointResult("a.toml", "signal", {}, Outcome("ok", tests=(test,)))


def limited(observed: float, **changes) -> PointResult:
    band = tuple(map(expected_limit, SIGMAS))
    outcome = Outcome("ok", upper_limit_obs=observed, upper_limit_exp=band)
    return PointResult("a.toml", "signal", {}, replace(outcome, **changes))


def moved(
    old: PointResult, new: PointResult, tolerance: Tolerance = DEFAULT
) -> dict[tuple[str, int | None], Shift]:
    found = shifts(old, new, tolerance, (0.95, 0.95))
    return {(shift.quantity, shift.sigma): shift for shift in found}


@pytest.mark.parametrize("separation", [0.5, 2.0, 4.0])
@pytest.mark.parametrize("sigmas", [-1.5, -0.5, 0.5, 1.5])
def test_a_shift_of_CLs_is_counted_in_sigmas_of_the_background(separation, sigmas):
    old = with_CLs(expected_CLs(separation, 0.0), separation)
    new = with_CLs(expected_CLs(separation, sigmas), separation)

    [shift] = moved(old, new, Tolerance(atol=0)).values()

    assert shift.quantity == "CLs_obs"
    assert shift.difference == new.outcome.tests[0].CLs_obs - old.outcome.tests[0].CLs_obs
    assert shift.relative == pytest.approx(shift.difference / shift.old)
    assert shift.sigmas == pytest.approx(sigmas, abs=0.1)  # interpolated


@pytest.mark.parametrize("sigmas", [-1.5, -0.5, 0.5, 1.5, 3.0])
def test_a_shift_of_a_limit_is_counted_in_sigmas_of_the_background(sigmas):
    [shift] = moved(limited(expected_limit(-1)), limited(expected_limit(sigmas))).values()

    assert shift.sigmas == pytest.approx(sigmas + 1, abs=0.1)


def test_at_the_five_values_of_the_band_it_is_exact():
    for sigma in SIGMAS:
        if sigma != 1:
            old, new = with_CLs(expected_CLs(2.0, 1)), with_CLs(expected_CLs(2.0, sigma))
            assert moved(old, new)["CLs_obs", None].sigmas == pytest.approx(sigma - 1)


def test_what_stays_within_the_tolerance_has_not_moved():
    old = with_CLs(0.2)

    assert not moved(old, with_CLs(0.2 + 0.2 * 0.9e-3 + 1e-5))
    assert moved(old, with_CLs(0.2 + 0.2 * 1.1e-3 + 1e-5))
    assert not moved(old, with_CLs(0.21), Tolerance(rtol=0.1))


def test_a_flip_counts_however_small_it_is():
    [shift] = moved(with_CLs(0.0500001), with_CLs(0.0499999)).values()
    assert (shift.flipped, shift.weight[0]) == ("excluded", True)

    [shift] = moved(limited(0.9999999), limited(1.0000001)).values()
    assert shift.flipped == "allowed"


def test_the_expected_exclusion_is_that_of_the_median():
    old, new = with_CLs(0.2), with_CLs(0.2)
    band = (0.01, 0.02, 0.049, 0.1, 0.2)
    for point, median in ((old, 0.051), (new, 0.049)):
        test = replace(
            point.outcome.tests[0], CLs_exp=tuple(median if b == 0.049 else b for b in band)
        )
        point = replace(point, outcome=replace(point.outcome, tests=(test,)))
        old, new = (point, new) if median > 0.05 else (old, point)

    found = moved(old, new)

    assert {key for key, shift in found.items() if shift.flipped} == {("CLs_exp", 0)}


def test_another_confidence_level_is_another_exclusion():
    old, new = with_CLs(0.07), with_CLs(0.07)

    [shift] = shifts(old, new, Tolerance(), (0.95, 0.90))

    assert (shift.difference, shift.flipped) == (0.0, "excluded")


def test_toys_may_move_by_their_statistical_uncertainty():
    toys = Toys(1000, 0, 0.01, (0.01,) * 5, 0.01, 0.01)
    old, allowed = with_CLs(0.2, toys=toys), 3 * math.hypot(0.01, 0.01)

    assert not moved(old, with_CLs(0.2 + 0.95 * allowed, toys=toys))
    assert moved(old, with_CLs(0.2 + 1.05 * allowed, toys=toys))


def test_a_cls_of_zero_has_no_number_of_sigmas():
    assert moved(with_CLs(0.2), with_CLs(0.0))["CLs_obs", None].sigmas is None


def test_a_band_without_width_has_no_sigmas():
    flat = (1.0,) * 5

    [shift] = moved(limited(2.0, upper_limit_exp=flat), limited(2.5, upper_limit_exp=flat)).values()

    assert shift.sigmas is None


def test_a_parameter_moves_in_units_of_its_uncertainty():
    def fitted(value: float) -> PointResult:
        parameter = FittedParameter("norm", value, 0.5)
        fit = BestFit("mu", None, 10.0, (parameter,))
        return PointResult("a.toml", "signal", {}, Outcome("ok", fit=fit))

    [shift] = moved(fitted(0.25), fitted(0.0)).values()

    assert (shift.quantity, shift.sigmas, shift.relative) == ("fit.norm", -0.5, -1.0)


def test_a_cross_section_is_compared_and_limits_in_pb_are_not_again():
    old = replace(limited(2.0), xsec_pb=1e-6)

    assert not moved(old, old)
    assert set(moved(old, replace(old, xsec_pb=1.1e-6))) == {("xsec_pb", None)}


def test_a_discovery_has_its_p0():
    found = Discovery(0.02, (0.001, 0.01, 0.05, 0.2, 0.4), 2.05, 4.2, 2.7)
    point = PointResult("a.toml", "signal", {}, Outcome("ok", mu_hat=1.0, discovery=found))

    assert {quantity for quantity, _, _ in numbers(point, 0.95)} == {"p0", "mu_hat"}
