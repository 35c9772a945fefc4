"""The minimiser: closed forms, bounds, saddles and kinks, and fits that it once got wrong."""

from __future__ import annotations

import math

import numpy as np
import pyhf
import pytest
from build import (
    LUMI,
    background,
    histosys,
    lumi,
    normfactor,
    normsys,
    region,
    sample,
    shapefactor,
    signal,
    staterror,
    workspace,
)
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from reference import SETTINGS, SMOOTH_OR_KINKED, Pair
from strategies import workspaces

from fitspec.errors import InferenceError
from fitspec.histfactory.likelihood import Likelihood
from fitspec.histfactory.minimise import Found, minimise
from fitspec.histfactory.model import Compiler


class Fit:
    """The minimum of a workspace, with some parameters fixed at values, from some start."""

    def __init__(self, spec, start=None, codes=("code4", "code4p"), **fixed):
        model = Compiler(spec).compile(spec, spec["measurements"][0]["name"])
        self.names = model.parameters.names
        self.likelihood = Likelihood(model, *codes)
        self.data = self.likelihood.observed()
        self.start = self.at(start or {}, model.parameters.inits)
        self.start = self.at(fixed, self.start)
        self.fixed = model.parameters.fixed.copy()
        self.fixed[[self.names.index(name) for name in fixed]] = True
        self.found: Found = minimise(self.likelihood, self.data, self.start, self.fixed)

    def at(self, values, theta):
        """A point with other values for some parameters."""
        theta = np.array(theta)
        for name, value in values.items():
            theta[self.names.index(name)] = value
        return theta

    def value(self, **values):
        """-ln L at the minimum, but for some parameters."""
        return self.likelihood.value(self.at(values, self.found.theta), self.data)

    def __getitem__(self, name):
        return self.found.theta[self.names.index(name)].item()

    @property
    def at_bounds(self):
        return [name for name, at in zip(self.names, self.found.at_bounds, strict=True) if at]


def minuit(spec, codes=("code4", "code4p"), **displaced):
    """What pyhf finds with minuit, from a start that is displaced: -ln L."""
    pair = Pair(spec, codes=codes)
    start = pair.in_their_order(pair.point(**displaced))
    before = pyhf.get_backend()
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(tolerance=1e-4))
    try:
        _, twice_nll = pyhf.infer.mle.fit(
            pair.their_observed, pair.theirs, start.tolist(), return_fitted_val=True
        )
    finally:
        pyhf.set_backend(*before)
    return float(twice_nll) / 2


def scan(fit, name):
    """The lowest -ln L of a one-parameter model on a grid that is fine where it is, and where."""
    grid = np.linspace(-5, 5, 501)
    for _ in range(2):
        values = [fit.value(**{name: x}) for x in grid]
        best = int(np.argmin(values))
        where, lowest = grid[best], values[best]
        grid = np.linspace(where - 0.02, where + 0.02, 81)
    return where, lowest


# ---- closed forms ----


@settings(SETTINGS)
@given(rate=st.floats(0.5, 50), events=st.integers(0, 400))
def test_one_bin_is_fitted_by_its_ratio(rate, events):
    assume(events < 9.9 * rate)

    fit = Fit(workspace(region([events], signal([rate]))))

    assert fit["mu"] == pytest.approx(events / rate, rel=1e-5, abs=1e-9)
    assert fit.at_bounds == (["mu"] if events == 0 else [])


@settings(SETTINGS, max_examples=50)
@given(on=st.integers(1, 60), off=st.integers(1, 60), mu=st.sampled_from([0.0, 0.5, 1.0]))
def test_on_and_off_are_fitted_by_the_root_of_a_quadratic(on, off, mu):
    spec = workspace(
        region([on], signal([10.0]), background([10.0], normfactor("b")), name="on"),
        region([off], background([20.0], normfactor("b")), name="off"),
    )

    profiled = Fit(spec, mu=mu)
    # d/db of (10 mu + 10 b) - on ln(mu + b) + 20 b - off ln b is 0
    p, q = 30 * mu - on - off, -off * mu
    assert profiled["b"] == pytest.approx((-p + math.sqrt(p * p - 120 * q)) / 60, rel=1e-5)

    free = Fit(spec)
    above = on / 10 > off / 20
    assert free["mu"] == pytest.approx(on / 10 - off / 20 if above else 0.0, abs=1e-5)
    assert free["b"] == pytest.approx(off / 20 if above else (on + off) / 30, rel=1e-5)
    assert free.at_bounds == ([] if above or 2 * on == off else ["mu"])


