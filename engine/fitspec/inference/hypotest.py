"""Hypothesis tests of POI values: which fits are needed, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from fitspec.errors import InferenceError
from fitspec.inference.asymptotics import discovery_p_values, p_values
from fitspec.inference.likelihood import Likelihood
from fitspec.inference.profile import Profile
from fitspec.inference.question import Question
from fitspec.inference.toys import toy_discovery, toy_test
from fitspec.results import Discovery, HypothesisTest, Outcome


def test_hypotheses(likelihood: Likelihood, question: Question) -> Outcome:
    """Test every POI value of a question, with observed and expected p-values.

    p-values are asymptotic, or from toys where the question asks for some. The expected values come
    from the Asimov data, or toys, of a fit to the observed data ("post-fit"), as in pyhf: of the
    background-only fit for limits, of the fit at POI 1 for a discovery.

    Raises:
        InferenceError: a POI value outside its bounds, a test without any power, or toys that
            tell nothing.
        ConvergenceError: a fit that did not converge, or fits that contradict each other.
    """
    discovery = question.test_statistic == "q0"
    tested, truth = ([0.0], 1.0) if discovery else (list(question.mus), 0.0)
    _require_inside([*tested, truth], likelihood.poi_bounds)
    observed = Profile(likelihood, likelihood.observed, "observed")
    observed.settle([truth, *tested])
    made_of = observed.at(truth).parameters
    asimov = Profile(likelihood, likelihood.asimov(made_of), "asimov", truth=made_of)
    asimov.settle(tested)
    return Outcome(
        status="ok",
        tests=() if discovery else _tests(likelihood, observed, asimov, question),
        mu_hat=observed.free.poi,
        discovery=_discovery(likelihood, observed, asimov, question) if discovery else None,
        fits=(*observed.fits, *asimov.fits),
        notes=(*_notes_on_bounds(likelihood, question), *observed.notes, *asimov.notes),
    )


def _tests(
    likelihood: Likelihood, observed: Profile, asimov: Profile, question: Question
) -> tuple[HypothesisTest, ...]:
    tests = []
    for mu in question.mus:
        q_asimov = asimov.statistic(mu, question.test_statistic)
        if question.toys is not None:
            tests.append(toy_test(likelihood, observed, mu, q_asimov, question))
            continue
        q = observed.statistic(mu, question.test_statistic)
        p = p_values(q, q_asimov, question.test_statistic)
        tests.append(HypothesisTest(mu, p.CLs, p.CLs_exp, p.p_sb, p.p_b, q, q_asimov))
    return tuple(tests)


def _discovery(
    likelihood: Likelihood, observed: Profile, asimov: Profile, question: Question
) -> Discovery:
    q0_asimov = asimov.statistic(0.0, "q0")
    if question.toys is not None:
        return toy_discovery(likelihood, observed, q0_asimov, question)
    q0 = observed.statistic(0.0, "q0")
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
