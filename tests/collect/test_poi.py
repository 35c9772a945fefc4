"""The POI of a case: chosen by name, and refused at its key where no point could be tested."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from fitspec.collect.cases import Opener
from fitspec.collect.points import Point, points_of
from fitspec.errors import SpecError
from fitspec.sources import Access
from fitspec.spec import load_spec

Json = dict[str, Any]


def found(folder: Path, workspace: Json, tail: str = "", *, patches: bool = True) -> list[Point]:
    """Points of the small specification with more text at its end, with or without patches."""
    (folder / "background.json").write_text(json.dumps(workspace))
    path = folder / "small.toml"
    text = path.read_text() if patches else path.read_text().split("[patches]")[0]
    path.write_text(text + tail)
    return points_of(load_spec(path, "small.toml"), Opener(Access(folder / "cache")))


def refusal(folder: Path, workspace: Json, tail: str = "", *, patches: bool = True) -> str:
    with pytest.raises(SpecError) as caught:
        found(folder, workspace, tail, patches=patches)
    return str(caught.value).removeprefix("small.toml:")


def named(name: str) -> str:
    return f'[poi]\nname = "{name}"\n'


def configure(workspace: Json, **parameter: Any) -> None:
    workspace["measurements"][0]["config"]["parameters"].append(parameter)


def add_modifier(workspace: Json, kind: str, name: str, data: Any = None) -> None:
    """To the background of the signal region, which has two bins."""
    modifier = {"name": name, "type": kind, "data": data}
    workspace["channels"][0]["samples"][0]["modifiers"].append(modifier)


@pytest.fixture
def several(background: Json) -> Json:
    """Two measurements, of which the second is about a normalisation of the background."""
    add_modifier(background, "normfactor", "k")
    second = copy.deepcopy(background["measurements"][0]) | {"name": "control"}
    second["config"]["poi"] = "k"
    background["measurements"].append(second)
    return background


@pytest.mark.parametrize(
    ("tail", "measurement", "poi"),
    [
        ("", "measurement", None),
        (named("k"), "measurement", "k"),
        ('[parametrize]\nwhich = ["k"]\n' + named("{which}"), "measurement", "k"),
    ],
)
def test_the_first_measurement_and_its_own_poi_are_the_defaults(
    analysis, several, tail, measurement, poi
):
    cases = [point.case for point in found(analysis, several, tail)]

    assert {(case.measurement, case.poi) for case in cases} == {(measurement, poi)}


@pytest.mark.parametrize("name", ["k", "norm", "shape", "mu"])
def test_any_scalar_parameter_may_be_the_poi(analysis, several, name):
    assert len(found(analysis, several, named(name))) == 4


def test_a_second_signal_strength_may_come_with_the_patches(analysis, background):
    for path in analysis.glob("patch.*_2.json"):
        path.write_text(path.read_text().replace('"mu"', '"mu_2"'))

    assert len(found(analysis, background, named("mu_2"))) == 4  # two of them will say it is absent


@pytest.mark.parametrize(
    ("name", "patches", "problem"),
    [
        ("nrom", True, "'nrom'; did you mean 'norm'?"),
        ("mu_", True, "'mu_'; did you mean 'mu'?"),
        ("xyz", True, "'xyz'; set poi.name to 'shape' or 'norm' or 'mu'"),
        ("mu", False, "'mu'; set poi.name to 'shape' or 'norm'"),
    ],
)
def test_a_name_that_no_sample_carries_is_told_with_the_nearest(
    analysis, background, name, patches, problem
):
    line = 12 if patches else 10
    assert refusal(analysis, background, named(name), patches=patches) == (
        f"{line}: poi.name: no sample carries the POI {problem}"
    )


def test_a_patch_that_is_none_knows_no_parameter(analysis, background):
    for path in analysis.glob("patch.*.json"):
        path.write_text('[{"op"')

    assert refusal(analysis, background, named("mu_2")).startswith("12: poi.name: no sample ")


def test_a_workspace_without_its_poi_and_without_patches_is_an_error(analysis, background):
    assert refusal(analysis, background, patches=False) == (
        "6: workspace.measurement: no sample carries the POI 'mu'; "
        "set poi.name to 'shape' or 'norm'"
    )


@pytest.mark.parametrize("patches", [True, False])
def test_a_measurement_without_a_poi_needs_a_name(analysis, background, patches):
    background["measurements"][0]["config"]["poi"] = ""

    assert refusal(analysis, background, patches=patches) == (
        "6: workspace.measurement: measurement 'measurement' names no POI; "
        "set poi.name to 'shape' or 'norm'"
    )
    assert found(analysis, background, named("norm"), patches=patches)


def test_a_workspace_whose_parameters_are_all_one_a_bin_has_no_poi(analysis, background):
    for channel in background["channels"]:
        channel["samples"][0]["modifiers"] = []
    add_modifier(background, "staterror", "stat", [2.0, 1.5])
    background["measurements"][0]["config"]["poi"] = ""

    assert refusal(analysis, background, patches=False) == (
        "6: workspace.measurement: measurement 'measurement' names no POI; add one to the workspace"
    )


def test_a_poi_that_the_measurement_fixes_is_an_error(analysis, several):
    configure(several, name="mu", fixed=True)
    configure(several, name="k", fixed=False)

    assert refusal(analysis, several) == (
        "6: workspace.measurement: measurement 'measurement' fixes the POI 'mu'; unfix it, or "
        "set poi.name to 'shape' or 'norm' or 'k'"
    )
    assert found(analysis, several, named("k"))


def test_a_chosen_poi_that_the_measurement_fixes_is_an_error(analysis, several):
    configure(several, name="k", fixed=True)

    assert refusal(analysis, several, named("k")) == (
        "12: poi.name: measurement 'measurement' fixes the POI 'k'; unfix it, or "
        "set poi.name to 'shape' or 'norm'"
    )


@pytest.mark.parametrize(
    ("kind", "data"),
    [("shapefactor", None), ("shapesys", [2.0, 1.5]), ("staterror", [2.0, 1.5])],
)
def test_a_poi_that_is_one_a_bin_is_an_error(analysis, background, kind, data):
    add_modifier(background, kind, "bins", data)

    assert refusal(analysis, background, named("bins")) == (
        f"12: poi.name: the POI 'bins' is a {kind}, one parameter a bin; "
        "set poi.name to 'shape' or 'norm'"
    )


def test_a_poi_of_one_bin_is_good(analysis, background):
    modifier = {"name": "bins", "type": "shapefactor", "data": None}
    background["channels"][1]["samples"][0]["modifiers"].append(modifier)

    assert found(analysis, background, named("bins"))


def test_tested_values_lie_inside_the_bounds_of_the_chosen_poi(analysis, several):
    configure(several, name="k", bounds=[[0, 1.5]])

    assert refusal(analysis, several, named("k") + "test = [1, 2]\n") == (
        "13: poi.test: mu = 2 is outside the POI's bounds [0, 1.5]; "
        "test a value inside the bounds that the measurement gives"
    )


def test_a_poi_that_cannot_be_zero_cannot_be_tested(analysis, several):
    configure(several, name="k", bounds=[[0.5, 1.5]])

    assert refusal(analysis, several, named("k")) == (
        "12: poi.name: mu = 0, with which every test compares, is outside the POI's bounds "
        "[0.5, 1.5]; widen them in the measurement, or set poi.name"
    )
