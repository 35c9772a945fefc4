"""The likelihood of many data sets is that of each of them, derivatives included."""

from __future__ import annotations

import numpy as np
import pytest
from build import background, histosys, normfactor, normsys, region, sample, signal, workspace
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import ALL_CODES, SETTINGS, Pair, central_differences
from strategies import parameter_points, workspaces

from fitspec.histfactory.batch import BELOW_NOTHING, DataStack, LikelihoodBatch
from fitspec.histfactory.likelihood import Data

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numbers at bounds overflow


@st.composite
def stacks(draw: st.DrawFn) -> tuple[Pair, LikelihoodBatch, np.ndarray, DataStack]:
    """A model, and three data sets of it, each with its own parameters."""
    spec, codes = draw(workspaces()), draw(st.sampled_from(ALL_CODES))
    pair = Pair(spec, codes=codes)
    p = pair.parameters
    points = parameter_points(p.low.tolist(), p.high.tolist()).map(np.array)
    theta = np.stack([draw(points) for _ in range(3)])
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    main = rng.poisson(pair.model.observed, (3, len(pair.model.bins))).astype(float)
    counts = rng.poisson(np.where(p.poisson, p.auxdata, 0.0), theta.shape)
    auxiliary = np.where(p.poisson, counts, p.auxdata)
    batch = LikelihoodBatch(pair.model, *codes)
    return pair, batch, theta, batch.stack(main, auxiliary)


@settings(SETTINGS, max_examples=40)
@given(stacks())
def test_all_numbers_are_those_of_single_data_sets(stack):
    pair, batch, theta, data = stack
    many = batch.expand(theta, data)
    values, gradients = batch.slope(theta, data)

    assert batch.value(theta, data) == pytest.approx(values, rel=1e-12)
    for row in range(len(theta)):
        bins, one = pair.likelihood.expected(theta[row]), data[row]
        if (bins < 0).any() or not np.isfinite(pair.likelihood.value(theta[row], one)):
            assert (values[row] == np.inf) == ((bins <= 0) & (one.main > 0)).any()
            continue
        single = pair.likelihood.expand(theta[row], one)
        close = {"rel": 1e-9, "abs": 1e-9 * (1 + abs(single.hessian).max())}
        assert values[row] == pytest.approx(single.value, rel=1e-12, abs=1e-10)
        assert gradients[row] == pytest.approx(single.gradient, **close)
        for name in ("value", "gradient", "hessian", "scoring"):
            assert getattr(many, name)[row] == pytest.approx(getattr(single, name), **close)


def test_a_data_set_of_a_stack_is_the_one_that_was_put_there():
    pair = Pair(workspace(region([3.0, 5.0], signal([1.0, 2.0]), background([4.0, 4.0]))))
    stack = LikelihoodBatch(pair.model).stack(np.array([[3.0, 5.0], [1.0, 0.0]]), np.zeros((2, 1)))

    one: Data = stack[1]

    assert one.main.tolist() == [1.0, 0.0]
    expected = pair.likelihood.data(np.array([1.0, 0.0]), np.zeros(1))
    assert one.constant == pytest.approx(expected.constant)
    assert len(stack) == 2
    assert stack[np.array([1])].main.tolist() == [[1.0, 0.0]]


# ---- less than nothing in a bin without events ----


def emptying(events: list[float]) -> tuple[Pair, LikelihoodBatch, DataStack]:
    """A model whose only background bin a systematic can empty, and more."""
    down = histosys("shape", lo=[-3.0, 8.0], hi=[5.0, 12.0])
    spec = workspace(
        region(events, signal([1.0, 2.0]), background([1.0, 10.0], down, normsys("n", 0.8, 1.3)))
    )
    pair = Pair(spec)
    batch = LikelihoodBatch(pair.model)
    data = batch.stack(np.array([events]), pair.parameters.auxdata[None])
    return pair, batch, data


@pytest.mark.parametrize("shape", [-0.4, -0.9, -2.0, -4.5])
def test_its_term_bends_where_it_would_go_on_for_ever(shape):
    pair, batch, data = emptying([0.0, 9.0])
    theta = pair.point(mu=0.0, shape=shape, n=0.3)
    below = pair.likelihood.expected(theta)[0]
    assert below < 0

    value = batch.value(theta[None], data)[0]

    bent = BELOW_NOTHING * np.expm1(below / BELOW_NOTHING)
    expected = pair.likelihood.value(theta, data[0]) - below + bent
    assert value == pytest.approx(expected, rel=1e-12)

    steps = np.full(len(theta), 1e-6)
    gradient = central_differences(lambda x: batch.value(x[None], data)[0], theta, steps)
    assert batch.slope(theta[None], data)[1][0] == pytest.approx(gradient, rel=1e-5, abs=1e-5)
    hessian = central_differences(lambda x: batch.slope(x[None], data)[1][0], theta, steps)
    assert batch.expand(theta[None], data).hessian[0] == pytest.approx(hessian, rel=1e-4, abs=1e-4)


def test_events_there_are_impossible_as_ever():
    pair, batch, data = emptying([1.0, 9.0])

    assert batch.value(pair.point(mu=0.0, shape=-2.0)[None], data)[0] == np.inf


def test_the_number_of_data_sets_at_once_follows_from_the_size_of_the_model():
    small = LikelihoodBatch(Pair(workspace(region([3.0], signal([1.0]), background([4.0])))).model)
    factors = [normfactor(f"k{i}") for i in range(60)]
    samples = [sample(f"s{i}", [1.0] * 50, factor) for i, factor in enumerate(factors)]
    large = LikelihoodBatch(Pair(workspace(region([9.0] * 50, signal([1.0] * 50), *samples))).model)

    assert small.rows_at_once > 10_000
    assert 1 <= large.rows_at_once < 20
