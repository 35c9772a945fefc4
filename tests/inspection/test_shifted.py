"""Patches whose indices and names disagree."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from build import background, normsys, region, signal, staterror, workspace

from fitspec.histfactory import apply_patch
from fitspec.inspection.changes import changes_between
from fitspec.inspection.shifted import shifted
from fitspec.sources import open_archive


def lines(content: dict[str, Any], *operations: dict[str, Any]) -> list[str]:
    after = apply_patch(content, json.dumps(operations).encode(), "p")
    return list(shifted(content, changes_between(content, after)))


def add(channel: int, sample: dict[str, Any]) -> dict[str, Any]:
    return {"op": "add", "path": f"/channels/{channel}/samples/-", "value": sample}


@pytest.fixture
def regions() -> dict[str, Any]:
    return workspace(
        region([5.0], background([4.0], staterror("gamma_a", [1.0])), name="SR"),
        region([9.0], background([8.0], staterror("gamma_b", [1.0])), name="SR_high"),
        region([99.0], background([95.0]), name="CR"),
    )


def test_a_patch_that_hits_what_it_names_is_not_shifted(regions: dict[str, Any]) -> None:
    assert not lines(
        regions,
        add(0, signal([1.0], staterror("gamma_a", [0.1]), normsys("CR_extrapolation", 0.9, 1.1))),
        add(1, signal([1.0], staterror("staterror_SR_high", [0.1]))),
        add(2, signal([1.0], staterror("staterror_CR", [0.1]))),
    )


def test_a_modifier_that_the_background_has_elsewhere(regions: dict[str, Any]) -> None:
    [line] = lines(regions, add(0, signal([1.0], staterror("gamma_b", [0.1]))))
    assert line.startswith(
        "the patch puts 'gamma_b' into channel 'SR', but its name belongs to 'SR_high'"
    )


def test_a_modifier_that_is_called_after_another_channel(regions: dict[str, Any]) -> None:
    [line] = lines(regions, add(2, signal([1.0], staterror("staterror_SR_high", [0.1]))))
    assert "'CR', but its name belongs to 'SR_high'" in line  # and not to SR


def test_a_sample_that_is_called_after_another_channel(regions: dict[str, Any]) -> None:
    [line] = lines(regions, add(0, {**signal([1.0]), "name": "signal_CR"}))
    assert "puts 'signal_CR' into channel 'SR'" in line


def test_a_name_that_only_contains_the_letters_says_nothing(regions: dict[str, Any]) -> None:
    assert not lines(regions, add(2, signal([1.0], staterror("SRX", [0.1]))))


@pytest.mark.data
def test_published_patches_of_reordered_channels_are_noticed(mirror: Any) -> None:
    archive = open_archive(mirror / "SUSY-2018-31_likelihoods.tar.gz")
    names = ["RegionA/BkgOnly.json", "RegionA/patch.sbottom_1300_205_60.json"]
    content, patch = (orjson.loads(archive.read([name])[name]) for name in names)
    assert lines(content, *patch) == []
    content["channels"].reverse()
    found = lines(content, *patch[:2])
    assert len(found) == 2
    assert "'staterror_SR_meff' into channel 'CRtt_meff'" in found[0]
