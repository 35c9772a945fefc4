"""Best fits whose values, uncertainties and correlations are closed forms."""

from __future__ import annotations

import math
from typing import Any

import pyhf
import pytest
from build import (
    LUMI,
    background,
    histosys,
    lumi,
    modifier,
    normfactor,
    region,
    sample,
    shapesys,
    signal,
    staterror,
    workspace,
)

from fitspec.bestfit import BestFit, FittedParameter
from fitspec.errors import InferenceError
from fitspec.histfactory.model import Compiler
from fitspec.inference import FitQuestion, Question, fit_observed
from fitspec.inference import test_hypotheses as run_tests  # pytest would collect the name itself
from fitspec.inference.backends.native import NativeLikelihood
from fitspec.inference.backends.pyhf import open_likelihood
from fitspec.outcome import Outcome

N, S, B, DELTA = 60.0, 10.0, 50.0, 4.0
"""Observed; signal; background and its uncertainty."""


def counting(n: float = N) -> dict[str, Any]:
    """n events where mu s + b + delta alpha are expected: linear, so that all is a closed form."""
    return workspace(
        region([n], signal([S]), background([B], histosys("jes", [B - DELTA], [B + DELTA])))
    )


def question(asked: FitQuestion, *codes: str, mus: tuple[float, ...] = ()) -> Question:
    normsys, histosys_code = codes or ("code4", "code4p")
    return Question("fit", mus, "qtilde", normsys, histosys_code, "native", "", "", fit=asked)


def outcome(content: dict[str, Any], *codes: str, **asked: Any) -> Outcome:
    whole = question(FitQuestion(**asked), *codes)
    likelihood = NativeLikelihood(Compiler(content), content, whole)
    return fit_observed(likelihood, whole.fit)


def fitted(content: dict[str, Any], *codes: str, **asked: Any) -> BestFit:
    found = outcome(content, *codes, **asked)
    found.require_finite()
    return found.fit


def parameter(fit: BestFit, name: str) -> FittedParameter:
    return next(p for p in fit.parameters if p.name == name)


# ---- closed forms ----


def test_one_bin_with_a_gaussian_background():
    found = outcome(counting())
    mu, jes = found.fit.signal, parameter(found.fit, "jes")

    assert mu.value == pytest.approx((N - B) / S, rel=1e-5)
    assert mu.uncertainty == pytest.approx(math.sqrt(N + DELTA**2) / S, rel=1e-5)
    assert (mu.pull, mu.constraint, mu.nominal, mu.nominal_uncertainty) == (None,) * 4
    assert (jes.value, jes.pull) == (pytest.approx(0, abs=1e-6),) * 2
    assert (jes.uncertainty, jes.constraint) == (pytest.approx(1, rel=1e-5),) * 2
    assert (jes.nominal, jes.nominal_uncertainty) == (0.0, 1.0)
    assert found.mu_hat == mu.value
    assert found.tests == ()
    assert found.notes == found.fit.notes == ()
    assert [(f.kind, f.data, f.twice_nll) for f in found.fits] == [
        ("free", "observed", found.fit.twice_nll)
    ]


def test_correlations_of_one_bin():
    correlations = fitted(counting(), correlations=True).correlations

    rho = -DELTA / math.sqrt(N + DELTA**2)
    assert correlations.names == ("jes", "mu")
    assert correlations.matrix[0] == (1.0, pytest.approx(rho, rel=1e-5))
    assert correlations.matrix[1] == (pytest.approx(rho, rel=1e-5), 1.0)


