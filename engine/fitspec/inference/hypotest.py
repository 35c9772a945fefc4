"""Hypothesis tests of POI values: which fits are needed, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from fitspec.bestfit import BestFit
from fitspec.errors import InferenceError
from fitspec.inference.asymptotics import discovery_p_values, p_values
from fitspec.inference.likelihood import Likelihood
from fitspec.inference.profile import Profile
from fitspec.inference.question import FitQuestion, Question
from fitspec.results import Discovery, HypothesisTest, Outcome


def test_hypotheses(likelihood: Likelihood, question: Question) -> Outcome:
    """Test every POI value of a question asymptotically, with observed and expected p-values.

    The expected values come from the Asimov data of a fit to the observed data ("post-fit"), as in
    pyhf: of the background-only fit for limits, of the fit at POI 1 for a discovery.

    Where the question asks for a fit, too, it is the one to the observed data that the tests use.

    Raises:
        InferenceError: a POI value outside its bounds, or a test without any power.
        ConvergenceError: a fit that did not converge, or fits that contradict each other.
    """
    discovery = question.test_statistic == "q0"
    tested, truth = ([0.0], 1.0) if discovery else (list(question.mus), 0.0)
    kept = [] if question.fit is None or question.fit.mu is None else [question.fit.mu]
    _require_inside([*tested, truth, *kept], likelihood.poi_bounds)
    observed = Profile(likelihood, likelihood.observed, "observed")
    observed.settle([truth, *tested, *kept])
    made_of = observed.at(truth).parameters
    asimov = Profile(likelihood, likelihood.asimov(made_of), "asimov", truth=made_of)
    asimov.settle(tested)
    return Outcome(
        status="ok",
        tests=() if discovery else _tests(observed, asimov, question),
        mu_hat=observed.free.poi,
        discovery=_discovery(observed, asimov) if discovery else None,
        fit=None if question.fit is None else _best_fit(likelihood, observed, question.fit),
        fits=(*observed.fits, *asimov.fits),
        notes=(*_notes_on_bounds(likelihood, question), *observed.notes, *asimov.notes),
    )


def fit_observed(likelihood: Likelihood, asked: FitQuestion) -> Outcome:
    """A fit to the observed data for its own sake, without any test.

    Raises:
        InferenceError: a POI value outside its bounds.
        ConvergenceError: a fit that did not converge, or fits that contradict each other.
    """
    observed = Profile(likelihood, likelihood.observed, "observed")
    observed.explore()
    if asked.mu is not None:
        _require_inside([asked.mu], likelihood.poi_bounds)
        observed.settle([asked.mu])
    fit = _best_fit(likelihood, observed, asked)
    return Outcome(
        status="ok",
        mu_hat=None if fit.poi is None else observed.free.poi,
        fit=fit,
        fits=tuple(observed.fits),
        notes=tuple(observed.notes),
    )


def _best_fit(likelihood: Likelihood, observed: Profile, asked: FitQuestion) -> BestFit:
    minimum = observed.free if asked.mu is None else observed.at(asked.mu)
    return likelihood.best_fit(minimum, asked)


def _tests(observed: Profile, asimov: Profile, question: Question) -> tuple[HypothesisTest, ...]:
    tests = []
    for mu in question.mus:
        q = observed.statistic(mu, question.test_statistic)
        q_asimov = asimov.statistic(mu, question.test_statistic)
        p = p_values(q, q_asimov, question.test_statistic)
        tests.append(HypothesisTest(mu, p.CLs, p.CLs_exp, p.p_sb, p.p_b, q, q_asimov))
    return tuple(tests)


def _discovery(observed: Profile, asimov: Profile) -> Discovery:
    q0, q0_asimov = observed.statistic(0.0, "q0"), asimov.statistic(0.0, "q0")
    p0, band = discovery_p_values(q0, q0_asimov)
    return Discovery(p0, band, math.sqrt(q0), q0, q0_asimov)


def _require_inside(mus: Iterable[float], bounds: tuple[float, float]) -> None:
    low, high = bounds
    for mu in mus:
        if not low <= mu <= high:
            raise InferenceError(f"mu = {mu:g} is outside the POI's bounds [{low:g}, {high:g}]")


def _notes_on_bounds(likelihood: Likelihood, question: Question) -> list[str]:
    if question.test_statistic == "q" and likelihood.poi_bounds[0] >= 0:
        return ["the POI cannot be negative, so the fits of q are those of qtilde"]
    return []
