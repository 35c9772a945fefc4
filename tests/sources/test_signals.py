"""Signals as JSON patches, and what they share with the workspace."""

from __future__ import annotations

import json
from typing import Any

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
    signal,
    workspace,
)

from fitspec.errors import WorkspaceError
from fitspec.sources import (
    Background,
    load_background,
    luminosity_modifiers,
    systematic_modifiers,
)
from fitspec.sources.bins import Bin
from fitspec.sources.signals import SignalWriter


def loaded(*channels, **settings) -> Background:
    content = workspace(*channels, **settings)
    return load_background(json.dumps(content).encode(), "bkg.json", None)


@pytest.fixture
def plain() -> Background:
    """Two bins and a control region; a luminosity, a systematic and a normalisation."""
    return loaded(
        region([5.0, 7.0], background([5.0, 6.0], lumi(), normsys("scale", 0.9, 1.1))),
        region([90.0], background([88.0], normfactor("mu_top")), name="CR"),
        parameters=[LUMI],
    )


def written(background: Background, *args: Any, **more: Any) -> list[dict[str, Any]]:
    return SignalWriter(background, "mu", **more).operations(*args)


def test_a_signal_is_one_sample_a_channel_that_the_poi_scales(plain):
    operations = written(plain, {Bin(0, 1): 2.5}, modifiers=[lumi()])

    assert operations == [
        {
            "op": "add",
            "path": "/channels/0/samples/-",
            "value": sample("signal", [0.0, 2.5], normfactor("mu"), lumi()),
        }
    ]


def test_uncertainties_are_independent_and_absolute_in_the_workspace(plain):
    first, second = written(
        plain, {Bin(0, 0): 2.0, Bin(0, 1): 3.0, Bin(1, 0): 1.0}, {Bin(0, 1): 0.2, Bin(1, 0): 0.5}
    )

    assert first["value"]["modifiers"][-1] == {
        "name": "signal_SR", "type": "shapesys", "data": [0.0, pytest.approx(0.6)],
    }  # fmt: skip
    assert second["value"]["modifiers"][-1] == {
        "name": "signal_CR", "type": "shapesys", "data": [0.5],
    }  # fmt: skip


def test_no_name_is_taken_twice():
    crowded = loaded(
        region(
            [5.0],
            sample("signal", [5.0], normsys("signal__SR", 0.9, 1.1)),
            sample("other", [1.0]),
        )
    )

    [operation] = written(crowded, {Bin(0, 0): 2.0}, {Bin(0, 0): 0.1})

    assert operation["value"]["name"] == "signal_"
    assert operation["value"]["modifiers"][-1]["name"] == "signal__SR_"


def test_a_workspace_with_a_signal_gets_no_second_one():
    with pytest.raises(WorkspaceError) as caught:
        written(loaded(region([5.0], background([5.0]), signal([1.0]))), {Bin(0, 0): 2.0})
    assert str(caught.value) == (
        "bkg.json has a signal: its POI 'mu' scales 'signal' in channel 'SR'; "
        "new signals need a background-only workspace"
    )


def test_a_place_that_is_kept_for_a_signal_is_none():
    empty = loaded(region([5.0], background([5.0]), signal([0.0])))
    assert written(empty, {Bin(0, 0): 2.0})[0]["value"]["name"] == "signal_"


@pytest.mark.parametrize(("asked", "shared"), [(None, [lumi()]), (True, [lumi()]), (False, [])])
def test_a_signal_shares_the_luminosity_unless_that_is_not_wanted(plain, asked, shared):
    assert luminosity_modifiers(plain, asked) == shared


def test_a_luminosity_that_is_not_there_cannot_be_shared():
    without = loaded(region([5.0], background([5.0])))
    with pytest.raises(WorkspaceError) as caught:
        luminosity_modifiers(without, True)
    assert str(caught.value) == (
        "bkg.json has no modifier of type lumi; give its uncertainty as one of patches.systematics"
    )
    assert luminosity_modifiers(without, None) == luminosity_modifiers(without, False) == []


def test_systematics_are_symmetric_and_may_share_a_parameter(plain):
    assert systematic_modifiers(plain, "mu", {"theory": 0.2, "scale": 0.1}) == [
        normsys("theory", 0.8, 1.2), normsys("scale", 0.9, 1.1)
    ]  # fmt: skip
    shapes = loaded(region([5.0], background([5.0], histosys("jes", [4.0], [6.0]))))
    assert systematic_modifiers(shapes, "mu", {"jes": 0.1}) == [normsys("jes", 0.9, 1.1)]


@pytest.mark.parametrize(
    ("name", "kind"), [("mu", "POI"), ("lumi", "lumi"), ("mu_top", "normfactor")]
)
def test_a_systematic_takes_no_name_of_another_kind(plain, name, kind):
    with pytest.raises(WorkspaceError) as caught:
        systematic_modifiers(plain, "mu", {name: 0.1})
    assert str(caught.value) == f"bkg.json has a {kind} called {name!r}; take another name"
