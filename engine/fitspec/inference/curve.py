"""CLs as a function of the tested POI value: the fits behind it, observed and expected."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from fitspec.inference.asymptotics import PValues, expected_band, p_values
from fitspec.inference.likelihood import Likelihood
from fitspec.inference.profile import SLACK, Profile
from fitspec.inference.question import Question
from fitspec.outcome import FitResult, HypothesisTest

ROOM = 2.0
"""A bound of the POI that is in the way of a limit moves this much further than asked."""


class Curve:
    """The asymptotic CLs curve of one likelihood.

    The observed p-values are those of the observed data and of the Asimov data that the
    background-only fit to them predicts. The expected ones are those of the same Asimov data
    ("post-fit"), or of what the nominal model predicts ("pre-fit").

    Args:
        likelihood: of the model.
        question: its test statistic, and where the expected values come from.

    Raises:
        InferenceError: a fit that did not converge.
    """

    def __init__(self, likelihood: Likelihood, question: Question) -> None:
        self._likelihood = likelihood
        self._statistic = question.test_statistic
        self._bound = likelihood.poi_bounds[1]
        self.observed = Profile(likelihood, likelihood.observed, "observed")
        self.observed.settle([0.0, *question.mus])
        self._background = self.observed.at(0.0)
        self._asimov = self._expected = self._predicted()
        if question.expected == "pre-fit":
            nominal = likelihood.nominal(0.0)
            self._expected = Profile(
                likelihood, likelihood.asimov(nominal), "pre-fit asimov", truth=nominal
            )
        self.settle(question.mus)

    def _remake_asimov(self) -> None:
        self._background = self.observed.at(0.0)
        predicted = self._predicted()
        if self._expected is self._asimov:
            self._expected = predicted
        self._asimov = predicted

    def _predicted(self) -> Profile:
        """The profile of the Asimov data of the background-only fit."""
        made_of = self._background.parameters
        return Profile(self._likelihood, self._likelihood.asimov(made_of), "asimov", truth=made_of)

    @property
    def _profiles(self) -> list[Profile]:
        return list(dict.fromkeys([self.observed, self._asimov, self._expected]))

    @property
    def notes(self) -> list[str]:
        """What is odd about the fits, and how far the POI had to go."""
        notes = [note for profile in self._profiles for note in profile.notes]
        if (bound := self._likelihood.poi_bounds[1]) > self._bound:
            notes.append(
                f"the POI's upper bound {self._bound:g} was in the way of a limit: "
                f"it was moved to {bound:.4g}"
            )
        return notes

    def fits(self, mus: Iterable[float]) -> list[FitResult]:
        """The free fits, and the conditional ones at, or nearest to, these POI values."""
        wanted = list(mus)
        return [fit for profile in self._profiles for fit in _nearest(profile.fits, wanted)]

    def settle(self, mus: Iterable[float] = ()) -> bool:
        """Make the fits at these POI values, and see that no free fit stays above any fit so far.

        Returns:
            True if nothing changed that was known before.

        Raises:
            ConvergenceError: a free fit stays above a conditional one.
        """
        mus = list(mus)
        before = [profile.free for profile in self._profiles]
        self.observed.settle(mus)
        if self.observed.at(0.0).twice_nll < self._background.twice_nll - SLACK:
            self._remake_asimov()  # other parameters predict other data
        for profile in self._profiles[1:]:
            profile.settle(mus)
        return all(
            profile.free.twice_nll == free.twice_nll
            for profile, free in zip(self._profiles, before, strict=True)
        )

    def p_values(self, mu: float) -> PValues:
        """Observed p-values of a POI value, which may be beyond the upper bound."""
        self._reach(mu)
        return p_values(*self._statistics(mu), self._statistic)

    def expected_root(self, mu: float) -> float:
        """sqrt(q) of the expected values' Asimov data: mu in units of its standard deviation."""
        self._reach(mu)
        return math.sqrt(self._expected.statistic(mu, self._statistic))

    def test(self, mu: float) -> HypothesisTest:
        """Observed and expected p-values of a POI value, which may be beyond the upper bound."""
        self._reach(mu)
        q, q_asimov = self._statistics(mu)
        p = p_values(q, q_asimov, self._statistic)
        band = expected_band(self._expected.statistic(mu, self._statistic))
        return HypothesisTest(mu, p.CLs, band, p.p_sb, p.p_b, q, q_asimov)

    def _statistics(self, mu: float) -> tuple[float, float]:
        """Test statistics of the observed and of the Asimov data."""
        name = self._statistic
        return self.observed.statistic(mu, name), self._asimov.statistic(mu, name)

    def _reach(self, mu: float) -> None:
        """Move the POI's upper bound out of the way, and see what the free fits do then."""
        bound = self._likelihood.poi_bounds[1]
        if mu > bound:
            self._likelihood.widen(ROOM * mu)
            for profile in self._profiles:
                profile.release(bound)


def _nearest(fits: Sequence[FitResult], mus: Iterable[float]) -> list[FitResult]:
    """Of the conditional fits those at, or nearest to, some POI values; all others."""
    made = [fit.mu for fit in fits if fit.mu is not None]
    wanted = {min(made, key=lambda m: abs(m - mu)) for mu in mus if made}
    return [fit for fit in fits if fit.mu is None or fit.mu in wanted]
