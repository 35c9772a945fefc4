"""Minima of many data sets are those that the scalar minimiser finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from build import background, histosys, normsys, region, shapesys, signal, workspace
from hypothesis import given, settings
from reference import SETTINGS, Pair
from strategies import workspaces

from fitspec.collect import collect
from fitspec.errors import InferenceError
from fitspec.histfactory import apply_patch
from fitspec.histfactory import batch as batch_module
from fitspec.histfactory.batch import DataStack, LikelihoodBatch
from fitspec.histfactory.minimise import minimise
from fitspec.histfactory.minimise_batch import FoundBatch, minimise_batch
from fitspec.plan import make_plan
from fitspec.sources import Access
from fitspec.spec import find_specs

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # steps go too far at times


def thrown(pair: Pair, truth: np.ndarray, number: int, seed: int = 1) -> DataStack:
    """Toys of a model, all its auxiliary data being normal."""
    p, rng = pair.parameters, np.random.default_rng(seed)
    main = rng.poisson(
        np.maximum(pair.likelihood.expected(truth), 0), (number, len(pair.model.bins))
    )
    drawn = rng.normal(truth, p.sigma, (number, len(truth)))
    auxiliary = np.where(p.normal, drawn, p.auxdata)
    return LikelihoodBatch(pair.model).stack(main.astype(float), auxiliary)


def compare(pair: Pair, toys: DataStack, found: FoundBatch, starts: Any, fixed: Any) -> int:
    """Every minimum is the scalar minimiser's from the same start; returns how many are others."""
    others = 0
    for row in np.flatnonzero(found.converged).tolist():
        theta = found.theta[row]
        if (pair.likelihood.expected(theta) < 0).any():
            continue
        assert found.nll[row] == pytest.approx(pair.likelihood.value(theta, toys[row]), rel=1e-12)
        nearby = minimise(pair.likelihood, toys[row], theta, fixed)
        assert found.nll[row] == pytest.approx(nearby.nll, abs=1e-7)
        assert nearby.iterations <= 2  # already there
        try:
            single = minimise(pair.likelihood, toys[row], starts[row], fixed)
        except InferenceError:
            continue
        others += abs(found.nll[row] - single.nll) > 1e-7
    return others


@settings(SETTINGS, max_examples=25)
@given(workspaces())
def test_minima_of_drawn_models_are_minima(spec):
    pair = Pair(spec)
    p = pair.parameters
    toys = thrown(pair, p.inits, 6)
    starts = np.tile(p.inits, (6, 1))

    found = minimise_batch(LikelihoodBatch(pair.model), toys, starts, p.fixed)

    compare(pair, toys, found, starts, p.fixed)
    assert (p.low <= found.theta)[:, ~p.fixed].all()
    assert (found.theta <= p.high)[:, ~p.fixed].all()


@pytest.mark.data
@pytest.mark.parametrize("mu", [None, 1.0], ids=["free", "conditional"])
def test_minima_of_published_toys_are_those_of_the_scalar_minimiser(
    mu: float | None, mirror: Path, tmp_path: Path
) -> None:
    access = Access(tmp_path, mirror, offline=True)
    [task] = make_plan(collect(find_specs(["@1Lbb"]), access, "900_250")).fits.values()
    order = task.order
    spec = apply_patch(orjson.loads(task.background.raw), order["patch"], order["patch_name"])
    pair = Pair(spec)
    p, poi = pair.parameters, pair.model.poi
    fixed = p.fixed.copy()
    truth = minimise(pair.likelihood, pair.observed, p.inits, fixed).theta
    starts = np.tile(truth, (30, 1))
    if mu is not None:
        fixed[poi], starts[:, poi] = True, mu
    toys = thrown(pair, truth, 30)

    found = minimise_batch(LikelihoodBatch(pair.model), toys, starts, fixed)

    assert found.converged.all()
    assert compare(pair, toys, found, starts, fixed) <= 1


def small() -> Pair:
    shape, norm = histosys("shape", lo=[45.0, 8.0], hi=[56.0, 13.0]), normsys("norm", 0.9, 1.15)
    samples = signal([5.0, 6.0]), background([50.0, 10.0], shape, norm)
    return Pair(workspace(region([52.0, 9.0], *samples)))


def test_minima_do_not_depend_on_who_is_fitted_together(monkeypatch):
    pair = small()
    p, batch = pair.parameters, LikelihoodBatch(pair.model)
    toys, starts = thrown(pair, p.inits, 50), np.tile(p.inits, (50, 1))
    together = minimise_batch(batch, toys, starts, p.fixed)

    monkeypatch.setattr(batch_module, "MEMORY", 1)  # one at a time
    assert batch.rows_at_once == 1
    alone = minimise_batch(batch, toys, starts, p.fixed)

    assert together.converged.all()
    assert alone.converged.all()
    assert together.nll == pytest.approx(alone.nll, abs=1e-9)


def test_a_start_at_which_the_data_are_impossible_is_not_fatal():
    pair = Pair(workspace(region([2.0, 4.0], signal([3.0, 0.0]), background([0.0, 5.0]))))
    p = pair.parameters
    toys = LikelihoodBatch(pair.model).stack(np.array([[2.0, 4.0], [0.0, 4.0]]), np.zeros((2, 1)))
    fixed = np.ones(1, dtype=bool)

    found = minimise_batch(LikelihoodBatch(pair.model), toys, np.zeros((2, 1)), fixed)

    assert found.converged.tolist() == [False, True]
    alone = minimise_batch(LikelihoodBatch(pair.model), toys[:1], np.zeros((1, 1)), fixed)
    assert alone.converged.tolist() == [False]
    free = minimise_batch(LikelihoodBatch(pair.model), toys, np.ones((2, 1)), p.fixed)
    assert free.converged.all()
    assert free.theta == pytest.approx(np.array([[2 / 3], [0.0]]), abs=1e-5)


def test_poisson_constraints_are_fitted_in_closed_form():
    pair = Pair(workspace(region([12.0], signal([5.0]), background([10.0], shapesys("u", [2.0])))))
    p, batch = pair.parameters, LikelihoodBatch(pair.model)
    main, auxiliary = np.array([[12.0], [30.0], [4.0]]), np.zeros((3, 2))
    row = p.names.index("u[0]")
    auxiliary[:, row] = [25.0, 31.0, 20.0]
    fixed, starts = p.fixed.copy(), np.tile(p.inits, (3, 1))
    fixed[pair.model.poi], starts[:, pair.model.poi] = True, 0.0

    found = minimise_batch(batch, batch.stack(main, auxiliary), starts, fixed)

    # n and the auxiliary m measure one rate gamma: 10 gamma and 25 gamma
    expected = (main[:, 0] + auxiliary[:, row]) / (10 + 25)
    assert found.converged.all()
    assert found.theta[:, row] == pytest.approx(expected, rel=1e-6)


def test_no_data_sets_have_no_minima():
    pair = small()
    p, batch = pair.parameters, LikelihoodBatch(pair.model)

    found = minimise_batch(batch, thrown(pair, p.inits, 1)[:0], np.empty((0, 3)), p.fixed)

    assert len(found.nll) == len(found.converged) == 0
