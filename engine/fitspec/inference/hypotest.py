"""Hypothesis tests of POI values: which fits are needed, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fitspec.errors import InferenceError
from fitspec.inference.asymptotics import p_values
from fitspec.inference.likelihood import DataName, Likelihood, Minimum
from fitspec.inference.question import Question
from fitspec.results import FitResult, HypothesisTest, Outcome

SLACK = 1e-4
"""How far, in -2 ln L, a free fit may stop above a conditional one before it is wrong."""


def test_hypotheses(likelihood: Likelihood, question: Question) -> Outcome:
    """Test every POI value of a question asymptotically, with observed and expected CLs.

    The expected values come from the Asimov data of the background-only fit to the observed data
    ("post-fit"), as in pyhf.

    Raises:
        InferenceError: a POI value outside its bounds, a fit that did not converge, or fits that
            contradict each other.
    """
    _require_inside(question.mus, likelihood.poi_bounds)
    _require_inside([0.0], likelihood.poi_bounds)  # for the background-only fit
    observed = _Profile(likelihood, likelihood.observed, "observed")
    background = observed.at(0.0).parameters
    # the free fit to Asimov data starts from its minimum: the parameters that made the data
    asimov = _Profile(likelihood, likelihood.asimov(background), "asimov", start=background)
    for profile in (observed, asimov):
        profile.fit_all(question.mus)

    tests = []
    for mu in question.mus:
        q = observed.statistic(mu, question.test_statistic)
        q_asimov = asimov.statistic(mu, question.test_statistic)
        p = p_values(q, q_asimov, question.test_statistic)
        tests.append(HypothesisTest(mu, p.CLs, p.CLs_exp, p.p_sb, p.p_b, q, q_asimov))
    return Outcome(
        status="ok",
        tests=tuple(tests),
        mu_hat=observed.free.poi,
        fits=(*observed.fits, *asimov.fits),
        notes=(*_notes_on_bounds(likelihood, question), *observed.notes, *asimov.notes),
    )


class _Profile:
    """The profile likelihood of one data set: a free fit and conditional ones, each done once."""

    def __init__(
        self, likelihood: Likelihood, data: Any, name: DataName, start: Any = None
    ) -> None:
        self._likelihood = likelihood
        self._data = data
        self._name = name
        self._conditional: dict[float, Minimum] = {}
        self.fits: list[FitResult] = []
        self.notes: list[str] = []
        self.free = self._fit(None, start)

    def at(self, mu: float) -> Minimum:
        """The conditional fit at a POI value."""
        if mu not in self._conditional:
            self._conditional[mu] = self._lowest(mu)
        return self._conditional[mu]

    def fit_all(self, mus: Iterable[float]) -> None:
        """All conditional fits; a free fit that one of them undercuts is done again from there."""
        known = [*mus, *self._conditional]
        lowest_mu = min(known, key=lambda mu: self.at(mu).twice_nll)
        lowest = self.at(lowest_mu)
        gap = self.free.twice_nll - lowest.twice_nll
        if gap <= SLACK:
            return
        self.free = self._fit(None, lowest.parameters)
        self.notes.append(
            f"the free fit to {self._name} data stopped {gap:.2g} above the fit at "
            f"mu = {lowest_mu:g}, a local minimum; it was done again from there"
        )
        if self.free.twice_nll - lowest.twice_nll > SLACK:
            raise InferenceError(
                f"the free fit to {self._name} data stays above the fit at mu = {lowest_mu:g}",
                "try another optimizer",
            )

    def statistic(self, mu: float, name: str) -> float:
        """q_mu (arXiv:1007.1727 eq. 14) or q~_mu (eq. 16).

        For q~ the denominator is the fit at mu = 0 where the free fit prefers a negative signal;
        with a POI bounded at 0 the free fit is that fit.
        """
        if self.free.poi > mu:
            return 0.0
        below_zero = name == "qtilde" and self.free.poi < 0
        denominator = self.at(0.0) if below_zero else self.free
        return max(0.0, self.at(mu).twice_nll - denominator.twice_nll)

    def _lowest(self, mu: float) -> Minimum:
        """The lower of two minima: from the measurement's starting values, and from the free fit.

        Interpolated systematics make some likelihoods multi-modal; each start may be caught.
        """
        found, failures = [], []
        for start in (None, self.free.parameters):
            try:
                found.append(self._likelihood.fit(self._data, mu, start))
            except InferenceError as error:
                failures.append(error)
        if not found:
            raise failures[0]
        lowest = min(found, key=lambda minimum: minimum.twice_nll)
        gap = max(minimum.twice_nll for minimum in found) - lowest.twice_nll
        if gap > SLACK:
            self.notes.append(
                f"the fit to {self._name} data at mu = {mu:g} has several minima: "
                f"two starts ended {gap:.2g} apart; the lower one is used"
            )
        return self._record(mu, lowest)

    def _fit(self, mu: float | None, start: Any = None) -> Minimum:
        return self._record(mu, self._likelihood.fit(self._data, mu, start))

    def _record(self, mu: float | None, minimum: Minimum) -> Minimum:
        self.fits.append(
            FitResult(
                kind="free" if mu is None else "conditional",
                data=self._name,
                mu=mu,
                twice_nll=minimum.twice_nll,
                converged=True,
                iterations=minimum.iterations,
                edm=minimum.edm,
            )
        )
        return minimum


def _require_inside(mus: Iterable[float], bounds: tuple[float, float]) -> None:
    low, high = bounds
    for mu in mus:
        if not low <= mu <= high:
            raise InferenceError(f"mu = {mu:g} is outside the POI's bounds [{low:g}, {high:g}]")


def _notes_on_bounds(likelihood: Likelihood, question: Question) -> list[str]:
    if question.test_statistic == "q" and likelihood.poi_bounds[0] >= 0:
        return ["the POI cannot be negative, so the fits of q are those of qtilde"]
    return []