def test_a_normalisation_from_a_control_region():
    n, m, c = 60.0, 420.0, 400.0
    content = workspace(
        region([n], signal([S]), background([B], normfactor("k"))),
        region([m], background([c], normfactor("k")), name="CR"),
    )
    fit = fitted(content, correlations=True)
    k = parameter(fit, "k")

    variance_k, variance_mu = m / c**2, (n + B**2 * m / c**2) / S**2
    assert (k.value, k.uncertainty) == pytest.approx((m / c, math.sqrt(variance_k)), rel=1e-5)
    assert fit.signal.value == pytest.approx((n - B * m / c) / S, rel=1e-5)
    assert fit.signal.uncertainty == pytest.approx(math.sqrt(variance_mu), rel=1e-5)
    rho = -B / S * math.sqrt(variance_k / variance_mu)
    assert fit.correlations.matrix[0][1] == pytest.approx(rho, rel=1e-5)


def test_a_poisson_constraint_is_a_measurement_of_its_own():
    content = workspace(region([N], signal([S]), background([B], shapesys("fakes", [5.0]))))
    fit = fitted(content)
    gamma, rate = parameter(fit, "fakes[0]"), (B / 5.0) ** 2

    assert (gamma.nominal, gamma.nominal_uncertainty) == pytest.approx((1, rate**-0.5), rel=1e-12)
    assert (gamma.value, gamma.constraint) == (pytest.approx(1, rel=1e-5),) * 2
    assert gamma.pull == pytest.approx(0, abs=1e-5)
    assert fit.signal.uncertainty == pytest.approx(math.sqrt(N + B**2 / rate) / S, rel=1e-5)


def test_a_poisson_constraint_with_auxiliary_data_of_its_own():
    given = {"name": "fakes", "auxdata": [110.25], "factors": [100.0]}
    content = workspace(
        region([N], signal([S]), background([B], shapesys("fakes", [5.0]))), parameters=[given]
    )
    gamma = parameter(fitted(content), "fakes[0]")

    assert (gamma.nominal, gamma.nominal_uncertainty) == pytest.approx((1.1025, 0.105), rel=1e-12)
    assert gamma.value == pytest.approx(1.1025, rel=1e-5)


def test_a_measurement_that_cannot_be_absorbed_constrains_and_pulls():
    """At mu = 0: H = delta^2 / b + 1 where n = b; the pull solves a quadratic equation."""
    fit = fitted(counting(B), mu=0.0)
    jes = parameter(fit, "jes")
    assert jes.constraint == pytest.approx((DELTA**2 / B + 1) ** -0.5, rel=1e-5)
    assert (fit.mu, fit.signal.value, fit.signal.uncertainty) == (0.0, 0.0, None)
    assert fit.signal.fixed
    assert not jes.fixed

    # delta (1 - n / (b + delta a)) + a = 0
    p, q = DELTA + B / DELTA, B - N
    pull = (-p + math.sqrt(p**2 - 4 * q)) / 2
    assert parameter(fitted(counting(), mu=0.0), "jes").pull == pytest.approx(pull, rel=1e-5)


def test_a_luminosity_has_the_uncertainty_of_the_measurement():
    content = workspace(
        region([N], signal([S], lumi()), background([B], lumi())), parameters=[LUMI]
    )
    found = parameter(fitted(content), "lumi")

    assert (found.nominal, found.nominal_uncertainty) == (1.0, 0.02)
    assert found.constraint == pytest.approx(1, rel=1e-5)


def test_with_tests_the_fit_is_theirs():
    content, asked = counting(), FitQuestion(alone=False)
    whole = question(asked, mus=(1.0, 2.0))
    found = run_tests(NativeLikelihood(Compiler(content), content, whole), whole)

    assert len(found.tests) == 2
    assert found.fit.signal.value == found.mu_hat
    assert found.fit.twice_nll == found.fits[0].twice_nll
    assert found.fit.parameters == fitted(content).parameters


def test_a_fit_at_a_value_of_its_own_is_among_the_fits_of_the_tests():
    content, asked = counting(), FitQuestion(mu=2.5, alone=False)
    whole = question(asked, mus=(1.0,))
    found = run_tests(NativeLikelihood(Compiler(content), content, whole), whole)

    at = next(fit for fit in found.fits if fit.mu == 2.5)
    assert (found.fit.mu, found.fit.twice_nll) == (2.5, at.twice_nll)


