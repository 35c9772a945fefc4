"""What patches do, said by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fitspec.histfactory import apply_patch
from fitspec.inspection.changes import Changes, changes_between


@pytest.fixture
def changed(background: dict[str, Any]) -> Any:
    def apply(*operations: dict[str, Any]) -> Changes:
        patch = json.dumps(operations).encode()
        return changes_between(background, apply_patch(background, patch, "p", protect=False))

    return apply


def test_an_added_signal(changed: Any, make_patch: Any) -> None:
    found = changed(*make_patch([5.0, 8.0]))
    [sample] = found.samples
    assert (sample.kind, sample.channel, sample.name) == ("added", "SR", "signal")
    assert (sample.before, sample.after) == (None, (5.0, 8.0))
    assert sample.added == ("normfactor mu",)
    assert (found.new, found.lost) == (("mu",), ())
    assert found.channels == found.data == found.settings == ()


def test_changed_yields_and_modifiers(changed: Any) -> None:
    path = "/channels/0/samples/0"
    found = changed(
        {"op": "replace", "path": f"{path}/data/1", "value": 31.0},
        {"op": "replace", "path": f"{path}/modifiers/1/data/hi", "value": 1.2},
        {"op": "remove", "path": f"{path}/modifiers/0"},
    )
    [sample] = found.samples
    assert (sample.kind, sample.before, sample.after) == ("changed", (50.0, 30.0), (50.0, 31.0))
    assert (sample.removed, sample.changed) == (("histosys shape",), ("normsys norm",))
    assert found.lost == ("shape",)


def test_a_replaced_sample_is_one_less_and_one_more(changed: Any) -> None:
    other = {"name": "other", "data": [1.0], "modifiers": []}
    found = changed({"op": "replace", "path": "/channels/1/samples/0", "value": other})
    assert [(s.kind, s.name) for s in found.samples] == [
        ("added", "other"),
        ("removed", "background"),
    ]


def test_a_removed_channel_and_shifted_others(changed: Any) -> None:
    found = changed({"op": "remove", "path": "/channels/0"})
    assert [(c.name, c.kind, c.events) for c in found.channels] == [("SR", "removed", 80.0)]
    assert found.samples == ()  # CR is at another place, and the same
    assert found.lost == ("shape",)


def test_data_and_settings(changed: Any) -> None:
    found = changed(
        {"op": "replace", "path": "/observations/1/data/0", "value": 300.0},
        {"op": "replace", "path": "/measurements/0/config/poi", "value": "other"},
        {"op": "add", "path": "/measurements/0/config/parameters/-",
         "value": {"name": "norm", "bounds": [[-1.0, 1.0]]}},
    )  # fmt: skip
    [data] = found.data
    assert (data.channel, data.before, data.after) == ("CR", (204.0,), (300.0,))
    assert [(s.parameter, s.before, s.after) for s in found.settings] == [
        ("POI", "mu", "other"),
        ("norm", None, {"bounds": [[-1.0, 1.0]]}),
    ]


def test_samples_of_one_name_are_told_apart_by_their_order(changed: Any) -> None:
    twin = {"name": "background", "data": [1.0, 2.0], "modifiers": []}
    found = changed({"op": "add", "path": "/channels/0/samples/-", "value": twin})
    assert [(s.kind, s.after) for s in found.samples] == [("added", (1.0, 2.0))]
