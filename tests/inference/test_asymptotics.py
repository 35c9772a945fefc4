"""p-values against pyhf, scipy's normal distribution, and its asymptotic series far in the tail."""

from __future__ import annotations

import math
from itertools import pairwise

import pyhf
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyhf.infer.calculators import AsymptoticTestStatDistribution
from scipy.stats import norm

from fitspec.errors import InferenceError
from fitspec.inference.asymptotics import deviations, excluding_root, expected_band, p_values

STATISTICS = st.sampled_from(["q", "qtilde"])
observed = st.floats(0, 300)
asimov = st.floats(1e-3, 300)


def transformed(q: float, q_asimov: float, test_statistic: str) -> float:
    """The test statistic as pyhf's AsymptoticCalculator hands it to its distributions."""
    if test_statistic == "q" or q <= q_asimov:
        return math.sqrt(q) - math.sqrt(q_asimov)
    return (q - q_asimov) / (2 * math.sqrt(q_asimov))


def log_tail_series(x: float) -> float:
    """ln P(X >= x) by its asymptotic series, good to 1e-12 above x = 30."""
    terms, term = [1.0], 1.0
    for k in range(1, 8):
        term *= -(2 * k - 1) / x**2
        terms.append(term)
    return -x * x / 2 - math.log(x * math.sqrt(2 * math.pi)) + math.log(math.fsum(terms))


@settings(deadline=None)
@given(observed, asimov, STATISTICS)
def test_p_values_are_those_of_pyhfs_distributions(q, q_asimov, test_statistic):
    t, root = transformed(q, q_asimov, test_statistic), math.sqrt(q_asimov)
    assume(t + root < 30)  # further out pyhf divides zero by zero

    found = p_values(q, q_asimov, test_statistic)

    signal, background = AsymptoticTestStatDistribution(-root), AsymptoticTestStatDistribution(0.0)
    p_sb, CLb = (float(d.pvalue(pyhf.tensorlib.astensor(t))) for d in (signal, background))
    assert found.p_sb == pytest.approx(p_sb, rel=1e-9)
    assert found.p_b == pytest.approx(1 - CLb, rel=1e-9, abs=1e-15)
    assert found.CLs == pytest.approx(p_sb / CLb, rel=1e-9)


@settings(deadline=None)
@given(asimov)
def test_the_band_is_the_closed_form_of_eq_89(q_asimov):
    root = math.sqrt(q_asimov)
    expected = [norm.sf(root - n) / norm.cdf(n) for n in (-2, -1, 0, 1, 2)]

    assert expected_band(q_asimov) == pytest.approx(expected, rel=1e-9)


@settings(deadline=None)
@given(asimov)
def test_the_band_rises_from_minus_two_to_plus_two_sigma(q_asimov):
    band = expected_band(q_asimov)

    assert len(band) == 5
    assert all(low < high for low, high in pairwise(band))


@settings(deadline=None)
@given(st.floats(0.001, 0.5), st.sampled_from([-2, -1, 0, 1, 2]))
def test_the_excluding_root_is_where_the_expected_band_is_the_level(level, sigma):
    root = excluding_root(level, sigma)

    assert root == pytest.approx(norm.ppf(1 - level * norm.cdf(sigma)) + sigma, rel=1e-9)
    assert expected_band(root**2)[sigma + 2] == pytest.approx(level, rel=1e-9)


