"""Workspaces that fulfil the schema, and yet no likelihood can be made of them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from fitspec.errors import WorkspaceError
from fitspec.histfactory import require_consistent
from fitspec.histfactory.consistency import require_lumi


@pytest.fixture
def sound(background: dict[str, Any], make_patch: Callable[..., Any]) -> dict[str, Any]:
    """The small workspace with its signal."""
    background["channels"][0]["samples"].append(make_patch([5.0, 8.0])[0]["value"])
    return background


def test_a_sound_workspace_passes(sound: dict[str, Any]) -> None:
    require_consistent(sound, "measurement")


SPOIL: dict[str, Callable[[dict[str, Any]], Any]] = {
    "its version is '2.0.0', not '1.0.0'": lambda w: w.update(version="2.0.0"),
    "it has no measurement 'measurement'": lambda w: w["measurements"][0].update(name="other"),
    "it has two measurements called 'measurement'": lambda w: w["measurements"].append(
        copy.deepcopy(w["measurements"][0])
    ),
    "it has two channels called 'SR'": lambda w: w["channels"][1].update(name="SR"),
    "it has two observations called 'SR'": lambda w: w["observations"][1].update(name="SR"),
    "it has two channel 'SR' samples called 'background'": lambda w: w["channels"][0][
        "samples"
    ].append(copy.deepcopy(w["channels"][0]["samples"][0])),
    "channel 'CR' has no observation": lambda w: w["observations"].pop(),
    "sample 'signal' of channel 'SR' has 3 bins, its observation 2": lambda w: w["channels"][0][
        "samples"
    ][1]["data"].append(1.0),
    "its measurement names no POI": lambda w: w["measurements"][0]["config"].update(poi=""),
    "no sample carries the POI 'mu'": lambda w: w["channels"][0]["samples"].pop(),
    "the samples that carry the POI 'mu' expect no events": lambda w: w["channels"][0]["samples"][
        1
    ].update(data=[0.0, 0.0]),
    "it is no HistFactory workspace: KeyError('channels')": lambda w: w.pop("channels"),
    "it is no HistFactory workspace: KeyError('modifiers')": lambda w: (
        w["channels"][1]["samples"][0].pop("modifiers") and w["channels"][0]["samples"].pop()
    ),
}


@pytest.mark.parametrize("problem", SPOIL)
def test_an_unsound_workspace_says_why(sound: dict[str, Any], problem: str) -> None:
    SPOIL[problem](sound)
    with pytest.raises(WorkspaceError) as caught:
        require_consistent(sound, "measurement")
    assert str(caught.value) == problem


def test_a_signal_may_be_all_in_its_variations(sound: dict[str, Any]) -> None:
    signal = sound["channels"][0]["samples"][1]
    signal["data"] = [0.0, 0.0]
    shift = {"hi_data": [0.0, 1.0], "lo_data": [0.0, 0.0]}
    signal["modifiers"].append({"name": "shape", "type": "histosys", "data": shift})
    require_consistent(sound, "measurement")


def test_a_background_may_do_without_a_poi(sound: dict[str, Any]) -> None:
    sound["channels"][0]["samples"].pop()
    with pytest.raises(WorkspaceError, match="no sample carries the POI"):
        require_consistent(sound, "measurement")
    require_consistent(sound, "measurement", needs_poi=False)


def test_a_luminosity_needs_its_auxiliary_measurement(sound: dict[str, Any]) -> None:
    lumi = {"name": "lumi", "type": "lumi", "data": None}
    sound["channels"][0]["samples"][1]["modifiers"].append(lumi)
    with pytest.raises(WorkspaceError) as caught:
        require_lumi(sound, "measurement")
    assert str(caught.value) == (
        "its measurement has no auxdata and sigmas for 'lumi', a luminosity"
    )
    constraint = {"name": "lumi", "auxdata": [1.0], "sigmas": [0.02]}
    sound["measurements"][0]["config"]["parameters"].append(constraint)
    require_lumi(sound, "measurement")


def test_another_poi_may_be_chosen(sound: dict[str, Any]) -> None:
    require_consistent(sound, "measurement", "norm")
    sound["measurements"][0]["config"]["poi"] = ""
    require_consistent(sound, "measurement", "mu")
    with pytest.raises(WorkspaceError, match=r"^no sample carries the POI 'nrom'$"):
        require_consistent(sound, "measurement", "nrom")
