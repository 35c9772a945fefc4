"""Hypothesis tests at the seam: Gaussian likelihoods, whose answers are closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from fitspec.errors import InferenceError
from fitspec.inference import Question
from fitspec.inference import test_hypotheses as run_tests  # pytest would collect the name itself
from fitspec.inference.hypotest import SLACK
from fitspec.inference.likelihood import Minimum


@dataclass
class Gaussian:
    """-2 ln L(mu) = ((data - mu) / sigma)^2: one measurement of mu itself."""

    observed: float
    sigma: float = 1.0
    poi_bounds: tuple[float, float] = (-10.0, 10.0)
    calls: list[tuple[float, float | None, Any]] = field(default_factory=list)

    def fit(self, data: float, mu: float | None = None, start: Any = None) -> Minimum:
        self.calls.append((data, mu, start))
        low, high = self.poi_bounds
        poi = min(max(data, low), high) if mu is None else mu
        return self.minimum(poi, data)

    def minimum(self, poi: float, data: float) -> Minimum:
        twice_nll = ((data - poi) / self.sigma) ** 2
        return Minimum(poi, poi, twice_nll, iterations=3, edm=1e-9)

    def asimov(self, parameters: float) -> float:
        return parameters


@dataclass
class Stuck(Gaussian):
    """Its free fit to some data stops at a wrong place, unless it starts well."""

    stuck: Callable[[float], bool] = lambda data: True
    stops_at: float = 8.0
    for_good: bool = False

    def fit(self, data: float, mu: float | None = None, start: Any = None) -> Minimum:
        minimum = super().fit(data, mu, start)
        if mu is None and self.stuck(data) and (start is None or self.for_good):
            return self.minimum(self.stops_at, data)
        return minimum


def question(*mus: float, test_statistic: str = "qtilde") -> Question:
    return Question("measurement", mus, test_statistic, "code4", "code4p", "pyhf", "numpy", "scipy")


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


def test_every_fit_is_done_once_and_reported():
    likelihood = Gaussian(-0.5)

    outcome = run_tests(likelihood, question(1.0, 2.0))

    reported = [(fit.data, fit.kind, fit.mu) for fit in outcome.fits]
    assert sorted(reported, key=str) == sorted(set(reported), key=str)
    free = 2
    assert len(likelihood.calls) == free + 2 * (
        len(reported) - free
    )  # two starts a conditional fit
    assert ("observed", "conditional", 0.0) in reported
    assert ("asimov", "free", None) in reported
    assert {(fit.converged, fit.iterations, fit.edm) for fit in outcome.fits} == {(True, 3, 1e-9)}


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


@dataclass
class TwoMinima(Gaussian):
    """Conditional fits from the measurement's starting values end in a higher minimum, or fail."""

    failing: bool = False

    def fit(self, data: float, mu: float | None = None, start: Any = None) -> Minimum:
        found = super().fit(data, mu, start)
        if mu is None or start is not None:
            return found
        if self.failing:
            raise InferenceError("did not converge")
        return replace(found, twice_nll=found.twice_nll + 2.5)


def test_of_two_minima_the_lower_is_used_and_noted():
    outcome = run_tests(TwoMinima(0.5), question(1.0))

    assert outcome.tests == run_tests(Gaussian(0.5), question(1.0)).tests
    assert outcome.notes[1] == (
        "the fit to observed data at mu = 1 has several minima: two starts ended 2.5 apart; "
        "the lower one is used"
    )


def test_one_start_that_does_not_converge_is_no_error():
    outcome = run_tests(TwoMinima(0.5, failing=True), question(1.0))

    assert outcome.tests == run_tests(Gaussian(0.5), question(1.0)).tests
    assert outcome.notes == ()


def test_a_free_fit_that_stops_too_high_is_done_again_and_noted():
    likelihood = Stuck(0.5)

    outcome = run_tests(likelihood, question(1.0))

    assert outcome.tests == run_tests(Gaussian(0.5), question(1.0)).tests
    assert outcome.mu_hat == 0.5
    assert outcome.notes == (
        "the free fit to observed data stopped 56 above the fit at mu = 1, a local minimum; "
        "it was done again from there",
    )
    assert (0.5, None, 1.0) in likelihood.calls


def test_the_free_fit_to_asimov_data_starts_from_the_parameters_that_made_them():
    likelihood = Gaussian(0.5)

    run_tests(likelihood, question(1.0))

    asimov_data = background_parameters = 0.0
    assert (asimov_data, None, background_parameters) in likelihood.calls


def test_a_free_fit_above_the_background_only_fit_is_done_again():
    # it stops below the tested point, but above the fit at mu = 0, which is known already
    likelihood = Stuck(0.1, stuck=lambda data: data == 0.1, stops_at=0.8)

    outcome = run_tests(likelihood, question(5.0))

    assert outcome.tests == run_tests(Gaussian(0.1), question(5.0)).tests
    assert "mu = 0, a local minimum" in outcome.notes[0]


def test_a_free_fit_within_the_slack_is_left_alone():
    slightly_off = 0.5 - math.sqrt(0.25 + SLACK / 2)
    likelihood = Stuck(0.5, stuck=lambda data: data == 0.5, stops_at=slightly_off)

    outcome = run_tests(likelihood, question(1.0))

    assert outcome.notes == ()
    assert outcome.mu_hat == slightly_off


def test_a_free_fit_that_stays_too_high_is_an_error():
    with pytest.raises(InferenceError, match=r"free fit to observed data stays above .* mu = 1;"):
        run_tests(Stuck(0.7, for_good=True), question(1.0))


def test_a_signal_that_changes_nothing_is_an_error_not_a_limit():
    @dataclass
    class Flat(Gaussian):
        """Asimov data do not depend on mu, observed data do."""

        def minimum(self, poi: float, data: float) -> Minimum:
            return Minimum(poi, poi, 0.0 if data == 0.0 else 1e-4 * (poi - data) ** 2, 1, None)

    with pytest.raises(InferenceError, match="signal and background predict the same"):
        run_tests(Flat(0.5), question(1.0))