@pytest.mark.parametrize("z", [-8.0, -1.0, 0.0, 1.645, 9.0, 60.0])
def test_deviations_are_those_of_a_tail_however_small(z):
    log_p = norm.logsf(z)

    assert deviations(log_p) == pytest.approx(z, rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(observed, observed, asimov, STATISTICS)
def test_a_larger_test_statistic_never_raises_CLs(one, other, q_asimov, test_statistic):
    low, high = sorted((one, other))

    at_low, at_high = (p_values(q, q_asimov, test_statistic).CLs for q in (low, high))

    assert at_high <= at_low * (1 + 1e-12)


@settings(deadline=None)
@given(observed, asimov, STATISTICS)
def test_every_p_value_is_a_probability(q, q_asimov, test_statistic):
    found = p_values(q, q_asimov, test_statistic)

    assert all(0 <= p <= 1 for p in (found.p_sb, found.p_b, found.CLs))


@pytest.mark.parametrize("q_asimov", [1e-6, 0.7, 4.0, 123.4])
def test_at_the_boundary_of_qtilde_both_regimes_agree(q_asimov):
    at = p_values(q_asimov, q_asimov, "qtilde")
    above = p_values(math.nextafter(q_asimov, math.inf), q_asimov, "qtilde")

    assert at.p_b == 0.5
    assert at.CLs == p_values(q_asimov, q_asimov, "q").CLs
    assert above.CLs == pytest.approx(at.CLs, rel=1e-12)


def test_above_the_boundary_the_two_test_statistics_differ():
    # q = 9, q_A = 4: sqrt(q) - sqrt(q_A) = 1, but (q - q_A) / (2 sqrt(q_A)) = 1.25
    assert p_values(9.0, 4.0, "q").CLs == pytest.approx(norm.sf(3.0) / norm.sf(1.0))
    assert p_values(9.0, 4.0, "qtilde").CLs == pytest.approx(norm.sf(3.25) / norm.sf(1.25))


@settings(deadline=None)
@given(st.floats(0, 300), STATISTICS)
def test_without_any_tension_half_of_the_signal_hypotheses_are_farther_off(q_asimov, name):
    found = p_values(0.0, q_asimov, name)

    assert found.p_sb == 0.5
    assert found.CLs == pytest.approx(0.5 / norm.cdf(math.sqrt(q_asimov)), rel=1e-9)


@pytest.mark.parametrize(
    ("q", "q_asimov", "test_statistic"),
    [(4900.0, 900.0, "q"), (10_000.0, 2500.0, "qtilde"), (1e6, 1600.0, "qtilde")],
)
def test_where_both_tails_underflow_their_ratio_is_right(q, q_asimov, test_statistic):
    t, root = transformed(q, q_asimov, test_statistic), math.sqrt(q_asimov)
    assert norm.sf(t) == 0.0
    expected = math.exp(log_tail_series(t + root) - log_tail_series(t))

    found = p_values(q, q_asimov, test_statistic)

    assert found.CLs == pytest.approx(expected, rel=1e-9)
    assert found.p_sb == 0.0
    assert found.p_b == 1.0


def test_an_underflowing_ratio_close_to_one_is_not_lost():
    # t = 50, root = 0.01: both tails are 0.0 as doubles, their ratio is exp(-0.5)
    q_asimov = 1e-4
    q = 2 * 0.01 * 50 + q_asimov
    expected = math.exp(log_tail_series(50.01) - log_tail_series(50.0))

    assert p_values(q, q_asimov, "qtilde").CLs == pytest.approx(expected, rel=1e-9)
    assert 0.6 < expected < 0.61


def test_a_test_without_any_power_is_an_error():
    with pytest.raises(InferenceError, match=r"Asimov value is 0.*check that the patch adds"):
        p_values(0.3, 0.0, "qtilde")


@pytest.mark.parametrize("q_asimov", [0.0, 1e-30, 1e-16])
def test_what_a_minimiser_leaves_of_zero_is_no_evidence(q_asimov):
    found = p_values(1e-13, q_asimov, "qtilde")

    assert found.p_sb == pytest.approx(0.5, abs=1e-6)
    assert found.CLs == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("q", "test_statistic"), [(0.0, "q"), (0.0, "qtilde"), (0.3, "q")])
def test_a_test_without_power_excludes_nothing(q, test_statistic):
    found = p_values(q, 0.0, test_statistic)

    assert found.CLs == 1.0
    assert expected_band(0.0) == (1.0,) * 5
