"""Which hypotheses make a plot, and how far each of them is excluded."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from reports import check, failed, point, report
from scipy.stats import norm

from fitspec.outcome import Outcome
from fitspec.report.plots.grids import grids, margins, published_margin
from fitspec.results import Combined

BAND = (0.4, 0.6, 1.0, 1.5, 2.0)


def labelled(name, **labels):
    return point(name, labels=labels)


def axes_of(points, **changes):
    return [(grid.words, grid.axes) for grid in grids(report(*points, **changes))]


def test_labels_that_tell_hypotheses_apart_are_the_axes():
    line = [labelled(str(m), m=m, width=5) for m in (100, 200, 300)]
    plane = [labelled(f"{m}_{n}", m=m, n=n, twice=2 * m) for m in (1, 2, 3) for n in (1, 2)]

    assert axes_of(line) == [((), ("m",))]
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
        ((), ("region", "m")),
    ]


def test_a_limit_of_one_is_just_excluded():
    limits = Outcome("ok", upper_limit_obs=1.0, upper_limit_exp=BAND)

    observed, expected = margins(point("one", outcome=limits))

    assert observed == 0.0
    assert expected == pytest.approx([-math.log(value) for value in BAND])


def test_without_limits_CLs_counts_in_standard_deviations():
    observed, expected = margins(point("one"))  # CLs 0.24444 and a band

    assert observed == pytest.approx(norm.isf(0.24444) - norm.isf(0.05))
    assert expected[2] == pytest.approx(norm.isf(0.3843) - norm.isf(0.05))
    assert margins(failed("two", "no minimum")) is None


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
def test_what_was_published_is_what_was_expected(quantity, mu, expected, margin):
    points = [labelled(str(m), m=m) for m in (1, 2)]
    points[0] = replace(points[0], xsec_pb=0.2)
    run = report(
        *points, checks=(check(name="1", quantity=quantity, mu=mu, expected=expected),)
    )  # fmt: skip

    [grid] = grids(run)

    found = [published_margin(hypothesis) for hypothesis in grid.hypotheses]
    assert found == [margin if margin is None else pytest.approx(margin, abs=1e-12), None]
