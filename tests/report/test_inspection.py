"""An inspection on the terminal and as JSON."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from build import LUMI, background, lumi, normfactor, normsys, region, sample, signal, workspace
from rich.console import Console

from fitspec.inspection import Inspection, Subject, inspect
from fitspec.report.inspection import inspections_json, show_inspection
from fitspec.sources import load_background

ADD = {"op": "add", "path": "/channels/0/samples/-", "value": signal([3.0, 4.5], lumi())}


@pytest.fixture
def content() -> dict[str, Any]:
    return workspace(
        region([12.0, 7.0], background([10.0, 6.0], normfactor("mu_b"), normsys("n", 0.9, 1.2)),
               sample("rare [x]", [0.5, 0.25], lumi(), normsys("wide", 0.5, 12.0))),
        parameters=[LUMI, {"name": "mu_b", "inits": [2.0]}],
    )  # fmt: skip


def inspection(content: dict[str, Any], *operations: dict[str, Any]) -> Inspection:
    found = load_background(json.dumps(content).encode(), "bkg.json", None)
    if not operations:
        return inspect(Subject(found))
    patch = json.dumps(operations).encode()
    return inspect(Subject(found, patch="s_1", operations=patch, labels={"m": 1}))


def shown(found: Inspection, width: int = 200, *, everything: bool = False) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    show_inspection(console, found, everything=everything)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_a_workspace(content: dict[str, Any]) -> None:
    lines = shown(inspection(content))
    assert lines[1:4] == [
        "measurement 'fit', POI 'mu'",
        "1 channel, 2 bins, 2 samples, 4 modifiers",
        "4 parameters: 1 free, 3 constrained, 0 fixed",
    ]
    assert lines[5:7] == [
        "channel  bins  samples  observed  nominal  at starting values",
        "SR          2        2        19    16.75               32.75",
    ]
    assert [line.split() for line in lines[9:11]] == [
        ["SR", "background", "16", "1", "normfactor,", "1", "normsys", "+20%", "n", "-10%", "n"],
        ["rare", "[x]", "0.75", "1", "lumi,", "1", "normsys", "x", "12", "wide", "-50%", "wide"],
    ]
    assert lines[-2:] == [
        "warning: normsys 'wide' has hi = 12, lo = 0.5: sample 'rare [x]' of channel 'SR'",
        "note: no sample carries the POI 'mu': it takes a signal patch",
    ]


def test_a_patch(content: dict[str, Any]) -> None:
    lines = shown(inspection(content, ADD))
    assert lines[1] == "with patch s_1 (m = 1)"
    row = next(line for line in lines if line.startswith("adds"))
    assert row.split() == ["adds", "signal", "SR", "7.5", "3,", "4.5", "2", "added"]
    assert "the patch brings 1 modifier name: mu" in lines


def test_numbers_are_whole_on_a_narrow_terminal(content: dict[str, Any]) -> None:
    found = inspection(content, ADD)
    assert shown(found, 20) == shown(found, 200)


def test_findings_of_one_kind_are_counted_unless_all_are_asked_for() -> None:
    modifiers = [normsys(f"n{i}", 0.9, 3.0) for i in range(8)]
    found = inspection(workspace(region([1.0], signal([1.0], *modifiers))))
    assert sum("n7" in line for line in shown(found)) == 0
    assert "warning: ... and 3 more of kind huge-normsys; -v shows all" in shown(found)
    assert sum(line.startswith("warning") for line in shown(found, everything=True)) == 8


def test_constrained_parameters_are_listed_on_demand(content: dict[str, Any]) -> None:
    found = inspection(content)
    assert not any(line.startswith("wide") for line in shown(found))
    assert any(line.startswith("wide") for line in shown(found, everything=True))


def test_names_from_strangers_do_not_steer_the_terminal() -> None:
    content = workspace(region([1.0], signal([0.0]), name="SR\x1b[2J\n"))
    lines = shown(inspection(content))
    assert any(line.startswith("SR\\x1b[2J\\n") for line in lines)
    assert not any("\x1b" in line for line in lines)


def test_json_has_it_all(content: dict[str, Any]) -> None:
    [record] = json.loads(inspections_json([inspection(content, ADD)]))
    assert (record["workspace"], record["patch"], record["labels"]) == ("bkg.json", "s_1", {"m": 1})
    [channel] = record["summary"]["channels"]
    assert channel["observed"] == [12.0, 7.0]
    assert channel["expected"] == pytest.approx([23.5, 16.75])  # 2 x background, signal, rare
    assert record["changes"]["samples"][0]["after"] == [3.0, 4.5]
    assert [finding["kind"] for finding in record["findings"]] == ["huge-normsys"]
    assert {p["name"] for p in record["summary"]["parameters"]} == {
        "mu",
        "mu_b",
        "lumi",
        "n",
        "wide",
    }
