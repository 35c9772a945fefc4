"""Which hypotheses make a plot, and how far each of them is excluded."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from reports import check, failed, point, report
from scipy.stats import norm

from fitspec.outcome import Outcome, Toys
from fitspec.report.plots.grids import grids
from fitspec.report.plots.grids import test_at_one as at_one
from fitspec.results import Combined

BAND = (0.4, 0.6, 1.0, 1.5, 2.0)


def labelled(name, outcome=None, **labels):
    made = point(name, labels=labels)
    return made if outcome is None else replace(made, outcome=outcome)


def axes_of(points, **changes):
    return [(grid.words, grid.axes) for grid in grids(report(*points, **changes))]


def test_labels_that_tell_hypotheses_apart_are_the_axes():
    line = [labelled(str(m), m=m, width=5) for m in (100, 200, 300)]
    plane = [labelled(f"{m}_{n}", m=m, n=n, twice=2 * m) for m in (1, 2, 3) for n in (1, 2)]

    assert axes_of(line) == [(("width = 5",), ("m",))]
    assert axes_of(plane) == [((), ("m", "n"))]
    assert axes_of(line[:1]) == []
    assert axes_of([point("a"), point("b")]) == []


def test_each_text_has_a_grid_of_its_own():
    points = [labelled(f"{r}{m}", region=r, m=m) for r in "AB" for m in (1, 2)]

    assert axes_of(points) == [(("region = A",), ("m",)), (("region = B",), ("m",))]


def test_of_three_labels_the_fullest_planes_are_drawn():
    fixed = [(m, n, 60) for m in (400, 500, 600, 700) for n in (200, 300, 350)]
    split = [(m, n + 130, n) for m in (400, 500, 600) for n in (1, 100, 150)]
    points = [labelled(f"{m}_{n}_{k}", m=m, n=n, k=k) for m, n, k in [*fixed, *split]]

    assert axes_of(points) == [(("k = 60",), ("m", "n")), (("n - k = 130",), ("m", "n"))]


def test_four_labels_are_no_plane():
    points = [labelled(str(v), **dict(zip("abcd", v, strict=True)))
              for v in itertools.product((1, 2), repeat=4)]  # fmt: skip

    assert axes_of(points) == []


def test_the_best_expected_ones_are_a_grid_without_the_combined_label():
    points = [labelled(f"{r}::{m}", region=r, m=m) for r in (1, 2) for m in (10, 20)]
    best = tuple(Combined("small.toml", str(p.labels["m"]), p.id, (), p) for p in points[1:3])
    run = report(*points, combined=best)
    run = replace(run, specs=(replace(run.specs[0], settings={"combine.best_expected": "region"}),))

    assert [(grid.words, grid.axes) for grid in grids(run)] == [
        (("best expected",), ("m",)),
        (("region = 1",), ("m",)),
        (("region = 2",), ("m",)),
    ]


def grid_of(*points, **changes):
    [grid] = grids(report(*points, **changes))
    return grid


def limited(m, limit=1.0, **changes):
    outcome = Outcome("ok", upper_limit_obs=limit, upper_limit_exp=BAND)
    return point(str(m), outcome=outcome, labels={"m": m}, **changes)


def test_a_limit_of_one_is_just_excluded():
    grid = grid_of(limited(1), limited(2, 0.5))

    observed, expected = zip(*map(grid.margins, grid.hypotheses), strict=True)

    assert observed == pytest.approx((0.0, math.log(2)))
    assert expected[0] == pytest.approx([-math.log(value) for value in BAND])


def test_without_limits_CLs_counts_in_standard_deviations():
    lost = replace(failed("2", "no minimum"), labels={"m": 2})
    grid = grid_of(labelled("1", m=1), lost)  # CLs 0.24444 and a band

    observed, expected = grid.margins(grid.hypotheses[0])

    assert observed == pytest.approx(norm.isf(0.24444) - norm.isf(0.05))
    assert expected[2] == pytest.approx(norm.isf(0.3843) - norm.isf(0.05))
    assert grid.margins(grid.hypotheses[1]) is None


def test_the_level_is_that_of_the_limits():
    run = report(labelled("1", m=1), labelled("2", m=2))
    run = replace(run, specs=(replace(run.specs[0], settings={"poi.upper_limit": 0.9}),))

    [grid] = grids(run)

    assert grid.confidence == 0.9
    observed, _ = grid.margins(grid.hypotheses[0])
    assert observed == pytest.approx(norm.isf(0.24444) - norm.isf(0.1))


def test_a_grid_has_one_measure_for_all():
    """Where a limit is outside the scan, its tests are right all the same."""
    outside = replace(labelled("2", m=2).outcome, status="error", error="outside the scan")
    both = replace(limited(1).outcome, tests=outside.tests)
    grid = grid_of(labelled("1", m=1, outcome=both), labelled("2", m=2, outcome=outside))

    assert not grid.by_limits
    margins = {grid.margins(hypothesis) for hypothesis in grid.hypotheses}
    assert len(margins) == 1


def test_of_two_measures_it_is_the_reference_one():
    both = replace(limited(1).outcome, tests=labelled("2").outcome.tests)
    points = [labelled(str(m), m=m, outcome=both) for m in (1, 2)]

    assert grid_of(*points).by_limits
    assert not grid_of(*points, checks=(check(name="1"),)).by_limits


def test_toys_resolve_no_more_than_they_are():
    toys = Toys(200, 0, 0.01, (0.01,) * 5)
    [test] = labelled("1").outcome.tests
    test = replace(test, mu=0.9999999999999999, CLs_exp=(0.0, 0.1, 0.5, 0.9, 1.0), toys=toys)

    found = at_one(labelled("1", Outcome("ok", tests=(test,)), m=1))

    assert found.CLs_exp == (1 / 201, 0.1, 0.5, 0.9, 200 / 201)
    assert found.CLs_obs == test.CLs_obs


@pytest.mark.parametrize(
    ("quantity", "mu", "expected", "margin"),
    [
        ("CLs_obs", 1.0, 0.05, 0.0),
        ("CLs_obs", 2.0, 0.05, None),
        ("upper_limit_obs", None, 0.5, math.log(2)),
        ("upper_limit_xsec_obs", None, 0.1, math.log(2)),  # of 0.2 pb
        ("mu_hat", None, 0.5, None),
    ],
)
def test_what_was_reference_is_what_was_expected(quantity, mu, expected, margin):
    asked = check(name="1", quantity=quantity, mu=mu, expected=expected)
    points = [limited(1, xsec_pb=0.2), limited(2)]
    if quantity == "CLs_obs":
        points = [labelled("1", m=1), labelled("2", m=2)]

    grid = grid_of(*points, checks=(asked,))

    found = [grid.reference_margin(hypothesis) for hypothesis in grid.hypotheses]
    assert found == [margin if margin is None else pytest.approx(margin, abs=1e-12), None]
