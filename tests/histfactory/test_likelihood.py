"""The likelihood: derivatives that belong to its values, and the places where numbers go astray."""

from __future__ import annotations

import math

import numpy as np
import pytest
from build import (
    background,
    histosys,
    normfactor,
    normsys,
    region,
    sample,
    shapefactor,
    shapesys,
    signal,
    staterror,
    workspace,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference import (
    ALL_CODES,
    SETTINGS,
    Pair,
    agreeing,
    central_differences,
    check_expected,
    check_value,
)
from strategies import parameter_points, workspaces

from fitspec.errors import InferenceError
from fitspec.histfactory.likelihood import Likelihood
from fitspec.histfactory.model import Compiler

KNOTS = np.array([-1.0, 0.0, 1.0])


@st.composite
def likelihoods(draw: st.DrawFn) -> Likelihood:
    """The likelihood of a workspace, for any measurement and any interpolation."""
    spec = draw(workspaces())
    name = draw(st.sampled_from(spec["measurements"]))["name"]
    return Likelihood(Compiler(spec).compile(spec, name), *draw(st.sampled_from(ALL_CODES)))


def bounds(likelihood):
    return likelihood.model.parameters.low.tolist(), likelihood.model.parameters.high.tolist()


def interior(likelihood: Likelihood) -> st.SearchStrategy[np.ndarray]:
    """Points where differences are a measure of derivatives: no kinks, gammas not next to 0."""
    p, model = likelihood.model.parameters, likelihood.model
    alphas = np.zeros(len(p.names), dtype=bool)
    alphas[model.additive] = alphas[model.normsys] = True

    def away_from_knots(point: list[float]) -> np.ndarray:
        theta = np.array(point)
        near = alphas & (np.abs(theta[:, None] - KNOTS).min(axis=1) < 1e-3)
        return theta + np.where(near, 0.01, 0.0)

    low = np.where(p.low == 1e-10, 0.1, p.low)
    return parameter_points(low.tolist(), p.high.tolist()).map(away_from_knots)


def assert_derivatives(likelihood, theta, data, tolerance=1e-6):
    """Gradient and Hessian are central differences of the value and the gradient."""
    steps = 1e-5 * np.maximum(1e-2, np.abs(theta))
    value, gradient, hessian, _ = likelihood.expand(theta, data)
    slopes = central_differences(lambda x: likelihood.value(x, data), theta, steps)
    curvatures = central_differences(lambda x: likelihood.slope(x, data)[1], theta, steps)

    noise = 1e-14 * (abs(value) + abs(data.constant)) / steps.min()
    scale = np.abs(gradient).max()
    assert gradient == pytest.approx(slopes, rel=1e-4, abs=tolerance * scale + noise)
    assert_close(hessian, curvatures, 1e-4)


def assert_close(one, other, tolerance):
    """Two Hessians are the same on the scale of their rows and columns."""
    scale = np.abs(one).max(axis=0)
    assert (np.abs(one - other) <= tolerance * np.sqrt(np.outer(scale, scale)) + 1e-7).all()


@settings(SETTINGS, max_examples=80)
@given(likelihoods(), st.data())
def test_derivatives_are_differences(likelihood, data):
    theta = data.draw(interior(likelihood))
    observed = likelihood.observed()
    expected = likelihood.expected(theta)
    assume((expected[observed.main > 0] > 0.1).all())

    assert_derivatives(likelihood, theta, observed)


@settings(SETTINGS, max_examples=40)
@given(likelihoods(), st.data())
def test_all_ways_to_the_same_number_agree(likelihood, data):
    theta = np.array(data.draw(parameter_points(*bounds(likelihood))))
    observed = likelihood.observed()
    assume(math.isfinite(likelihood.value(theta, observed)))

    value, gradient, hessian, scoring = likelihood.expand(theta, observed)
    assert value == likelihood.value(theta, observed)
    assert value == likelihood.slope(theta, observed)[0]
    scale = np.sqrt(scoring.diagonal())  # of what is added up to a gradient
    slope = likelihood.slope(theta, observed)[1]
    assert (np.abs(gradient - slope) <= 1e-9 * scale + 1e-9 * np.abs(gradient)).all()
    assert_close(hessian, hessian.T, 1e-12)
    spectrum = np.linalg.eigvalsh(scoring)
    assert spectrum[0] >= -1e-12 * spectrum[-1]


@settings(SETTINGS, max_examples=40)
@given(likelihoods(), st.data())
def test_asimov_data_have_their_minimum_where_they_were_made(likelihood, data):
    theta = data.draw(interior(likelihood))
    assume((likelihood.expected(theta) > 0.1).all())
    asimov = likelihood.asimov(theta)

    _, gradient, hessian, scoring = likelihood.expand(theta, asimov)
    assert gradient == pytest.approx(np.zeros_like(gradient), abs=1e-8)
    assert np.abs(hessian - scoring).max() <= 1e-9 * np.abs(hessian).max()


# ---- factors of zero, no events, less than none ----


def test_derivatives_are_right_where_the_signal_is_zero():
    pair = agreeing(
        workspace(
            region(
                [12.0, 0.0],
                signal([3.0, 5.0], normsys("a", 0.9, 1.3), histosys("b", [2.0, 5.0], [4.0, 6.0])),
                background([10.0, 2.0], normsys("a", 0.8, 1.1), staterror("s", [1.0, 0.2])),
            ),
            parameters=[{"name": "mu", "bounds": [[-1.0, 5.0]]}],
        )
    )

    theta = pair.point(mu=0.0, a=0.4, b=-0.7, s_1=1.05)
    assert_derivatives(pair.likelihood, theta, pair.observed)


def test_derivatives_are_right_where_two_factors_of_a_sample_are_zero():
    pair = agreeing(
        workspace(
            region([12.0], signal([3.0], normfactor("k")), background([10.0])),
            region([4.0], sample("other", [5.0], normfactor("k")), background([3.0]), name="CR"),
            parameters=[{"name": n, "bounds": [[-1.0, 5.0]]} for n in ("mu", "k")],
        )
    )

    theta = pair.point(mu=0.0, k=0.0)
    assert_derivatives(pair.likelihood, theta, pair.observed)
    mu, k = (pair.parameters.names.index(name) for name in ("mu", "k"))
    hessian = pair.likelihood.expand(theta, pair.observed).hessian
    assert hessian[mu, k] == pytest.approx(3.0 * (1 - 12.0 / 10.0))


def test_many_factors_of_zero_are_no_warning_and_no_curvature():
    names = [f"k{i}" for i in range(8)]
    pair = agreeing(
        workspace(
            region([12.0], signal([3.0], *map(normfactor, names)), background([10.0])),
        )
    )

    expansion = pair.likelihood.expand(np.zeros(9), pair.observed)
    assert not expansion.gradient.any()
    assert not expansion.hessian.any()


def test_negative_factors_are_as_in_pyhf():
    pair = agreeing(
        workspace(
            region([6.0], signal([3.0]), background([10.0], normfactor("k"))),
            parameters=[{"name": n, "bounds": [[-2.0, 5.0]]} for n in ("mu", "k")],
        )
    )

    theta = pair.point(mu=-1.5, k=1.1)
    check_value(pair, theta)
    assert_derivatives(pair.likelihood, theta, pair.observed)
    check_value(pair, pair.point(mu=3.5, k=-0.2))


def test_bins_without_events_count():
    pair = agreeing(workspace(region([0.0, 3.0], signal([3.0, 1.0]), background([1.0, 2.0]))))

    assert pair.likelihood.slope(pair.point(mu=1.0), pair.observed)[1] == [3 + 1 - 1]


@pytest.mark.parametrize("rate", [50.0, 0.5])
def test_events_where_none_are_expected_are_impossible(rate):
    pair = agreeing(workspace(region([3.0], signal([rate]))))

    assert pair.likelihood.value(pair.point(mu=0.0), pair.observed) == math.inf
    assert pair.likelihood.expected(pair.point(mu=0.0)) == [0]
    assert pair.their_value(pair.point(mu=0.0)) == math.inf


def test_events_of_a_sample_without_any_rate_are_impossible():
    pair = Pair(workspace(region([3.0], signal([0.0]))))

    assert pair.likelihood.value(pair.point(mu=1.0), pair.observed) == math.inf


@pytest.mark.parametrize("rate", [50.0, 0.5])
def test_asimov_data_may_have_bins_without_events(rate):
    pair = agreeing(workspace(region([3.0, 12.0], signal([rate, 1.0]), background([0.0, 10.0]))))

    nothing = pair.point(mu=0.0)
    asimov = pair.likelihood.asimov(nothing)
    assert asimov.main.tolist() == [0, 10]
    check_value(pair, nothing, asimov, pair.their_asimov(nothing))


def test_less_than_no_events_are_allowed_only_where_there_are_none():
    spec = workspace(
        region([0.0], background([2.0], histosys("a", [3.0], [1.0])), signal([1.0])),
        parameters=[{"name": "mu", "bounds": [[0.0, 1.0]]}],
    )
    pair = Pair(spec)

    below = pair.point(a=4.0, mu=0.0)
    assert pair.likelihood.expected(below) == pytest.approx([-2.0])
    check_value(pair, below)
    with pytest.raises(InferenceError, match=r"-2 events in bin 0 of channel 'SR'"):
        pair.likelihood.asimov(below)
    spec["observations"][0]["data"] = [1.0]
    assert Pair(spec).likelihood.value(below, Pair(spec).observed) == math.inf


def test_negative_observations_are_named():
    with pytest.raises(InferenceError, match=r"-1 events in bin 1 of channel 'SR'"):
        Pair(workspace(region([3.0, -1.0], signal([1.0, 1.0]))))


def test_a_constrained_bin_is_right_next_to_zero():
    pair = agreeing(
        workspace(region([3.0], signal([5.0]), background([10.0], shapesys("x", [2.0]))))
    )

    gamma = 1e-10
    expansion = pair.likelihood.expand(pair.point(mu=1.0, x_0=gamma), pair.observed)
    x = pair.parameters.names.index("x[0]")
    assert expansion.gradient[x] == pytest.approx(-25 / gamma)
    assert expansion.hessian[x, x] == pytest.approx(25 / gamma**2)


def test_a_factor_a_bin_may_be_zero():
    pair = agreeing(workspace(region([3.0], signal([5.0]), background([10.0], shapefactor("x")))))

    assert pair.likelihood.expected(pair.point(mu=1.0, x_0=0.0)) == pytest.approx([5.0])
    check_value(pair, pair.point(mu=1.0, x_0=0.0))


def test_an_event_may_be_a_fraction():
    agreeing(workspace(region([2.7], signal([1.0]), background([1.3]))))


# ---- at a kink ----


@pytest.mark.parametrize("right", [True, False])
def test_at_a_kink_the_derivatives_of_either_side_are_to_be_had(right):
    pair = Pair(
        workspace(
            region(
                [12.0],
                signal([3.0]),
                background([10.0], histosys("a", [9.0], [14.0]), normsys("b", 0.9, 1.3)),
            )
        ),
        codes=("code1", "code0"),
    )
    at = pair.point(a=0.0, b=0.0)
    sides = np.full(len(at), right)
    beside = pair.point(**dict.fromkeys("ab", 1e-9 if right else -1e-9))

    kink, smooth = (
        pair.likelihood.expand(theta, pair.observed, sides if theta is at else None)
        for theta in (at, beside)
    )
    assert kink.gradient == pytest.approx(smooth.gradient, rel=1e-6)
    assert kink.hessian == pytest.approx(smooth.hessian, rel=1e-6)
    assert sorted(np.array(pair.parameters.names)[pair.likelihood.kinked]) == ["a", "b"]


@settings(SETTINGS, max_examples=25)
@given(workspaces(), st.sampled_from(ALL_CODES), st.data())
def test_expected_events_are_those_of_pyhf(spec, codes, data):
    pair = Pair(spec, codes=codes)

    check_expected(pair, np.array(data.draw(parameter_points(*bounds(pair.likelihood)))))
