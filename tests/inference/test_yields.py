"""Post-fit yields against sums by hand, closed forms, and pyhf's expected data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyhf
import pytest
from build import background, histosys, normfactor, normsys, region, sample, signal, staterror
from build import workspace as made_of

from fitspec.bestfit import BestFit, Yield
from fitspec.histfactory.model import Compiler
from fitspec.inference import FitQuestion, Question, fit_observed
from fitspec.inference.backends.native import NativeLikelihood

N, S, B, DELTA = 60.0, 10.0, 50.0, 4.0


def fitted(content: dict[str, Any], mu: float | None = None) -> BestFit:
    asked = FitQuestion(mu=mu, correlations=True, yields=True)
    question = Question("fit", (), "qtilde", "code4", "code4p", "native", "", "", asked)
    return fit_observed(NativeLikelihood(Compiler(content), content, question), asked).fit


def yields(fit: BestFit) -> dict[tuple[str, int | None, str | None], Yield]:
    return {(y.channel, y.bin, y.sample): y for y in fit.yields}


def busy() -> dict[str, Any]:
    return made_of(
        region(
            [62.0, 40.0],
            signal([8.0, 3.0], normsys("norm", 0.85, 1.2)),
            background(
                [50.0, 33.0], normfactor("k"), histosys("jes", [47.0, 29.0], [55.0, 34.0]),
                staterror("stat", [3.0, 2.5]),
            ),
            sample("top", [4.0, 2.0], normsys("top", 0.4, 2.5)),
        ),
        region([420.0], background([400.0], normfactor("k"), normsys("norm", 0.97, 1.02)),
               name="CR"),
    )  # fmt: skip


def test_one_bin_is_known_as_well_as_its_events():
    """The signal fills up what the background leaves: the sum is n +- sqrt(n)."""
    content = made_of(
        region([N], signal([S]), background([B], histosys("jes", [B - DELTA], [B + DELTA])))
    )
    found = yields(fitted(content))

    total = found["SR", 0, None]
    assert (total.observed, total.expected) == (N, pytest.approx(N, rel=1e-5))
    assert total.uncertainty == pytest.approx(math.sqrt(N), rel=1e-5)
    assert found["SR", 0, "background"].uncertainty == pytest.approx(DELTA, rel=1e-5)
    excess = found["SR", 0, "signal"]
    assert excess.expected == pytest.approx(N - B, rel=1e-5)
    assert excess.uncertainty == pytest.approx(math.sqrt(N + DELTA**2), rel=1e-5)
    assert excess.observed is None


def test_there_is_one_of_each_bin_and_sample_and_their_sums():
    found = yields(fitted(busy()))

    samples = [None, "signal", "background", "top"]
    expected = [("CR", i, s) for i in (0, None) for s in (None, "background")]
    expected += [("SR", i, s) for i in (0, 1, None) for s in samples]
    assert list(found) == expected
    for channel, index, _ in {(c, i, None) for c, i, _ in found}:
        parts = [y.expected for (c, i, s), y in found.items() if (c, i) == (channel, index) and s]
        assert found[channel, index, None].expected == pytest.approx(sum(parts), rel=1e-12)
    assert found["SR", None, None].observed == 102.0
    assert found["SR", None, "top"].expected == pytest.approx(
        found["SR", 0, "top"].expected + found["SR", 1, "top"].expected, rel=1e-12
    )


def test_without_a_signal_there_is_none():
    found = yields(fitted(busy(), mu=0.0))

    assert (found["SR", 0, "signal"].expected, found["SR", 0, "signal"].uncertainty) == (0.0, 0.0)


@pytest.mark.parametrize("mu", [None, 0.5])
def test_uncertainties_are_what_moving_the_parameters_of_pyhf_makes(mu):
    """Half the difference between +1 and -1 sigma by parameter, with the correlations."""
    content = busy()
    fit = fitted(content, mu)
    by_name = {p.name: p for p in fit.parameters}
    names, rho = fit.correlations.names, np.array(fit.correlations.matrix)

    model = pyhf.Workspace(content).model(measurement_name="fit")

    def expected(moved: str | None = None, step: float = 0.0) -> np.ndarray:
        values = [by_name[n].value + step * (n == moved) for n in model.config.par_names]
        return np.asarray(model.main_model.expected_data(values))

    widths = [by_name[name].uncertainty for name in names]
    halves = [
        (expected(name, width) - expected(name, -width)) / 2
        for name, width in zip(names, widths, strict=True)
    ]
    halves = np.array(halves)
    variances = np.einsum("pb,pq,qb->b", halves, rho, halves)
    totals = [y for y in fit.yields if y.sample is None and y.bin is not None]
    assert [y.expected for y in totals] == pytest.approx(expected(), rel=1e-9)
    assert [y.uncertainty for y in totals] == pytest.approx(np.sqrt(variances), rel=1e-5)
    over_bins = halves[:, model.config.channel_slices["SR"]].sum(axis=1)
    total = yields(fit)["SR", None, None].uncertainty
    assert total == pytest.approx(math.sqrt(over_bins @ rho @ over_bins), rel=1e-5)


def test_an_empty_bin_does_not_know_a_sample_of_its_own():
    """Nothing observed, and a normalisation that acts there alone: at its bound, so it is 0."""
    content = made_of(
        region([N], signal([S]), background([B])),
        region([0.0], sample("top", [2.0], normfactor("t")), name="VR"),
    )
    fit = fitted(content)
    found = yields(fit)

    assert fit.notes == ("uncertainties are those with t kept at the bound",)
    assert (found["VR", 0, None].expected, found["VR", 0, None].uncertainty) == (0.0, 0.0)


def test_what_is_not_determined_has_no_uncertainty():
    """An expectation of 0 events in a bin whose samples cancel is no information about either."""
    content = made_of(
        region([N], signal([S]), background([B])),
        region(
            [30.0], sample("up", [20.0], normfactor("a")), sample("dn", [10.0], normfactor("b")),
            name="VR",
        ),
    )  # fmt: skip
    fit = fitted(content)
    found = yields(fit)

    assert fit.notes == ("the data do not determine a, b",)
    assert found["VR", 0, None].uncertainty == pytest.approx(math.sqrt(30), rel=1e-5)
    assert (found["VR", 0, "up"].uncertainty, found["VR", 0, "dn"].uncertainty) == (None, None)