@settings(SETTINGS)
@given(events=st.integers(0, 300), auxiliary=st.floats(0.7, 1.3))
def test_a_constraint_pulls_as_the_root_of_a_quadratic_says(events, auxiliary):
    sigma = 0.1
    config = {"name": "stat", "auxdata": [auxiliary], "sigmas": [sigma]}
    spec = workspace(
        region([events], background([100.0], staterror("stat", [1.0])), signal([1.0])),
        parameters=[config],
    )

    # d/dx of 100 x - events ln x + (x - auxiliary)^2 / (2 sigma^2) is 0
    p, q = 100 * sigma**2 - auxiliary, -events * sigma**2
    root = max((-p + math.sqrt(p * p - 4 * q)) / 2, 1e-10)
    assert Fit(spec, mu=0.0)["stat[0]"] == pytest.approx(root, abs=1e-6)


# ---- bounds and fixed parameters ----


def test_a_deficit_is_fitted_by_no_signal():
    fit = Fit(workspace(region([5.0], signal([3.0]), background([10.0]))))

    assert fit["mu"] == 0
    assert fit.at_bounds == ["mu"]


def test_an_upper_bound_holds():
    spec = workspace(
        region([50.0], signal([3.0]), background([10.0])),
        parameters=[{"name": "mu", "bounds": [[0.0, 5.0]]}],
    )

    fit = Fit(spec)
    assert fit["mu"] == 5
    assert fit.at_bounds == ["mu"]


def test_a_parameter_at_a_bound_leaves_it_where_that_leads_down():
    fit = Fit(workspace(region([16.0], signal([3.0]), background([10.0]))), start={"mu": 0.0})

    assert fit["mu"] == pytest.approx(2.0, rel=1e-5)
    assert fit.at_bounds == []


def test_a_start_outside_the_bounds_is_moved_to_them():
    spec = workspace(region([16.0], signal([3.0]), background([10.0], normsys("a", 0.9, 1.1))))

    inside, outside = Fit(spec), Fit(spec, start={"mu": -7.0, "a": 40.0})
    assert outside.found.theta == pytest.approx(inside.found.theta, abs=2e-5)  # 1e-5 sigma each


def test_fixed_parameters_stay_whatever_their_bounds():
    spec = workspace(
        region([16.0], signal([3.0], lumi()), background([10.0], normfactor("k"))),
        parameters=[{**LUMI, "inits": [1.05], "fixed": True}],
    )

    fit = Fit(spec, k=12.0, mu=0.5)
    assert (fit["lumi"], fit["k"], fit["mu"]) == (1.05, 12, 0.5)
    assert fit.at_bounds == []
    assert (fit.found.iterations, fit.found.edm) == (0, 0)


def test_the_start_and_its_flags_are_left_alone():
    spec = workspace(region([16.0], signal([3.0]), background([10.0])))
    fit = Fit(spec)

    assert fit.start.tolist() == [1]
    assert fit.fixed.tolist() == [False]


# ---- where the quadratic model misleads ----

ONE_SIDED = workspace(
    region(
        [16.0, 31.0],
        signal([0.1, 0.1]),
        background([10.0, 25.0], histosys("a", [14.0, 29.0], [14.0, 29.0])),
    )
)
"""Both sides of the variation add events, and the data want more: nothing leads down at 0."""

ONE_SIDED_NORM = workspace(
    region([160.0], signal([0.1]), background([100.0], normsys("a", 1.3, 1.3)))
)


@pytest.mark.parametrize("spec", [ONE_SIDED, ONE_SIDED_NORM], ids=["histosys", "normsys"])
def test_a_saddle_at_the_start_is_left(spec):
    fit = Fit(spec, mu=0.0)

    assert abs(fit["a"]) > 0.5
    assert fit.value(a=0.0) > fit.found.nll + 1
    displaced = Fit(spec, start={"a": 0.5}, mu=0.0)
    assert fit.found.nll == pytest.approx(displaced.found.nll, abs=1e-8)
    assert Fit(spec).found.nll <= minuit(spec, a=0.5) + 1e-6


@pytest.mark.parametrize("codes", SMOOTH_OR_KINKED, ids="-".join)
def test_one_parameter_is_fitted_as_by_a_scan(codes):
    for events in (60.0, 90.0, 100.0, 110.0, 125.0, 160.0):
        for lo, hi in ((80.0, 130.0), (110.0, 130.0), (90.0, 75.0), (100.0, 120.0)):
            spec = workspace(
                region(
                    [events, 2 * events],
                    signal([1.0, 1.0]),
                    background([100.0, 0.0], histosys("a", [lo, 0.0], [hi, 0.0])),
                    sample("other", [0.0, 200.0], normsys("a", lo / 100, hi / 100)),
                )
            )
            fit = Fit(spec, codes=codes, mu=0.0)
            where, lowest = scan(fit, "a")
            assert fit.found.nll <= lowest + 1e-9, (events, lo, hi)
            assert fit["a"] == pytest.approx(where, abs=1e-3), (events, lo, hi)
            assert fit.found.edm < 1e-6


