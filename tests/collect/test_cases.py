"""New signals from the specification's side: keys, placeholders, bounds, and errors with lines."""

from __future__ import annotations

import json

import pytest

from fitspec.collect.cases import Opener
from fitspec.collect.points import Point, combinations_of, points_of, selected
from fitspec.errors import SpecError
from fitspec.sources import Access
from fitspec.spec import load_spec

TOP = """\
fitspec = 1
analysis.name = "new"
workspace.path = "background.json"
"""
TABLE = "m,SR[0],SR[1]\n300,1,2\n400,0.5,1\n"


@pytest.fixture
def points(analysis):
    """The points of a specification with these tables."""

    def points(tables: str, top: str = TOP) -> list[Point]:
        path = analysis / "new.toml"
        path.write_text(top + tables)
        return points_of(load_spec(path, "new.toml"), Opener(Access(analysis / "cache")))

    return points


def samples(point: Point) -> list:
    """The samples that the point's patch adds, by path."""
    [patch] = point.case.patches.read([point.patch]).values()
    return [(op["path"], op["value"]) for op in json.loads(patch) if "samples" in op["path"]]


def test_yields_are_a_table_beside_the_specification(analysis, points):
    (analysis / "signal.csv").write_text(TABLE)

    first, second = points(
        '[patches]\nyields = "signal.csv"\nlabels = ["m"]\nsystematics = { norm = 0.1, pdf = 0.2 }'
    )

    assert (first.id, second.id) == ("signal_300", "signal_400")
    assert first.labels == {"m": 300}
    assert samples(second) == [
        (
            "/channels/0/samples/-",
            {
                "name": "signal",
                "data": [0.5, 1.0],
                "modifiers": [
                    {"name": "mu", "type": "normfactor", "data": None},
                    {"name": "norm", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}},
                    {"name": "pdf", "type": "normsys", "data": {"hi": 1.2, "lo": 0.8}},
                ],
            },
        )
    ]
    assert first.case.notes == ("background.json: no signal in 1 of 2 channels: CR",)


def test_yields_may_stand_in_the_specification(points):
    tables = 'patches.labels = ["m"]\npatches.yields = [{m = 300, CR = 2, "SR[0]" = 1}]'

    [point] = points(tables)

    assert point.id == "signal_300"
    assert [(path, sample["data"]) for path, sample in samples(point)] == [
        ("/channels/0/samples/-", [1.0, 0.0]), ("/channels/1/samples/-", [2.0])
    ]  # fmt: skip
    assert point.case.notes == ("background.json: no signal in 1 bin: SR[1]",)


def test_a_luminosity_is_shared_by_default(analysis, background, points):
    lumi = {"name": "lumi", "type": "lumi", "data": None}
    background["channels"][1]["samples"][0]["modifiers"].append(lumi)
    (analysis / "background.json").write_text(json.dumps(background))
    rows = 'patches.yields = [{"SR[0]" = 1}]\n'

    for more, shared in (("", True), ("patches.luminosity = false", False)):
        [point] = points(rows + more)
        [(_, sample)] = samples(point)
        assert (lumi in sample["modifiers"]) is shared


def test_every_case_has_its_own_table_and_discovery(analysis, points):
    for region, scale in (("A", 1), ("B", 2)):
        (analysis / f"{region}.csv").write_text(f"m,SR[{scale - 1}]\n300,{scale}\n")
    top = TOP + '[parametrize]\nregion = ["A", "B"]\n[combine]\nbest_expected = "region"\n'

    found = points('[patches]\nyields = "{region}.csv"\nlabels = ["m"]\n', top)

    assert [point.id for point in found] == ["A::signal_300", "B::signal_300"]
    assert [samples(point)[0][1]["data"] for point in found] == [[1.0, 0.0], [0.0, 2.0]]
    [combination] = combinations_of(found[0].spec, found)
    assert combination.id == "signal_300"
    bins = points('[patches]\ndiscovery = ["SR[{i}]"]\n', TOP + "[parametrize]\ni = [0, 1]\n")
    assert [point.id for point in bins] == ["0::discovery_SR[0]", "1::discovery_SR[1]"]


def test_a_discovery_can_be_selected_by_its_channel(points):
    found = points('[patches]\ndiscovery = ["SR[0]", "CR"]\nselect = { channel = "CR" }')

    assert [point.labels for point in found] == [{"channel": "SR[0]"}, {"channel": "CR"}]
    assert [point.id for point in selected(found[0].spec, found)] == ["discovery_CR"]


@pytest.mark.parametrize(
    ("tables", "error"),
    [
        (
            '[patches]\nyields = "signall.csv"',
            "5: patches.yields: table 'signall.csv': No such file or directory; check the path",
        ),
        (
            '[patches]\nyields = "signal.csv"',
            "5: patches.yields: signal.csv:1: column 'm' is neither a bin of the workspace nor a "
            "label; channels are SR, CR; patches.labels lists the labels",
        ),
        (
            '[patches]\nyields = "{x}.csv"',
            "5: patches.yields: unknown placeholder {x}; declare it in [parametrize]",
        ),
        (
            '[patches]\nlabels = ["m"]\nyields = "signal.csv"\nluminosity = true',
            "7: patches.luminosity: background.json has no modifier of type lumi; "
            "give its uncertainty as one of patches.systematics",
        ),
        (
            '[patches]\nlabels = ["m"]\nyields = "signal.csv"\nsystematics.mu = 0.1',
            "7: patches.systematics: background.json has a POI called 'mu'; take another name",
        ),
        (
            '[patches]\ndiscovery = ["SR"]',
            "5: patches.discovery: channel 'SR' has 2 bins; name one of SR[0] to SR[1]",
        ),
        (
            '[patches]\ndiscovery = ["SR[0]", "SR[1]"]\n[poi]\ntest = [136.0, 136.1]',
            "7: poi.test: mu = 136.1 is outside the POI's bounds [0, 136]; "
            "they reach 10 + twice the observed and background events",
        ),
        (
            '[patches]\nlabels = ["m"]\nyields = "signal.csv"\n[poi]\ntest = 10.5',
            "8: poi.test: mu = 10.5 is outside the POI's bounds [0, 10]; "
            "test a value inside the bounds that the measurement gives",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_key(analysis, points, tables, error):
    (analysis / "signal.csv").write_text(TABLE)
    with pytest.raises(SpecError) as caught:
        points(tables)
    assert str(caught.value) == f"new.toml:{error}"


def test_a_signal_in_the_workspace_leaves_no_room_for_new_ones(
    analysis, background, points, make_patch
):
    background["channels"][0]["samples"].append(make_patch([5.0, 8.0])[0]["value"])
    (analysis / "background.json").write_text(json.dumps(background))
    with pytest.raises(
        SpecError, match=r"new\.toml:5: patches\.discovery: .* has a signal: its POI"
    ):
        points('[patches]\ndiscovery = ["CR"]')
