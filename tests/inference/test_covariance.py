"""Covariances of small models: inverse Hessians, and what to make of those without an inverse."""

from __future__ import annotations

import numpy as np
import pytest
from build import background, histosys, normfactor, normsys, region, sample, signal, workspace
from reference import Pair, central_differences

from fitspec.errors import InferenceError
from fitspec.histfactory.likelihood import Likelihood
from fitspec.histfactory.model import Compiler
from fitspec.inference.covariance import at_kinks, covariance


def two_regions() -> Pair:
    return Pair(
        workspace(
            region(
                [60.0, 40.0],
                signal([8.0, 3.0], normsys("jes", 0.9, 1.15)),
                background([50.0, 33.0], normfactor("k"), histosys("jes", [47, 30], [54, 35])),
            ),
            region([420.0], background([400.0], normfactor("k")), name="CR"),
        )
    )


def held(pair: Pair, *names: str) -> np.ndarray:
    return np.isin(pair.parameters.names, names)


def test_it_is_the_inverse_of_the_hessian_that_pyhf_has():
    pair = two_regions()
    theta = pair.point(mu=0.7, k=1.04, jes=0.2)

    found = covariance(pair.likelihood, theta, pair.observed, held(pair))

    steps = np.full(len(theta), 1e-4)
    hessian = central_differences(
        lambda at: central_differences(pair.their_value, at, steps), theta, steps
    )
    assert found.matrix == pytest.approx(np.linalg.inv(hessian), rel=1e-4, abs=1e-7)
    assert found.determined.all()
    assert found.flat.shape == (3, 0)


def test_held_parameters_are_not_in_it():
    pair = two_regions()
    theta = pair.point(mu=0.7)

    found = covariance(pair.likelihood, theta, pair.observed, held(pair, "jes"))

    free = np.flatnonzero(~held(pair, "jes"))
    hessian = pair.likelihood.expand(theta, pair.observed).hessian[np.ix_(free, free)]
    assert found.matrix[np.ix_(free, free)] == pytest.approx(np.linalg.inv(hessian), rel=1e-9)
    assert (found.matrix[held(pair, "jes")] == 0).all()
    assert (found.determined == ~held(pair, "jes")).all()


def test_with_everything_held_nothing_is_uncertain():
    pair = two_regions()

    found = covariance(
        pair.likelihood, pair.point(), pair.observed, held(pair, *pair.parameters.names)
    )

    assert not found.matrix.any()
    assert found.uncertainties(np.ones((1, 3))) == [0.0]


def test_uncertainties_of_functions_are_propagated():
    pair = two_regions()
    found = covariance(pair.likelihood, pair.point(), pair.observed, held(pair))
    slopes = np.array([[1.0, 0.0, 0.0], [0.3, -1.2, 5.0]])

    expected = [np.sqrt(row @ found.matrix @ row) for row in slopes]
    assert found.uncertainties(slopes) == pytest.approx(expected, rel=1e-12)


def test_what_a_flat_direction_moves_is_not_determined_and_the_rest_is():
    """Signal mu k s: only mu k is measured, by the events."""
    pair = Pair(workspace(region([60.0], signal([10.0], normfactor("k")), background([50.0]))))

    found = covariance(pair.likelihood, pair.point(), pair.observed, held(pair))

    assert not found.determined.any()
    product, mu = np.array([1.0, 1.0]), np.array([1.0, 0.0])  # derivatives at mu = k = 1
    expected = [pytest.approx(np.sqrt(60) / 10), None]
    assert found.uncertainties(np.array([product, mu])) == expected


def test_a_saddle_is_no_minimum():
    pair = Pair(workspace(region([0.0], sample("top", [5.0], normfactor("mu"), normfactor("k")))))

    with pytest.raises(InferenceError, match="the Hessian is not positive"):
        covariance(pair.likelihood, pair.point(), pair.observed, held(pair))


@pytest.mark.parametrize(("hi", "kink"), [(55.0, True), (45.0, False)])
def test_a_kink_is_where_the_two_sides_differ(hi, kink):
    content = workspace(
        region([40.0], signal([10.0]), background([50.0], histosys("jes", [55.0], [hi])))
    )
    model = Compiler(content).compile(content, "fit")
    likelihood = Likelihood(model, "code4", "code0")
    theta, none = model.parameters.inits, np.zeros(2, dtype=bool)

    found = at_kinks(likelihood, theta, likelihood.observed(), none)

    assert found.tolist() == [kink, False]
    assert not at_kinks(likelihood, theta, likelihood.observed(), ~none).any()