@pytest.mark.parametrize(
    "modifier", [histosys("a", [110.0], [130.0]), normsys("a", 1.1, 1.3)], ids=lambda m: m["type"]
)
def test_a_minimum_at_a_kink_is_found_exactly(modifier):
    spec = workspace(region([90.0], signal([1.0]), background([100.0], modifier)))

    for start in (0.0, 2.0, -2.0):
        fit = Fit(spec, {"a": start}, ("code1", "code0"), mu=0.0)
        assert fit["a"] == 0
        assert fit.found.edm < 1e-6
        assert fit.at_bounds == []


def test_of_two_ways_down_from_a_kink_the_deeper_one_counts():
    for lo, hi in ((110.0, 130.0), (130.0, 110.0)):
        fit = Fit(
            workspace(
                region([140.0], signal([1.0]), background([100.0], histosys("a", [lo], [hi])))
            ),
            codes=("code4", "code0"),
            mu=0.0,
        )
        assert fit["a"] * (hi - lo) > 0


def test_a_flat_direction_does_no_harm():
    def spec(*more):
        return workspace(
            region(
                [12.0, 31.0],
                signal([3.0, 1.0], *more),
                sample("nothing", [0.0, 0.0], normfactor("n"), normsys("a", 0.9, 1.1)),
                background([10.0, 30.0]),
            )
        )

    product, single = Fit(spec(normfactor("k"))), Fit(spec())
    assert product["mu"] * product["k"] == pytest.approx(single["mu"], abs=1e-5)
    assert (single["n"], single["a"]) == (1, 0)
    assert max(product.found.edm, single.found.edm) < 1e-6
    assert max(product.found.iterations, single.found.iterations) < 20


def test_a_step_into_a_corner_is_not_taken_for_a_minimum():
    # an indefinite Hessian, and a step that would have led uphill once it was cut to the box
    spec = workspace(
        region([3.0], sample("ttbar", [2.4], lumi(), normfactor("k")), signal([90.0], lumi())),
        region(
            [0.0],
            sample("fakes", [48.0], lumi()),
            sample("Zjets", [47.5], staterror("stat", [4.0]), normfactor("k")),
            sample("ttbar", [22.0], normfactor("k")),
            name="CR",
        ),
        parameters=[
            {"name": "lumi", "inits": [0.96], "bounds": [[0.1, 5.0]], "auxdata": [1.08],
             "sigmas": [0.12]},
            {"name": "k", "inits": [0.96]},
        ],
    )  # fmt: skip

    fit = Fit(spec, mu=0.0)
    assert fit["k"] < 0.1
    slope, curvature = fit.likelihood.expand(fit.found.theta, fit.data)[1:3]
    free = ~fit.fixed & ~fit.found.at_bounds
    assert np.abs(slope[free]).max() < 1e-3
    assert np.linalg.eigvalsh(curvature[np.ix_(free, free)])[0] > 0


# ---- what is found, and what is not ----


def test_events_that_cannot_be_are_no_start():
    spec = workspace(region([3.0], signal([5.0])))

    with pytest.raises(InferenceError, match="bin 0 of channel 'SR' has 3 events"):
        Fit(spec, mu=0.0)


def test_a_bottomless_likelihood_ends_at_a_bound():
    # less than no events where there are none
    spec = workspace(
        region([0.0], signal([1.0]), background([2.0], histosys("a", [3.0], [1.0]), lumi())),
        parameters=[LUMI],
    )

    fit = Fit(spec, mu=0.0)
    assert fit["a"] == pytest.approx(1.0, abs=0.1)


def lowest_nearby(fit):
    """The lowest -ln L along the axes of the curvature, within the box."""
    p, theta = fit.likelihood.model.parameters, fit.found.theta
    rows = np.flatnonzero(~fit.fixed)
    curvature = fit.likelihood.expand(theta, fit.data).hessian[np.ix_(rows, rows)]
    steps = np.zeros((len(rows), len(theta)))
    steps[:, rows] = np.linalg.eigh(curvature).eigenvectors.T
    places = np.concatenate([theta + t * steps for t in (-0.1, -0.001, 0.001, 0.1)])
    inside = np.where(fit.fixed, theta, np.clip(places, p.low, p.high))
    return min((fit.likelihood.value(place, fit.data) for place in inside), default=math.inf)


