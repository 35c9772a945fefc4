"""Which fits a profile likelihood makes, from where, and which of them counts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from gaussian import Gaussian, Stuck, TwoMinima
from hypothesis import given, settings
from hypothesis import strategies as st

from fitspec.errors import ConvergenceError, InferenceError
from fitspec.inference.likelihood import Minimum
from fitspec.inference.profile import SLACK, Profile


def observed(likelihood: Gaussian) -> Profile:
    return Profile(likelihood, likelihood.observed, "observed")


def asimov(likelihood: Gaussian, truth: float = 0.0) -> Profile:
    return Profile(likelihood, likelihood.asimov(truth), "asimov", truth=truth)


# ---- which fits are made, and from where ----


def test_the_free_fit_to_observed_data_is_made_from_two_starts():
    likelihood = Gaussian(0.5)

    observed(likelihood).settle([3.0, 1.0, 2.0])

    free = [start for _, mu, start in likelihood.calls if mu is None]
    assert free == [None, 1.0]  # and from the lowest conditional fit, though it undercuts nothing


def test_without_conditional_fits_other_starting_values_are_the_second_start():
    likelihood = Gaussian(0.5)
    likelihood.alternatives = (-0.5, 3.0)
    profile = observed(likelihood)

    profile.explore()

    assert [call[1:] for call in likelihood.calls] == [(None, None), (None, -0.5), (None, 3.0)]
    assert [fit.kind for fit in profile.fits] == ["free"]


def test_the_free_fit_to_asimov_data_starts_from_the_parameters_that_made_them():
    likelihood = Gaussian(0.5)

    asimov(likelihood, truth=0.25).settle([1.0, 2.0])

    assert [call for call in likelihood.calls if call[1] is None] == [(0.25, None, 0.25)]


def test_an_asimov_fit_that_is_undercut_is_made_again():
    likelihood = Stuck(0.5, stops_at=0.25)  # just where it starts from
    profile = Profile(likelihood, 2.0, "asimov", truth=0.25)

    profile.settle([1.0])

    assert [start for _, mu, start in likelihood.calls if mu is None] == [0.25, 1.0]
    assert profile.free.poi == 2.0
    assert profile.notes == [
        "the free fit to asimov data has several minima: two starts ended 3.1 apart; "
        "the lower one is used"
    ]


def test_each_conditional_fit_is_made_once_from_two_starts():
    likelihood = Gaussian(0.5)
    profile = observed(likelihood)

    profile.at(0.0)
    profile.settle([1.0, 2.0, 1.0])
    profile.at(0.0)
    profile.at(2.0)

    conditional = [(mu, start) for _, mu, start in likelihood.calls if mu is not None]
    assert conditional == [(mu, start) for mu in (0.0, 1.0, 2.0) for start in (0.5, None)]


def test_there_is_one_result_a_fit_that_counts_the_free_one_first():
    profile = observed(Gaussian(0.5, sigma=0.5))

    profile.at(0.0)
    profile.settle([1.0, 2.0])

    assert [(fit.mu, fit.kind) for fit in profile.fits] == [
        (None, "free"), (0.0, "conditional"), (1.0, "conditional"), (2.0, "conditional")
    ]  # fmt: skip
    assert [fit.twice_nll for fit in profile.fits] == [0.0, 1.0, 1.0, 9.0]
    assert {(fit.data, fit.converged, fit.iterations, fit.edm) for fit in profile.fits} == {
        ("observed", True, 3, 1e-9)
    }


def test_a_fit_that_fails_from_afar_is_made_from_its_neighbour():
    @dataclass
    class Shy(Gaussian):
        """Beyond 5 it is found only from within 1 of it."""

        def fit(
            self, data: float, mu: float | None = None, start: Any = None, known: Any = ()
        ) -> Minimum:
            if mu is not None and mu > 5 and (start is None or abs(start - mu) > 1):
                raise ConvergenceError("no minimum")
            return super().fit(data, mu, start, known)

    profile = observed(Shy(0.5))
    with pytest.raises(ConvergenceError):
        profile.at(5.5)
    profile.at(4.8)

    assert profile.at(5.5).twice_nll == 25.0


# ---- which one counts ----


@dataclass
class Scripted:
    """Ends where a script says: heights by POI value, one a start; None does not converge."""

    heights: dict[float | None, list[float | None]]
    poi_bounds: tuple[float, float] = (0.0, 10.0)
    observed: str = "data"
    made: list[float | None] = field(default_factory=list)

    def fit(
        self, data: str, mu: float | None = None, start: Any = None, known: Any = ()
    ) -> Minimum:
        turn = self.made.count(mu)
        self.made.append(mu)
        height = self.heights[mu][turn]
        if height is None:
            raise InferenceError(f"start {turn} at {mu} failed")
        return Minimum(f"{mu} {turn}", 0.7 if mu is None else mu, height, turn, None, (f"p{turn}",))

    alternatives: tuple[str, ...] = ()

    def oddity(self, parameters: str, data: str) -> str | None:
        return None


HEIGHT = st.none() | st.floats(0, 10)


@settings(deadline=None)
@given(heights=st.lists(HEIGHT, min_size=2, max_size=2))
def test_the_lowest_of_several_starts_wins(heights):
    likelihood = Scripted({None: [0.0], 1.0: heights})
    profile = Profile(likelihood, "data", "observed")
    converged = [height for height in heights if height is not None]

    if not converged:
        with pytest.raises(InferenceError, match=r"^start 0 at 1.0 failed$"):
            profile.at(1.0)
        return
    lowest = profile.at(1.0)

    assert lowest.twice_nll == min(converged)
    result = profile.fits[-1]
    turn = heights.index(lowest.twice_nll)
    assert (result.twice_nll, result.iterations, result.at_bounds) == (
        lowest.twice_nll, turn, (f"p{turn}",)
    )  # fmt: skip
    assert len(profile.notes) == (max(converged) - min(converged) > SLACK)


@settings(deadline=None)
@given(again=HEIGHT)
def test_the_free_fit_is_the_lower_of_its_two(again):
    heights = {None: [3.0, again], 1.0: [4.0, 4.0, 4.0]}
    profile = Profile(Scripted(heights), "data", "observed")

    profile.settle([1.0])

    assert profile.free.twice_nll == min(3.0, 3.0 if again is None else again)
    assert [fit.twice_nll for fit in profile.fits] == [profile.free.twice_nll, 4.0]


def test_fits_are_made_again_from_a_free_fit_that_turned_out_much_lower():
    heights = {None: [3.0, 1.0], 1.0: [4.0, 4.0, 2.0], 2.0: [5.0, 5.0, 6.0]}
    profile = Profile(Scripted(heights), "data", "observed")

    profile.settle([1.0, 2.0])

    assert [fit.twice_nll for fit in profile.fits] == [1.0, 2.0, 5.0]


def test_more_starts_are_made_where_a_poi_value_is_against_the_data():
    likelihood = Scripted({None: [0.0], 1.0: [3.0, 3.0, 2.0], 0.5: [0.5, 0.5]})
    likelihood.alternatives = ("elsewhere",)
    profile = Profile(likelihood, "data", "observed")

    assert profile.at(1.0).twice_nll == 2.0
    assert "several minima: two starts ended 1 apart" in profile.notes[0]
    assert profile.at(0.5).twice_nll == 0.5
    assert likelihood.made == [None, 1.0, 1.0, 1.0, 0.5, 0.5]


def test_a_first_free_fit_that_fails_is_an_error():
    with pytest.raises(InferenceError, match=r"^start 0 at None failed$"):
        Profile(Scripted({None: [None]}), "data", "observed")


def test_of_two_minima_the_lower_is_used_and_noted():
    profile = observed(TwoMinima(0.5))

    assert profile.at(1.0) == Gaussian(0.5).minimum(1.0, 0.5)
    assert profile.notes == [
        "the fit to observed data at mu = 1 has several minima: two starts ended 2.5 apart; "
        "the lower one is used"
    ]
    assert profile.fits[-1].iterations == 3  # of the fit that counts


def test_two_starts_that_end_together_are_not_worth_a_note():
    profile = observed(TwoMinima(0.5, above=SLACK / 2))

    profile.settle([0.0, 1.0])

    assert profile.notes == []


def test_one_start_that_does_not_converge_is_no_error():
    profile = observed(TwoMinima(0.5, failing=True))

    profile.settle([1.0])

    assert profile.at(1.0).twice_nll == 0.25
    assert profile.notes == []


def test_a_free_fit_that_stops_too_high_is_made_again_and_noted():
    profile = observed(Stuck(0.5))

    profile.settle([1.0])

    assert profile.free.poi == 0.5
    assert profile.notes == [
        "the free fit to observed data has several minima: two starts ended 56 apart; "
        "the lower one is used"
    ]
    assert profile.fits[0].twice_nll == 0.0


def test_a_free_fit_is_made_again_from_any_fit_known_before():
    # it stops below the tested point, but above the fit at mu = 0
    likelihood = Stuck(0.1, stops_at=0.8)
    profile = observed(likelihood)
    profile.at(0.0)

    profile.settle([5.0])

    assert (0.1, None, 0.0) in likelihood.calls
    assert profile.free.poi == 0.1


def test_a_free_fit_that_stays_too_high_is_an_error():
    profile = observed(Stuck(0.7, for_good=True))

    with pytest.raises(ConvergenceError, match=r"free fit to observed data stays above .* mu = 1;"):
        profile.settle([1.0])


def test_a_free_fit_that_stays_within_the_slack_is_left_alone():
    heights = {None: [SLACK / 2, SLACK / 2], 1.0: [0.0, 0.0]}
    profile = Profile(Scripted(heights), "data", "observed")

    profile.settle([1.0])

    assert profile.notes == []
    assert profile.statistic(1.0, "qtilde") == 0.0


@dataclass
class Odd(Gaussian):
    """Something is odd about every minimum."""

    def minimum(self, poi: float, data: float) -> Minimum:
        return super().minimum(poi, data)

    def oddity(self, parameters: float, data: float) -> str | None:
        return "is odd"


def test_what_is_odd_about_a_fit_that_counts_is_noted_once():
    profile = observed(Odd(0.5))

    profile.settle([1.0])

    assert sorted(profile.notes) == [
        "the fit to observed data at mu = 1 is odd",
        "the free fit to observed data is odd",
    ]


# ---- test statistics ----


@settings(deadline=None)
@given(x=st.floats(-5, 5), mu=st.floats(-4, 4))
def test_q_is_0_above_mu_and_q0_below_0(x, mu):
    profile = observed(Gaussian(x))
    profile.settle([mu, 0.0])

    q, q0 = profile.statistic(mu, "q"), profile.statistic(0.0, "q0")

    assert q == pytest.approx((mu - x) ** 2 if x <= mu else 0.0)
    assert q0 == pytest.approx(x**2 if x >= 0 else 0.0)


def test_qtilde_compares_with_no_signal_where_the_fit_prefers_a_negative_one():
    profile = observed(Gaussian(-1.5))
    profile.settle([2.0])

    assert profile.statistic(2.0, "qtilde") == 3.5**2 - 1.5**2
    assert profile.statistic(2.0, "q") == 3.5**2


def test_a_bounded_signal_makes_no_difference_to_qtilde():
    free, bounded = observed(Gaussian(-1.5)), observed(Gaussian(-1.5, poi_bounds=(0.0, 10.0)))
    for profile in (free, bounded):
        profile.settle([2.0])

    assert bounded.statistic(2.0, "qtilde") == free.statistic(2.0, "qtilde")
    assert replace(bounded.free, at_bounds=()) == free.at(0.0)
