"""Every finding: what raises it, and that a sound workspace raises none."""

from __future__ import annotations

import json
from collections.abc import Callable
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
    shapesys,
    signal,
    staterror,
    workspace,
)

from fitspec.histfactory import apply_patch
from fitspec.inspection.changes import changes_between
from fitspec.inspection.findings import Finding, findings_of
from fitspec.inspection.summary import summarise


def found(content: dict[str, Any], *operations: dict[str, Any]) -> list[Finding]:
    after, changes = content, None
    if operations:
        after = apply_patch(content, json.dumps(operations).encode(), "p", protect=False)
        changes = changes_between(content, after)
    measurement = after["measurements"][0]
    summary = summarise(after, measurement, measurement["config"]["poi"])
    return findings_of(after, summary, content, changes)


def sound() -> dict[str, Any]:
    return workspace(
        region([12.0], signal([3.0], lumi()),
               background([10.0], normsys("n", 0.9, 1.1), staterror("stat_SR", [1.0]))),
        parameters=[LUMI],
    )  # fmt: skip


def test_nothing_is_found_in_a_sound_workspace() -> None:
    assert found(sound()) == []


CASES: dict[str, tuple[Callable[[], dict[str, Any]], str, str, str]] = {
    "no POI": (
        lambda: workspace(region([1.0], background([1.0])), poi=""),
        "error", "poi", "measurement 'fit' names no POI",
    ),
    "no signal": (
        lambda: workspace(region([1.0], background([1.0]))),
        "note", "poi", "no sample carries the POI 'mu': it takes a signal patch",
    ),
    "a fixed POI": (
        lambda: workspace(region([1.0], signal([1.0])), parameters=[{"name": "mu", "fixed": True}]),
        "error", "poi", "measurement 'fit' fixes the POI 'mu'",
    ),
    "a POI of bins": (
        lambda: workspace(region([1.0, 1.0], sample("s", [1.0, 1.0], shapesys("mu", [0.1, 0.1])))),
        "error", "poi", "the POI 'mu' is a shapesys, one parameter a bin",
    ),
    "a signal without events": (
        lambda: workspace(region([1.0], signal([0.0]), background([1.0]))),
        "error", "zero-signal", "the samples that carry the POI 'mu' expect no events",
    ),
    "a signal without events in one channel": (
        lambda: workspace(
            region([1.0], signal([1.0])),
            region([1.0], signal([0.0]), background([1.0]), name="CR"),
        ),
        "warning", "zero-signal",
        "sample 'signal' of channel 'CR' carries the POI and expects no events",
    ),
    "a luminosity without a constraint": (
        lambda: workspace(region([1.0], signal([1.0], lumi()))),
        "error", "luminosity", "its measurement has no auxdata and sigmas for 'lumi', a luminosity",
    ),
    "negative events": (
        lambda: workspace(region([1.0, 1.0], signal([1.0, 1.0]), background([2.0, -0.5]))),
        "warning", "negative",
        "sample 'background' of channel 'SR' has negative events in bin 1, down to -0.5",
    ),
    "a negative sum": (
        lambda: workspace(region([1.0, 1.0], signal([1.0, 1.0]), background([-2.0, -1.5]))),
        "error", "negative", "all samples of channel 'SR' together are negative in bins 0, 1",
    ),
    "a negative variation": (
        lambda: workspace(
            region([1.0], signal([1.0]), background([2.0], histosys("h", [-1.0], [3.0])))
        ),
        "warning", "negative",
        "histosys 'h' makes events negative: sample 'background' of channel 'SR'",
    ),
    "events out of nothing": (
        lambda: workspace(region([1.0, 3.0], signal([1.0, 0.0]))),
        "warning", "unexpected-events",
        "channel 'SR' has observed events but expects none in bin 1",
    ),
    "a staterror without an uncertainty": (
        lambda: workspace(
            region([1.0, 1.0, 1.0], signal([1.0, 1.0, 1.0], staterror("st", [0.0, 0.1, 0.0])))
        ),
        "warning", "zero-uncertainty",
        "staterror 'st' has no uncertainty in bins 0, 2 of channel 'SR'",
    ),
    "a shapesys without an uncertainty": (
        lambda: workspace(region([1.0, 1.0], signal([1.0, 0.0], shapesys("sh", [0.0, 0.0])))),
        "warning", "zero-uncertainty",
        "shapesys 'sh' has no uncertainty in bin 0 of channel 'SR'",
    ),
    "a huge normsys": (
        lambda: workspace(
            region([1.0], signal([1.0], normsys("n", 0.9, 2.5)), background([1.0],
                   normsys("n", 0.1, 1.5)))
        ),
        "warning", "huge-normsys",
        "normsys 'n' has hi = 2.5, lo = 0.9: sample 'signal' of channel 'SR' and 1 other sample",
    ),
    "a negative normsys": (
        lambda: workspace(region([1.0], signal([1.0], normsys("n", -0.1, 1.5)))),
        "error", "huge-normsys",
        "normsys 'n' of sample 'signal' of channel 'SR' has hi = 1.5, lo = -0.1: "
        "factors must be positive",
    ),
    "a setting of nothing": (
        lambda: workspace(region([1.0], signal([1.0])), parameters=[{"name": "mu_bg"}]),
        "note", "unused", "measurement 'fit' configures 'mu_bg', which no modifier is called",
    ),
    "two samples of one name": (
        lambda: workspace(region([1.0], signal([1.0]), signal([2.0]))),
        "error", "duplicate", "2 samples of channel 'SR' are called 'signal'",
    ),
    "two channels of one name": (
        lambda: workspace(region([1.0], signal([1.0])), region([1.0], signal([2.0]))),
        "error", "duplicate", "2 channels are called 'SR'",
    ),
    "two modifiers of one name": (
        lambda: workspace(region([1.0], signal([1.0], normfactor("a"), normfactor("a")))),
        "error", "duplicate",
        "2 normfactor modifiers of sample 'signal' of channel 'SR' are called 'a'",
    ),
    "bins that do not match": (
        lambda: workspace(region([1.0, 2.0], signal([1.0]))),
        "error", "inconsistent", "sample 'signal' of channel 'SR' has 1 bins, its observation 2",
    ),
    "a name of two kinds": (
        lambda: workspace(region([1.0], signal([1.0], normfactor("a"), normsys("a", 0.9, 1.1)))),
        "error", "inconsistent", "modifiers called 'a' are of kinds that share no parameter: ",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "level", "kind", "text"), CASES.values(), ids=CASES)
