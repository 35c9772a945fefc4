"""Limits by toys: closed forms of a Gaussian likelihood, and a published workspace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gaussian import Gaussian, question
from scipy.stats import norm

from fitspec.errors import InferenceError
from fitspec.inference import test_hypotheses as answer
from fitspec.inference.limits import Limits
from fitspec.inference.toy_limits import toy_limits
from fitspec.outcome import HypothesisTest, Toys

N = np.array([-2, -1, 0, 1, 2])
TOYS = Toys(1000, 0, 0.001, (0.001,) * 5, 0.001, 0.001)


def test_limits_are_the_closed_forms_within_their_uncertainties():
    """Toys of a Gaussian have its asymptotic distributions exactly, but for their number."""
    outcome = answer(Gaussian(0.5), question(level=0.05, toys=4000))

    expected = norm.isf(0.05 * norm.cdf(N)) + N
    errors = np.array(outcome.upper_limit_exp_error)
    assert (np.abs(np.array(outcome.upper_limit_exp) - expected) < 4 * errors).all()
    observed = 0.5 + norm.isf(0.05 * norm.cdf(0.5))
    assert outcome.upper_limit_obs == pytest.approx(observed, abs=4 * outcome.upper_limit_obs_error)
    assert 0.005 < outcome.upper_limit_obs_error < 0.1
    assert errors.max() < 0.25
    assert outcome.upper_limit_CLb == pytest.approx(norm.cdf(0.5), abs=0.03)
    assert outcome.tests == ()


def test_the_same_seed_gives_the_same_limits():
    one, same, other = (
        answer(Gaussian(0.5), question(level=0.05, toys=2000, seed=seed)) for seed in (1, 1, 2)
    )

    assert one == same
    assert one.upper_limit_obs != other.upper_limit_obs


def exponential(mu: float, lengths: tuple[float, ...] = (1.0,) * 6, **more: Any) -> HypothesisTest:
    """A test whose CLs falls to 0.05 at 3 lengths, for each curve its own."""
    observed, *band = (float(np.exp(-mu / length)) for length in lengths)
    return HypothesisTest(mu, observed, tuple(band), 0.1, 0.3, 1.0, 1.0, toys=TOYS, **more)


def test_tests_are_made_where_the_limits_are_expected_and_farther_where_they_are_not():
    asked = []

    def test(mu: float) -> HypothesisTest:
        asked.append(mu)
        return exponential(mu)

    found = toy_limits(test, Limits(1.0, (0.8, 0.9, 1.0, 1.2, 1.5)), 0.05)

    assert asked[:7] == [0.8 / 1.25, 0.8, 0.9, 1.0, 1.2, 1.5, 1.5 * 1.25]
    assert max(asked) == pytest.approx(1.5 * 1.25**4)
    assert found.observed == pytest.approx(-np.log(0.05), rel=1e-2)
    assert found.CLb == pytest.approx(0.7)


def test_without_any_toy_beyond_there_is_an_upper_end_all_the_same():
    def test(mu: float) -> HypothesisTest:
        return replace(exponential(mu), CLs_obs=0.2 if mu < 2.9 else 0.0)

    found = toy_limits(test, Limits(3.0, (2.5, 2.7, 3.0, 3.3, 3.6)), 0.05)

    assert 2.7 < found.observed < 3.0
    assert 0 < found.observed_error < 0.5


def test_a_limit_that_toys_do_not_find_is_an_error():
    with pytest.raises(InferenceError, match=r"expected CLs at \+2 sigma, by toys, does not fall"):
        toy_limits(
            lambda mu: exponential(mu, (1.0, 1.0, 1.0, 1.0, 1.0, 100.0)),
            Limits(3.0, (2.5, 2.7, 3.0, 3.3, 3.6)),
            0.05,
        )