@pytest.mark.parametrize("alone", [True, False])
def test_a_value_outside_the_bounds_is_refused(alone):
    content = counting()
    whole = question(FitQuestion(mu=-1.0, alone=alone), mus=(1.0,))
    likelihood = NativeLikelihood(Compiler(content), content, whole)

    with pytest.raises(InferenceError, match=r"mu = -1 is outside the POI's bounds \[0, 10\]"):
        fit_observed(likelihood, whole.fit) if alone else run_tests(likelihood, whole)


def test_the_pyhf_backend_says_that_it_cannot():
    content = counting()
    whole = Question(
        "fit", (), "qtilde", "code4", "code4p", "pyhf", "numpy", "scipy", fit=FitQuestion()
    )

    with (
        open_likelihood(content, whole) as theirs,
        pytest.raises(InferenceError, match=r"no exact Hessian .*backend.name = \"native\""),
    ):
        fit_observed(theirs, whole.fit)


# ---- what a fit cannot say ----


def test_a_parameter_at_its_bound_has_no_uncertainty_and_is_named():
    fit = fitted(counting(40.0), correlations=True)
    jes = parameter(fit, "jes")

    assert fit.signal.at_bound
    assert (fit.signal.value, fit.signal.uncertainty) == (0.0, None)
    assert fit.notes == ("uncertainties are those with mu kept at the bound",)
    assert fit.correlations.names == ("jes",)
    # that of a fit without signal
    expected = 1 + DELTA**2 * 40 / (B + DELTA * jes.value) ** 2
    assert jes.uncertainty == pytest.approx(expected**-0.5, rel=1e-5)
    assert jes.uncertainty == parameter(fitted(counting(40.0), mu=0.0), "jes").uncertainty


def test_fixed_parameters_have_a_value_and_nothing_else():
    fixed = {"name": "jes", "fixed": True, "inits": [0.5]}
    content = counting()
    content["measurements"][0]["config"]["parameters"].append(fixed)
    fit = fitted(content)

    assert parameter(fit, "jes") == FittedParameter("jes", 0.5, fixed=True)
    assert fit.signal.uncertainty == pytest.approx(math.sqrt(N) / S, rel=1e-5)


def test_parameters_without_statistical_error_are_fixed():
    content = workspace(
        region([N, 30.0], signal([S, 5.0]), background([B, 25.0], staterror("stat", [3.0, 0.0])))
    )
    fit = fitted(content)

    assert parameter(fit, "stat[1]") == FittedParameter("stat[1]", 1.0, fixed=True)
    assert parameter(fit, "stat[0]").nominal_uncertainty == pytest.approx(0.06)


def test_what_the_data_do_not_determine_is_named_and_the_rest_is_right():
    content = counting()
    content["channels"][0]["samples"][0]["modifiers"].append(normfactor("k"))  # mu k s
    content["channels"].append({"name": "CR", "samples": [sample("top", [5.0], normfactor("t"))]})
    content["observations"].append({"name": "CR", "data": [6.0]})
    fit = fitted(content, correlations=True, yields=True)

    assert set(fit.notes) == {"the data do not determine mu, k"}
    assert [parameter(fit, name).uncertainty for name in ("mu", "k")] == [None, None]
    assert parameter(fit, "jes").uncertainty == pytest.approx(1, rel=1e-5)
    assert parameter(fit, "t").uncertainty == pytest.approx(math.sqrt(6) / 5, rel=1e-5)
    assert set(fit.correlations.names) == {"jes", "t"}
    expected = {(y.channel, y.sample): y.uncertainty for y in fit.yields if y.bin == 0}
    # the sum is determined; so is their product, which is the signal
    assert expected["SR", None] == pytest.approx(math.sqrt(N), rel=1e-4)
    assert expected["CR", None] == pytest.approx(math.sqrt(6), rel=1e-5)


