"""Impacts against closed forms, and against pyhf's own fits with a parameter fixed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyhf
import pytest
from build import background, histosys, normfactor, normsys, region, shapesys, signal, staterror
from build import workspace as made_of

from fitspec.bestfit import BestFit, Impact
from fitspec.histfactory.model import Compiler
from fitspec.inference import FitQuestion, Question, fit_observed
from fitspec.inference.backends.native import NativeLikelihood

S, B = 10.0, 50.0


def fitted(content: dict[str, Any], top: int | None = None) -> BestFit:
    asked = FitQuestion(impacts=True, top=top)
    question = Question("fit", (), "qtilde", "code4", "code4p", "native", "", "", asked)
    return fit_observed(NativeLikelihood(Compiler(content), content, question), asked).fit


def impacts(content: dict[str, Any], top: int | None = None) -> dict[str, Impact]:
    return {impact.parameter: impact for impact in fitted(content, top).impacts}


def shifts(impact: Impact) -> list[float | None]:
    return [impact.up, impact.down, impact.nominal_up, impact.nominal_down]


def test_a_background_takes_from_the_signal_what_it_gains():
    """mu = (n - b - delta alpha) / s, however alpha is fixed."""
    content = made_of(
        region(
            [60.0],
            signal([S]),
            background([B], histosys("jes", [46, ], [54]), histosys("jer", [B - 1], [B + 1])),
        )
    )  # fmt: skip
    found = impacts(content)

    assert list(found) == ["jes", "jer"]
    assert shifts(found["jes"]) == pytest.approx([-0.4, 0.4, -0.4, 0.4], rel=5e-4)
    assert shifts(found["jer"]) == pytest.approx([-0.1, 0.1, -0.1, 0.1], rel=5e-4)


def test_a_constrained_parameter_moves_less_after_the_fit():
    """A control region knows alpha to (1 + delta^2 / c)^-1/2."""
    content = made_of(
        region([60.0], signal([S]), background([B], histosys("jes", [46.0], [54.0]))),
        region([400.0], background([400.0], histosys("jes", [360.0], [440.0])), name="CR"),
    )
    impact = impacts(content)["jes"]

    width = (1 + 40**2 / 400) ** -0.5
    assert shifts(impact) == pytest.approx([-0.4 * width, 0.4 * width, -0.4, 0.4], rel=5e-4)


def test_only_the_largest_are_kept():
    content = busy()
    everything = fitted(content).impacts

    sizes = [impact.size for impact in everything]
    assert sizes == sorted(sizes, reverse=True)
    assert fitted(content, top=2).impacts == everything[:2]


def test_where_a_parameter_cannot_go_there_is_no_impact():
    """A statistical error of 130%: minus that, there would be less than nothing."""
    content = made_of(
        region([60.0], signal([S]), background([B])),
        region([6.0], background([5.0], staterror("stat", [6.5])), name="VR"),
    )
    content["channels"][0]["samples"][1]["modifiers"].append(
        {"name": "stat_SR", "type": "staterror", "data": [5.0]}
    )
    found = impacts(content)

    assert found["stat_SR[0]"].down == pytest.approx(0.5, rel=5e-4)
    assert found["stat[0]"].nominal_down is None
    assert found["stat[0]"].nominal_up == pytest.approx(0, abs=1e-6)


def test_free_and_fixed_parameters_and_the_poi_have_none():
    content = busy()
    content["measurements"][0]["config"]["parameters"].append({"name": "norm", "fixed": True})

    assert set(impacts(content)) == {"jes", "fakes[0]", "fakes[1]", "stat[0]", "stat[1]"}


def test_a_poi_at_its_bound_can_only_leave_it():
    content = made_of(region([45.0], signal([S]), background([B], histosys("jes", [40.0], [60.0]))))
    found = fitted(content)

    assert found.signal.at_bound
    [impact] = found.impacts
    assert (impact.up, impact.nominal_up) == (0.0, 0.0)
    # alpha = pull - 1 leaves room for a signal of n - b - 10 alpha
    pull = next(p.pull for p in found.parameters if p.name == "jes")
    assert impact.nominal_down == pytest.approx((45 - B - 10 * (pull - 1)) / S, rel=5e-4)


def busy() -> dict[str, Any]:
    """Every kind of constraint, nothing linear."""
    return made_of(
        region(
            [62.0, 40.0],
            signal([8.0, 3.0], normsys("norm", 0.85, 1.2), staterror("stat", [0.8, 0.5])),
            background(
                [50.0, 33.0],
                normfactor("k"),
                histosys("jes", [47.0, 29.0], [55.0, 34.0]),
                shapesys("fakes", [4.0, 5.0]),
            ),
        ),
        region([420.0], background([400.0], normfactor("k"), normsys("norm", 0.97, 1.02)),
               name="CR"),
    )  # fmt: skip


def test_they_are_what_fits_of_pyhf_with_a_fixed_parameter_find():
    content = busy()
    ours = fitted(content)

    model = pyhf.Workspace(content).model(measurement_name="fit")
    data = pyhf.Workspace(content).data(model)
    config, by_name = model.config, {p.name: p for p in ours.parameters}
    best = [by_name[name].value for name in config.par_names]
    pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer(tolerance=1e-12))
    try:
        for impact in ours.impacts:
            p = by_name[impact.parameter]
            steps = [p.uncertainty, -p.uncertainty, p.nominal_uncertainty, -p.nominal_uncertainty]
            for step, shift in zip(steps, shifts(impact), strict=True):
                index = config.par_names.index(impact.parameter)
                start, fixed = np.array(best), config.suggested_fixed()
                start[index], fixed[index] = p.value + step, True
                theirs = pyhf.infer.mle.fit(data, model, list(start), fixed_params=fixed)
                expected = theirs[config.poi_index] - ours.signal.value
                assert shift == pytest.approx(expected, rel=1e-3, abs=1e-5)
    finally:
        pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer())
