"""Hypothesis tests at the seam: Gaussian likelihoods, whose answers are closed forms."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from gaussian import Gaussian, Stuck, TwoMinima, question
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from fitspec.errors import InferenceError
from fitspec.inference import test_hypotheses as run_tests  # pytest would collect the name itself
from fitspec.inference.likelihood import Minimum

SIGMA = st.floats(0.3, 3)
MU = st.floats(0.1, 5)
STATISTICS = st.sampled_from(["q", "qtilde"])


@settings(deadline=None)
@given(x=st.floats(-5, 5), sigma=SIGMA, mu=MU)
def test_q_is_that_of_eq_14(x, sigma, mu):
    [test] = run_tests(Gaussian(x, sigma), question(mu, test_statistic="q")).tests

    expected = ((mu - x) / sigma) ** 2 if x <= mu else 0.0
    assert test.q == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert test.q_asimov == pytest.approx((mu / sigma) ** 2)


@settings(deadline=None)
@given(x=st.floats(-5, 5), sigma=SIGMA, mu=MU)
def test_qtilde_is_that_of_eq_16(x, sigma, mu):
    [test] = run_tests(Gaussian(x, sigma), question(mu)).tests

    below_zero = (mu**2 - 2 * mu * x) / sigma**2
    inside = ((mu - x) / sigma) ** 2
    expected = 0.0 if x > mu else below_zero if x < 0 else inside
    assert test.q == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert test.q_asimov == pytest.approx((mu / sigma) ** 2)


@settings(deadline=None)
@given(x=st.floats(-3, 5), sigma=SIGMA, mu=MU, test_statistic=STATISTICS)
def test_CLs_is_the_ratio_of_the_tails_of_the_estimate(x, sigma, mu, test_statistic):
    [test] = run_tests(Gaussian(x, sigma), question(mu, test_statistic=test_statistic)).tests

    estimate = min(x, mu)  # an estimate above mu is no evidence against it
    p_sb, CLb = norm.cdf((estimate - mu) / sigma), norm.cdf(estimate / sigma)
    assert test.p_sb == pytest.approx(p_sb, rel=1e-7)
    assert 1 - test.p_b == pytest.approx(CLb, rel=1e-7)
    assert test.CLs_obs == pytest.approx(p_sb / CLb, rel=1e-7)


@settings(deadline=None)
@given(sigma=SIGMA, mu=MU, test_statistic=STATISTICS)
def test_the_median_expected_CLs_is_the_one_observed_on_asimov_data(sigma, mu, test_statistic):
    [test] = run_tests(Gaussian(0.0, sigma), question(mu, test_statistic=test_statistic)).tests

    assert test.CLs_obs == pytest.approx(test.CLs_exp[2], rel=1e-9)


@settings(deadline=None)
@given(x=st.floats(-5, -0.1), mu=MU)
def test_bounding_the_poi_at_zero_changes_nothing_about_qtilde(x, mu):
    [bounded] = run_tests(Gaussian(x, poi_bounds=(0.0, 10.0)), question(mu)).tests
    [unbounded] = run_tests(Gaussian(x), question(mu)).tests

    assert bounded == unbounded


def test_q_of_a_poi_bounded_at_zero_is_noted():
    bounded = Gaussian(0.5, poi_bounds=(0.0, 10.0))

    assert run_tests(bounded, question(1.0, test_statistic="q")).notes == (
        "the POI cannot be negative, so the fits of q are those of qtilde",
    )
    assert run_tests(bounded, question(1.0)).notes == ()
    assert run_tests(Gaussian(0.5), question(1.0, test_statistic="q")).notes == ()


def test_tests_come_in_the_order_of_the_question():
    outcome = run_tests(Gaussian(0.5), question(2.0, 0.5, 1.0))

    assert [test.mu for test in outcome.tests] == [2.0, 0.5, 1.0]
    assert outcome.mu_hat == 0.5
    assert outcome.status == "ok"


def test_every_fit_that_counts_is_reported_once():
    fits = run_tests(Gaussian(-0.5), question(1.0, 2.0)).fits

    assert {(fit.data, fit.kind, fit.mu) for fit in fits} == {
        ("observed", "free", None), ("observed", "conditional", 0.0),
        ("observed", "conditional", 1.0), ("observed", "conditional", 2.0),
        ("asimov", "free", None),
        ("asimov", "conditional", 1.0), ("asimov", "conditional", 2.0),
    }  # fmt: skip
    assert len(fits) == 7
    assert {(fit.converged, fit.iterations, fit.edm) for fit in fits} == {(True, 3, 1e-9)}


def test_parameters_at_their_bounds_are_reported():
    fits = run_tests(Gaussian(-0.5, poi_bounds=(0.0, 10.0)), question(1.0)).fits

    at_bounds = {(fit.data, fit.mu): fit.at_bounds for fit in fits}
    assert at_bounds["observed", None] == ("mu",)
    assert at_bounds["observed", 1.0] == ()


@pytest.mark.parametrize("mu", [-0.1, 10.1], ids=["below", "above"])
def test_a_poi_value_outside_its_bounds_is_an_error(mu):
    with pytest.raises(InferenceError, match=rf"mu = {mu:g} is outside .* \[0, 10\]"):
        run_tests(Gaussian(1.0, poi_bounds=(0.0, 10.0)), question(1.0, mu))


def test_the_bounds_themselves_can_be_tested():
    outcome = run_tests(Gaussian(1.0, poi_bounds=(0.0, 3.0)), question(0.0, 3.0))

    assert [test.mu for test in outcome.tests] == [0.0, 3.0]


def test_the_background_only_fit_must_be_possible():
    with pytest.raises(InferenceError, match=r"mu = 0 is outside the POI's bounds \[0.5, 3\]"):
        run_tests(Gaussian(1.0, poi_bounds=(0.5, 3.0)), question(1.0))


@pytest.mark.parametrize("likelihood", [TwoMinima(0.5), TwoMinima(0.5, failing=True), Stuck(0.5)])
def test_fits_that_one_start_leads_astray_change_no_number(likelihood):
    outcome = run_tests(likelihood, question(1.0))

    assert outcome.tests == run_tests(Gaussian(0.5), question(1.0)).tests
    assert outcome.mu_hat == 0.5


def test_what_happened_to_the_fits_is_noted_observed_first():
    assert [
        note.partition(" has ")[0] for note in run_tests(TwoMinima(0.5), question(1.0)).notes
    ] == [
        "the fit to observed data at mu = 0",
        "the fit to observed data at mu = 1",
        "the fit to asimov data at mu = 1",
    ]


def test_a_signal_that_changes_nothing_is_an_error_not_a_limit():
    @dataclass
    class Flat(Gaussian):
        """Asimov data do not depend on mu, observed data do."""

        def minimum(self, poi: float, data: float) -> Minimum:
            return Minimum(poi, poi, 0.0 if data == 0.0 else 1e-4 * (poi - data) ** 2, 1, None)

    with pytest.raises(InferenceError, match="signal and background predict the same"):
        run_tests(Flat(0.5), question(1.0))


# ---- discovery ----


@settings(deadline=None)
@given(x=st.floats(-5, 5), sigma=SIGMA)
def test_q0_is_that_of_eq_12_and_p0_its_tail(x, sigma):
    outcome = run_tests(Gaussian(x, sigma), question(test_statistic="q0"))

    significance = max(x, 0.0) / sigma
    assert outcome.discovery.q0 == pytest.approx(significance**2, rel=1e-9, abs=1e-12)
    assert outcome.discovery.significance == pytest.approx(significance, rel=1e-9, abs=1e-6)
    assert outcome.p0 == outcome.discovery.p0
    assert outcome.p0 == pytest.approx(1 - norm.cdf(significance), rel=1e-6)
    assert outcome.tests == ()
    assert outcome.mu_hat == x


@settings(deadline=None)
@given(x=st.floats(-5, 5), sigma=SIGMA)
def test_the_expected_p0_is_that_of_a_signal_of_strength_1(x, sigma):
    discovery = run_tests(Gaussian(x, sigma), question(test_statistic="q0")).discovery

    assert discovery.q0_asimov == pytest.approx(1 / sigma**2)
    expected = [norm.sf(1 / sigma - n) for n in (-2, -1, 0, 1, 2)]
    assert discovery.p0_exp == pytest.approx(expected, rel=1e-9)
    assert all(low < high for low, high in pairwise(discovery.p0_exp))


def test_the_median_expected_p0_is_the_one_observed_on_asimov_data():
    discovery = run_tests(Gaussian(1.0, 0.4), question(test_statistic="q0")).discovery

    assert discovery.p0 == discovery.p0_exp[2]


@pytest.mark.parametrize("x", [-0.5, 0.0, -4.0])
def test_a_deficit_is_no_discovery(x):
    for bounds in [(-10.0, 10.0), (0.0, 10.0)]:
        discovery = run_tests(
            Gaussian(x, poi_bounds=bounds), question(test_statistic="q0")
        ).discovery

        assert (discovery.q0, discovery.significance, discovery.p0) == (0.0, 0.0, 0.5)


def test_where_no_discovery_is_asked_for_there_is_none():
    outcome = run_tests(Gaussian(3.0), question(1.0))

    assert outcome.discovery is None
    assert outcome.p0 is None


def test_a_discovery_needs_the_fits_at_0_and_1_whatever_mu_is_tested():
    fits = run_tests(Gaussian(0.7), question(3.0, test_statistic="q0")).fits

    assert [(fit.data, fit.mu) for fit in fits] == [
        ("observed", None), ("observed", 1.0), ("observed", 0.0),
        ("asimov", None), ("asimov", 0.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("bounds", "mu"), [((0.5, 3.0), 0), ((0.0, 0.9), 1)], ids=["no background", "no signal"]
)
def test_a_discovery_outside_the_bounds_of_the_poi_is_an_error(bounds, mu):
    with pytest.raises(InferenceError, match=f"mu = {mu} is outside the POI's bounds"):
        run_tests(Gaussian(0.7, poi_bounds=bounds), question(test_statistic="q0"))