def test_a_normalisation_of_nothing_is_not_determined():
    content = counting()
    content["channels"][0]["samples"].append(sample("ghost", [0.0], normfactor("k")))
    fit = fitted(content)

    assert fit.notes == ("the data do not determine k",)
    assert parameter(fit, "k").uncertainty is None
    assert fit.signal.uncertainty == pytest.approx(math.sqrt(N + DELTA**2) / S, rel=1e-5)


def test_at_a_kink_there_is_no_uncertainty():
    """More events on both sides, where there are too many already."""
    content = workspace(
        region([40.0], signal([S]), background([B], histosys("jes", [B + 5], [B + 5])))
    )
    fit = fitted(content, "code4", "code0", mu=0.0)
    jes = parameter(fit, "jes")

    assert fit.notes == ("no uncertainty where the interpolation has a kink: jes",)
    assert (jes.value, jes.uncertainty, jes.pull) == (0.0, None, 0.0)


def test_a_kinked_parameter_beside_its_kink_has_one():
    fit = fitted(counting(), "code4", "code0", mu=0.0)

    assert fit.notes == ()
    assert parameter(fit, "jes").uncertainty < 1


# ---- without a POI ----


def nothing_sought() -> dict[str, Any]:
    return workspace(region([N], background([B], histosys("jes", [B - DELTA], [B + DELTA]))))


@pytest.mark.parametrize("mu", [None, 0.0])
@pytest.mark.parametrize("poi", ["mu", ""])
def test_a_background_needs_no_poi(poi, mu):
    content = nothing_sought()
    content["measurements"][0]["config"]["poi"] = poi
    found = outcome(content, mu=mu)

    assert (found.mu_hat, found.fit.poi, found.fit.mu, found.fit.signal) == (None,) * 4
    assert [p.name for p in found.fit.parameters] == ["jes"]
    with_signal = fitted(counting(), mu=0.0)
    assert found.fit.twice_nll == pytest.approx(with_signal.twice_nll, rel=1e-9)
    assert found.fit.parameters[0].pull == pytest.approx(parameter(with_signal, "jes").pull)


def test_the_fit_of_a_background_is_that_of_pyhf_without_a_poi(background):
    whole = Question("measurement", (), "q", "code4", "code4p", "native", "", "", fit=FitQuestion())
    ours = fit_observed(NativeLikelihood(Compiler(background), background, whole), whole.fit).fit

    model = pyhf.Workspace(background).model(poi_name=None)
    data = pyhf.Workspace(background).data(model)
    theirs, twice_nll = pyhf.infer.mle.fit(data, model, return_fitted_val=True)

    assert ours.twice_nll == pytest.approx(float(twice_nll), abs=1e-5)
    found = [parameter(ours, name).value for name in model.config.par_names]
    assert found == pytest.approx(theirs, abs=1e-3)


def test_without_a_poi_there_is_nothing_to_have_an_impact_on():
    fit = fitted(nothing_sought(), impacts=True)

    assert fit.impacts == ()
    assert fit.notes == ("no impacts: the model has no POI",)


def test_what_is_not_asked_for_is_not_there():
    fit = fitted(counting())

    assert (fit.correlations, fit.impacts, fit.yields) == (None, None, None)


def test_a_shapefactor_is_free():
    content = workspace(
        region([N], signal([S]), background([B], modifier("shapefactor", "shape"))),
        region([22.0], background([20.0], modifier("shapefactor", "shape")), name="CR"),
    )
    shape = parameter(fitted(content), "shape[0]")

    assert shape.value == pytest.approx(1.1, rel=1e-5)
    assert shape.uncertainty == pytest.approx(math.sqrt(22) / 20, rel=1e-5)
    assert (shape.nominal, shape.pull, shape.constraint) == (None, None, None)