@settings(SETTINGS, max_examples=100)
@given(workspaces(), st.sampled_from([None, 0.0, 1.0]))
def test_what_is_found_is_a_minimum(spec, mu):
    poi = spec["measurements"][0]["config"]["poi"]
    fixed = {} if mu is None else {poi: mu}
    try:
        fit = Fit(spec, **fixed)
    except InferenceError as error:
        if "0 at the start" in str(error):
            return
        raise

    assert fit.found.edm < 1e-6
    assert fit.found.nll == fit.value()
    assert fit.found.nll <= fit.likelihood.value(fit.start, fit.data)
    assert 0 <= fit.found.iterations <= 200
    p = fit.likelihood.model.parameters
    assert np.array_equal(fit.found.theta[fit.fixed], fit.start[fit.fixed])
    inside = (p.low <= fit.found.theta) & (fit.found.theta <= p.high)
    assert inside[~fit.fixed].all()
    assert fit.found.nll < lowest_nearby(fit) + 1e-5


@settings(SETTINGS, max_examples=50)
@given(workspaces(), st.sampled_from(SMOOTH_OR_KINKED))
def test_a_minimum_is_a_start_that_is_not_left(spec, codes):
    fit = Fit(spec, codes=codes)

    again = minimise(fit.likelihood, fit.data, fit.found.theta, fit.fixed)
    assert again.nll == pytest.approx(fit.found.nll, abs=1e-8)
    assert again.iterations <= 2


# ---- minima that are known ----


def two_valleys(alpha, known=()):
    """Started at alpha, which only ever adds, so that an excess may pull it both ways."""
    spec = workspace(
        region(
            [27.0, 12.0], background([20.0, 10.0], normsys("alpha", 1.2, 1.3)), signal([0.0, 1.0])
        )
    )
    fit = Fit(spec, start={"alpha": alpha}, mu=1.0)
    return minimise(fit.likelihood, fit.data, fit.start, fit.fixed, [m.theta for m in known])


def test_a_descent_to_a_known_minimum_ends_early():
    left, right = two_valleys(-1.0), two_valleys(1.0)

    again = two_valleys(0.5, [left, right])

    assert again.known == 1
    assert again.iterations < two_valleys(0.5).iterations
    assert again.nll == pytest.approx(right.nll, abs=0.5)


def test_a_descent_to_another_minimum_goes_on():
    right = two_valleys(1.0)

    left = two_valleys(-1.0, [right])

    assert left.known is None
    assert left.edm <= 1e-10
    assert left.theta.min() < -0.5
    assert right.theta.min() > 0.5
    assert left.nll > right.nll


FAR_APART = workspace(
    region(
        [0.0, 1.0],
        background([1.0, 1.0]),
        signal([1.5, 0.0], normfactor("k"), normsys("jes", 0.6, 1.01)),
    ),
    region(
        [2.0, 8.0],
        background([1.0, 1.0]),
        sample("fakes", [0.5, 3.0], normfactor("k")),
        signal([10.5, 9.0], normsys("jes", 0.62, 1.01)),
        sample("Higgs", [3.5, 33.5], normfactor("mu")),
        name="CR",
    ),
)
"""Two minima so far apart that the Hessian at one of them is negative on the way to the other."""


@settings(SETTINGS, max_examples=100)
@given(workspaces(), st.floats(-2, 2))
@example(FAR_APART, 1.0)
def test_what_ends_early_would_have_ended_there(spec, pull):
    try:
        fit = Fit(spec)
    except InferenceError:
        return
    p = fit.likelihood.model.parameters
    start = np.where(p.normal & ~fit.fixed, np.clip(p.inits + pull, p.low, p.high), p.inits)
    try:
        alone = minimise(fit.likelihood, fit.data, start, fit.fixed)
    except InferenceError:
        return

    found = minimise(fit.likelihood, fit.data, start, fit.fixed, [fit.found.theta])

    if found.known is None:
        assert (found.nll, found.iterations) == (alone.nll, alone.iterations)
    else:
        assert fit.found.nll == pytest.approx(alone.nll, abs=1e-6)


def test_a_shape_without_events_goes_to_its_bound():
    fit = Fit(workspace(region([0.0], signal([1.0]), background([5.0], shapefactor("x")))))

    assert sorted(fit.at_bounds) == ["mu", "x[0]"]
    assert fit["x[0]"] == 0
