"""Sizes of effects, by hand."""

from __future__ import annotations

import pytest
from build import histosys, lumi, modifier, normfactor, normsys, sample, shapesys, staterror

from fitspec.inspection.effects import effects_of, extremes, luminosities_of


def test_relative_changes_of_all_events() -> None:
    content = sample(
        "top",
        [30.0, 10.0],
        normsys("xsec", 0.8, 1.25),
        histosys("scale", [27.0, 9.0], [36.0, 10.0]),
        staterror("stat", [3.0, 4.0]),
        shapesys("shape", [0.0, 2.0]),
        lumi(),
        normfactor("mu_top"),
        modifier("shapefactor", "free"),
    )
    changes = {e.type: (e.up, e.down) for e in effects_of("SR", content, {"lumi": 0.02})}
    assert changes == {
        "normsys": pytest.approx((0.25, -0.2)),
        "histosys": pytest.approx((6 / 40, -4 / 40)),
        "staterror": pytest.approx((5 / 40, -5 / 40)),  # 3 and 4 in quadrature
        "shapesys": pytest.approx((2 / 40, -2 / 40)),
        "lumi": (0.02, -0.02),
        "normfactor": (None, None),
        "shapefactor": (None, None),
    }


def test_the_extremes_are_the_largest_both_ways_whichever_side_makes_them() -> None:
    content = sample("top", [10.0], normsys("a", 1.3, 0.9), normsys("b", 0.6, 1.1))
    up, down = extremes(effects_of("SR", content, {}))
    assert up is not None
    assert down is not None
    assert (up.effect.name, up.change) == ("a", pytest.approx(0.3))
    assert (down.effect.name, down.change) == ("b", pytest.approx(-0.4))


def test_one_way_only_and_no_way_at_all() -> None:
    one_sided = sample("top", [10.0], normsys("a", 1.3, 1.1))
    assert extremes(effects_of("SR", one_sided, {}))[1] is None
    assert extremes(effects_of("SR", sample("top", [10.0]), {})) == (None, None)


def test_nothing_is_relative_to_no_events() -> None:
    content = sample("empty", [0.0], histosys("a", [0.0], [1.0]), staterror("b", [1.0]), lumi())
    assert all(e.up is None and e.down is None for e in effects_of("SR", content, {}))


def test_the_uncertainty_of_a_luminosity_is_the_measurements() -> None:
    parameters = [
        {"name": "lumi", "auxdata": [2.0], "sigmas": [0.1]},
        {"name": "mu", "bounds": [[0, 5]]},
    ]
    assert luminosities_of({"name": "fit", "config": {"poi": "mu", "parameters": parameters}}) == {
        "lumi": 0.05
    }
