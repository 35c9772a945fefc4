"""The compiler: a patched model is the model of the patched workspace, and nonsense is refused."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest
from build import (
    background,
    histosys,
    normfactor,
    normsys,
    region,
    sample,
    shapefactor,
    signal,
    staterror,
    workspace,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import SETTINGS, agreeing
from strategies import workspaces, workspaces_and_patches

from fitspec.errors import WorkspaceError
from fitspec.histfactory import apply_patch, require_consistent
from fitspec.histfactory import model as module
from fitspec.histfactory.model import Compiler, Model


@pytest.fixture
def plain():
    """A signal on a background, in two regions."""
    return workspace(
        region([12.0, 19.0], signal([3.0, 5.0]), background([10.0, 20.0], normsys("a", 0.9, 1.2))),
        region([51.0], background([50.0], normsys("a", 0.95, 1.1)), name="CR"),
    )


def compiled(spec: dict[str, Any], measurement: str = "fit") -> Model:
    return Compiler(spec).compile(spec, measurement)


def refused(spec: dict[str, Any], measurement: str = "fit") -> str:
    """The message of a workspace that must be refused."""
    with pytest.raises(WorkspaceError) as caught:
        compiled(spec, measurement)
    return str(caught.value)


def assert_same(one: Any, other: Any) -> None:
    """Every attribute is equal, arrays element by element."""
    for field in dataclasses.fields(one):
        first, second = getattr(one, field.name), getattr(other, field.name)
        if dataclasses.is_dataclass(first):
            assert_same(first, second)
        elif isinstance(first, np.ndarray):
            assert first.dtype == second.dtype
            assert np.array_equal(first, second), field.name
        else:
            assert first == second, field.name


# ---- patches ----


@settings(SETTINGS, max_examples=50)
@given(workspaces_and_patches())
def test_a_patched_model_is_the_model_of_the_patched_workspace(drawn):
    spec, patch = drawn
    patched = apply_patch(spec, orjson.dumps(patch), "signal")

    compiler = Compiler(spec)
    for measurement in patched["measurements"]:
        name = measurement["name"]
        assert_same(compiler.compile(patched, name), compiled(copy.deepcopy(patched), name))


def test_a_patch_costs_the_compilation_of_its_own_samples(plain, monkeypatch):
    compiled_samples = []
    compile_sample = module.compile_sample

    def counting(sample, channel):
        compiled_samples.append((channel, sample["name"]))
        return compile_sample(sample, channel)

    monkeypatch.setattr(module, "compile_sample", counting)
    compiler = Compiler(plain)
    assert len(compiled_samples) == 3
    for i in range(5):
        value = sample(f"signal_{i}", [1.0, i], normfactor("mu"))
        operation = {"op": "add", "path": "/channels/0/samples/-", "value": value}
        compiled_samples.clear()
        compiler.compile(apply_patch(plain, orjson.dumps([operation]), str(i)), "fit")
        assert compiled_samples == [("SR", f"signal_{i}")]


def test_a_changed_sample_is_compiled_again(plain):
    operation = {"op": "replace", "path": "/channels/0/samples/1/data/0", "value": 40.0}
    patched = apply_patch(plain, orjson.dumps([operation]), "more background")
    compiler = Compiler(plain)

    before, after = (compiler.compile(spec, "fit").nominal for spec in (plain, patched))
    assert set(after) - set(before) == {40.0}


def test_a_signal_counts_in_the_staterror_of_its_region(plain):
    plain["channels"][0]["samples"][1]["modifiers"].append(staterror("stat", [3.0, 4.0]))
    plain["channels"][0]["samples"].pop(0)
    value = signal([10.0, 20.0], staterror("stat", [4.0, 3.0]))
    operation = {"op": "add", "path": "/channels/0/samples/-", "value": value}

    pair = agreeing(apply_patch(plain, orjson.dumps([operation]), "signal"))
    p = pair.parameters
    assert p.sigma[[p.names.index(f"stat[{i}]") for i in (0, 1)]] == pytest.approx([0.25, 0.125])


# ---- how the parts go together ----


def test_channels_are_ordered_by_name_and_so_are_the_observations(plain):
    plain["observations"].reverse()

    pair = agreeing(plain)
    assert pair.model.bins == [("CR", 0), ("SR", 0), ("SR", 1)]
    assert pair.model.observed.tolist() == [51, 12, 19]


def test_a_name_with_a_histosys_and_a_normsys_is_one_parameter():
    pair = agreeing(
        workspace(
            region(
                [12.0],
                signal([3.0], histosys("jes", [2.5], [3.2])),
                background([10.0], histosys("jes", [9.0], [12.0]), normsys("jes", 0.9, 1.2)),
            )
        )
    )

    assert sorted(pair.parameters.names) == ["jes", "mu"]
    assert pair.likelihood.expected(pair.point(jes=1.0, mu=0.0)) == pytest.approx([12 * 1.2])


def test_samples_may_be_absent_from_a_region():
    pair = agreeing(
        workspace(
            region([12.0], signal([3.0]), background([10.0], normfactor("k")), name="SR"),
            region([31.0], sample("other", [30.0], normfactor("k")), name="CR"),
            region([41.0], background([40.0]), sample("other", [2.0]), name="VR"),
        )
    )

    assert pair.model.cells.tolist() == [1, 2, 2]


def test_every_measurement_is_a_model_of_its_own(plain):
    config = {"poi": "a", "parameters": [{"name": "a", "inits": [0.5], "bounds": [[-1.0, 1.0]]}]}
    plain["measurements"].append({"name": "other", "config": config})

    first, second = agreeing(plain, "fit"), agreeing(plain, "other")
    assert first.parameters.names[first.model.poi] == "mu"
    assert second.parameters.names[second.model.poi] == "a"
    assert second.parameters.inits[second.model.poi] == 0.5


def test_a_measurement_that_does_not_exist_is_named(plain):
    assert refused(plain, "none") == "it has no measurement 'none'"


def test_a_poi_that_no_sample_carries_is_named(plain):
    plain["measurements"][0]["config"]["poi"] = "nu"

    assert refused(plain) == "no sample carries the POI 'nu'"


def test_a_poi_is_one_parameter():
    spec = workspace(region([12.0, 19.0], background([10.0, 20.0], shapefactor("mu"))))

    assert refused(spec) == "its POI 'mu' stands for 2 parameters, one a bin"


def test_a_poi_of_one_bin_is_good():
    spec = workspace(region([12.0], background([10.0], shapefactor("mu"))))

    assert compiled(spec).parameters.names == ("mu[0]",)


def test_a_name_of_two_kinds_in_two_regions_is_named(plain):
    plain["channels"][1]["samples"][0]["modifiers"].append(normfactor("x"))
    plain["channels"][0]["samples"][1]["modifiers"].append(normsys("x", 0.9, 1.1))

    assert refused(plain) == (
        "modifiers called 'x' are of kinds that share no parameter: normfactor and alpha"
    )


def test_a_region_without_samples_is_named(plain):
    plain["channels"][1]["samples"] = []

    assert refused(plain) == "channel 'CR' has no samples"


def test_a_workspace_without_regions_has_no_poi(plain):
    plain["channels"] = []

    assert refused(plain) == "no sample carries the POI 'mu'"


# ---- what is no workspace ----

NONSENSE = st.sampled_from([None, "x", -1, 0.5, [], [1.0], ["x"], {}, {"name": "x"}, True])


def places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Every value of a document, as the container it is in and its key there."""
    if isinstance(content, dict | list):
        for key in content if isinstance(content, dict) else range(len(content)):
            yield content, key
            yield from places(content[key])


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """A workspace with one of its values replaced or removed."""
    spec = draw(workspaces())
    container, key = draw(st.sampled_from(list(places(spec))))
    if draw(st.booleans()):
        del container[key]
    else:
        container[key] = draw(NONSENSE)
    return spec


@settings(SETTINGS, max_examples=200)
@given(damaged())
def test_a_damaged_workspace_is_refused_or_makes_sense(spec):
    try:
        name = spec["measurements"][0]["name"]
        require_consistent(spec, name)
    except (LookupError, TypeError, WorkspaceError):
        return
    try:
        model = compiled(spec, name)
    except WorkspaceError:
        return
    assert np.isfinite(model.nominal).all()
    assert len(model.first_cell) == len(model.observed)


@pytest.mark.parametrize("key", ["channels", "observations", "measurements"])
def test_a_missing_part_is_named(plain, key):
    del plain[key]

    assert refused(plain) == f"it is no HistFactory workspace: KeyError('{key}')"


def test_an_observation_that_is_missing_is_named(plain):
    del plain["observations"][1]

    assert refused(plain) == "it is no HistFactory workspace: KeyError('CR')"
