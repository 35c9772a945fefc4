"""What is asked of a likelihood: tests of POI values, upper limits, a discovery."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from fitspec.bestfit import BestFit
from fitspec.errors import InferenceError
from fitspec.inference.asymptotics import discovery_p_values
from fitspec.inference.curve import Curve
from fitspec.inference.likelihood import DataName, Likelihood
from fitspec.inference.limits import Limits, find_limits, interpolate_limits
from fitspec.inference.profile import Profile
from fitspec.inference.question import FitQuestion, Question
from fitspec.inference.toy_limits import toy_limits
from fitspec.inference.toys import toy_discovery, toy_test
from fitspec.outcome import Discovery, HypothesisTest, Outcome


def test_hypotheses(likelihood: Likelihood, question: Question) -> Outcome:
    """Answer a question: observed and expected p-values, and upper limits.

    They are asymptotic, or from toys where the question asks for some. Where it asks for a fit,
    too, that is the one to the observed data that the tests use.

    Raises:
        InferenceError: a POI value outside its bounds, a test without any power, or toys that tell
            nothing. A limit that is not to be found is an outcome with its reason, and with the
            tests.
        ConvergenceError: a fit that did not converge, or fits that contradict each other.
    """
    if question.test_statistic == "q0":
        return _discover(likelihood, question)
    kept = _kept(question)
    _require_inside([*question.mus, *kept, 0.0], likelihood.poi_bounds)
    curve = Curve(likelihood, question)
    curve.observed.settle(kept)

    def test(mu: float) -> HypothesisTest:
        asymptotic = curve.test(mu)
        if question.toys is None:
            return asymptotic
        return toy_test(likelihood, curve.observed, mu, asymptotic.q_asimov, question)

    limits, reason = None, None
    try:  # before the tests: a search may find lower minima, which the tests then use
        limits = _searched(curve, question, likelihood.poi_bounds[1])
    except InferenceError as error:  # what the tests find is right all the same
        reason = f"{type(error).__name__}: {error}"
    tests = tuple(test(mu) for mu in question.mus)
    try:
        limits = limits if reason else _by_tests(limits, tests, test, question)
    except InferenceError as error:
        limits, reason = None, f"{type(error).__name__}: {error}"
    at = [] if limits is None else [limits.observed, *limits.expected]
    return Outcome(
        status="ok" if reason is None else "error",
        tests=tests,
        **({} if limits is None else limits.fields()),
        mu_hat=curve.observed.free.poi,
        fit=_best_fit(likelihood, curve.observed, question.fit),
        fits=tuple(curve.fits([0.0, *question.mus, *kept, *at])),
        notes=(*_notes_on_bounds(likelihood, question), *curve.notes),
        error=reason,
    )


def _searched(curve: Curve, question: Question, bound: float) -> Limits | None:
    """Limits by root finding, which begins at a tested value, or 1, within the POI's bound."""
    if question.level is None or question.method == "scan":
        return None
    start = next((mu for mu in question.mus if mu > 0), 1.0)
    return find_limits(curve, question.level, min(start, bound) if bound > 0 else start)


def _by_tests(
    searched: Limits | None,
    tests: Sequence[HypothesisTest],
    test: Callable[[float], HypothesisTest],
    question: Question,
) -> Limits | None:
    """Limits that are made of tests, of a scan or by toys; else those that were searched for."""
    if question.level is not None and question.method == "scan":
        return interpolate_limits(tests, question.level)
    if searched is None or question.level is None or question.toys is None:
        return searched
    return toy_limits(test, searched, question.level)


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
        mu_hat=None if fit is None or fit.poi is None else observed.free.poi,
        fit=fit,
        fits=tuple(observed.fits),
        notes=tuple(observed.notes),
    )


def _kept(question: Question) -> list[float]:
    """The POI value of the fit that is asked for, where it is not the free one."""
    return [] if question.fit is None or question.fit.mu is None else [question.fit.mu]


def _best_fit(
    likelihood: Likelihood, observed: Profile, asked: FitQuestion | None
) -> BestFit | None:
    if asked is None:
        return None
    minimum = observed.free if asked.mu is None else observed.at(asked.mu)
    return likelihood.best_fit(minimum, asked)


def _discover(likelihood: Likelihood, question: Question) -> Outcome:
    """The test of the background-only hypothesis, expected values being those of a POI of 1."""
    kept = _kept(question)
    _require_inside([0.0, 1.0, *kept], likelihood.poi_bounds)
    observed = Profile(likelihood, likelihood.observed, "observed")
    observed.settle([1.0, 0.0, *kept])
    pre_fit = question.expected == "pre-fit"
    made_of = likelihood.nominal(1.0) if pre_fit else observed.at(1.0).parameters
    name: DataName = "pre-fit asimov" if pre_fit else "asimov"
    asimov = Profile(likelihood, likelihood.asimov(made_of), name, truth=made_of)
    asimov.settle([0.0])
    q0, q0_asimov = observed.statistic(0.0, "q0"), asimov.statistic(0.0, "q0")
    if question.toys is None:
        p0, band = discovery_p_values(q0, q0_asimov)
        discovery = Discovery(p0, band, math.sqrt(q0), q0, q0_asimov)
    else:
        discovery = toy_discovery(likelihood, observed, q0_asimov, question)
    return Outcome(
        status="ok",
        mu_hat=observed.free.poi,
        discovery=discovery,
        fit=_best_fit(likelihood, observed, question.fit),
        fits=(*observed.fits, *asimov.fits),
        notes=(*observed.notes, *asimov.notes),
    )


def _require_inside(mus: Iterable[float], bounds: tuple[float, float]) -> None:
    low, high = bounds
    for mu in mus:
        if not low <= mu <= high:
            raise InferenceError(f"mu = {mu:g} is outside the POI's bounds [{low:g}, {high:g}]")


def _notes_on_bounds(likelihood: Likelihood, question: Question) -> list[str]:
    if question.test_statistic == "q" and likelihood.poi_bounds[0] >= 0:
        return ["the POI cannot be negative, so the fits of q are those of qtilde"]
    return []