def test_a_finding_says_what_and_where(
    make: Callable[[], dict[str, Any]], level: str, kind: str, text: str
) -> None:
    matching = [f for f in found(make()) if f.text.startswith(text)]
    assert [(f.level, f.kind) for f in matching] == [(level, kind)]


def test_a_patch_without_a_signal_is_an_error(background: dict[str, Any]) -> None:
    [finding] = found(background, {"op": "remove", "path": "/channels/0/samples/0/modifiers/0"})
    assert finding.level == "error"
    assert finding.text == "no sample carries the POI 'mu', and the patch brings none"


def test_a_patch_that_removes_a_background(
    background: dict[str, Any], make_patch: Callable[..., list[dict[str, Any]]]
) -> None:
    [operation] = make_patch([5.0, 8.0])
    replaced = {**operation, "op": "replace", "path": "/channels/0/samples/0"}
    texts = [f.text for f in found(background, replaced)]
    assert texts == ["the patch removes sample 'background' of channel 'SR', 80 events"]


def test_a_patch_of_the_data_is_an_error(
    background: dict[str, Any], make_patch: Callable[..., list[dict[str, Any]]]
) -> None:
    data = {"op": "replace", "path": "/observations/0/data", "value": [1.0, 2.0]}
    [finding] = found(background, *make_patch([5.0, 8.0]), data)
    assert (finding.level, finding.kind) == ("error", "data")


def test_a_patch_that_does_nothing(background: dict[str, Any]) -> None:
    test = {"op": "test", "path": "/version", "value": "1.0.0"}
    assert [f.kind for f in found(background, test)] == ["poi", "no-change"]
