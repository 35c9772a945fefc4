"""From a specification to its points: ids, labels, selection, and errors that point to a key."""

from __future__ import annotations

import json
import tarfile
from fnmatch import fnmatchcase
from pathlib import Path

import pyhf
import pytest

from fitspec.collect.cases import Opener
from fitspec.collect.points import Point, combinations_of, points_of, selected
from fitspec.errors import ExitCode, NotYetError, SpecError
from fitspec.sources import Access
from fitspec.spec import SpecFile, load_spec

IDS = ["signal_100_1", "signal_100_2", "signal_200_1", "signal_200_2"]


def edited(folder: Path, *edits: tuple[str, str]) -> SpecFile:
    """The small specification with some of its text replaced."""
    path = folder / "small.toml"
    text = path.read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return load_spec(path, "small.toml")


def points(spec: SpecFile) -> list[Point]:
    return points_of(spec, Opener(Access(spec.path.parent / "cache")))


def chosen(spec: SpecFile) -> list[str]:
    return [point.id for point in selected(spec, points(spec))]


def in_regions(folder: Path, *regions: str | int) -> tuple[str, str]:
    """Move the sources into one folder a region; returns the edits that parametrize the spec."""
    sources = [path for path in folder.iterdir() if path.suffix == ".json"]
    for region in regions:
        (folder / f"Region{region}").mkdir()
        for path in sources:
            (folder / f"Region{region}" / path.name).write_bytes(path.read_bytes())
    return ('path = "', 'path = "Region{region}/'), ('files = "', 'files = "Region{region}/')


def over_regions(*regions: str) -> tuple[str, str]:
    """The edit that parametrizes a specification by region."""
    return ("[workspace]", f"[parametrize]\nregion = {json.dumps(regions)}\n[workspace]")


def patchset(folder: Path, labels: list[str], patches: dict[str, list], where: str = ".") -> None:
    """A PatchSet with these label values by patch name."""
    workspace = json.loads((folder / where / "background.json").read_text())
    loose = json.loads((folder / where / "patch.signal_100_1.json").read_text())
    content = {
        "metadata": {
            "references": {"hepdata": "ins1234567"},
            "description": "ours",
            "digests": {"sha256": pyhf.utils.digest(workspace)},
            "labels": labels,
        },
        "patches": [
            {"metadata": {"name": name, "values": values}, "patch": loose}
            for name, values in patches.items()
        ],
        "version": "1.0.0",
    }
    (folder / where / "patchset.json").write_text(json.dumps(content))


USE_PATCHSET = ('files = "patch.signal_{mass}_{width}.json"', 'patchset = "patchset.json"')


def test_a_point_is_named_after_its_patch(analysis):
    found = points(edited(analysis))

    assert [point.id for point in found] == IDS
    assert [point.node_id for point in found] == [f"small.toml::{name}" for name in IDS]
    assert found[1].labels == {"mass": 100, "width": 2}


def test_points_come_in_the_order_of_their_numbers(analysis):
    for mass in (1000, 90):
        source = (analysis / "patch.signal_100_1.json").read_bytes()
        (analysis / f"patch.signal_{mass}_1.json").write_bytes(source)

    masses = [point.labels["mass"] for point in points(edited(analysis))]

    assert masses == [90, 100, 100, 200, 200, 1000]


def test_parametrize_values_stand_before_the_patch(analysis):
    edits = in_regions(analysis, "B", "A")
    spec = edited(
        analysis, *edits, ("[workspace]", '[parametrize]\nregion = ["B", "A"]\n[workspace]')
    )

    found = points(spec)

    assert [point.id for point in found] == [f"{r}::{name}" for r in "BA" for name in IDS]
    assert found[-1].labels == {"region": "A", "mass": 200, "width": 2}
    assert found[-1].case.background.name == "RegionA/background.json"


def test_several_parametrize_keys_are_a_cartesian_product(analysis):
    spec = edited(
        analysis,
        ("[workspace]", "[parametrize]\nyear = [2016, 2017]\nera = [1.5, 2.5]\n[workspace]"),
        ("signal_{mass}_{width}", "signal_100_{width}"),
    )

    found = points(spec)

    cases = ["2016::1.5", "2016::2.5", "2017::1.5", "2017::2.5"]
    assert [p.id for p in found] == [f"{c}::signal_100_{w}" for c in cases for w in (1, 2)]
    assert found[0].labels == {"year": 2016, "era": 1.5, "width": 1}


def test_a_workspace_without_patches_is_one_point_named_after_its_file(analysis, background):
    background["channels"][0]["samples"][0]["modifiers"].append(
        {"name": "mu", "type": "normfactor", "data": None}
    )
    (analysis / "background.json").write_text(json.dumps(background))
    spec = edited(analysis, ('[patches]\nfiles = "patch.signal_{mass}_{width}.json"', ""))

    [point] = points(spec)

    assert point.id == "background"
    assert point.labels == {}


def test_points_of_a_patchset_have_its_names_and_labels(analysis):
    patchset(analysis, ["m", "tag"], {"first": [300, "tight"], "second": [0.5, "loose"]})

    found = points(edited(analysis, USE_PATCHSET))

    assert {p.id: p.labels for p in found} == {
        "first": {"m": 300, "tag": "tight"},
        "second": {"m": 0.5, "tag": "loose"},
    }


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("{ mass = 100 }", IDS[:2]),
        ("{ mass = 100.0 }", IDS[:2]),
        ("{ mass = [100, 300] }", IDS[:2]),
        ("{ mass = 100, width = 2 }", IDS[1:2]),
        ("{ mass = { gt = 100 } }", IDS[2:]),
        ("{ mass = { ge = 100, lt = 200 } }", IDS[:2]),
        ("{ width = { le = 1 } }", [IDS[0], IDS[2]]),
        ("{ mass = { gt = 150, lt = 160 } }", []),
        ('{ mass = "100" }', IDS[:2]),
        ("{}", IDS),
    ],
)
def test_select_keeps_the_points_whose_labels_all_hold(analysis, select, expected):
    assert chosen(edited(analysis, ("files =", f"select = {select}\nfiles ="))) == expected


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ('{ tag = "tight" }', ["one"]),
        ('{ tag = ["tight", "loose"] }', ["one", "two"]),
        ("{ tag = { ge = 0 } }", []),
    ],
    ids=["text", "texts", "a text lies in no range"],
)
def test_select_on_labels_that_are_text(analysis, select, expected):
    patchset(analysis, ["m", "tag"], {"one": [1, "tight"], "two": [2, "loose"], "three": [3, "x"]})

    assert chosen(
        edited(analysis, USE_PATCHSET, ("patchset =", f"select = {select}\npatchset ="))
    ) == (expected)


def test_select_on_a_parametrize_key(analysis):
    edits = in_regions(analysis, "A", "B")
    spec = edited(
        analysis, *edits,
        over_regions("A", "B"),
        ("files =", 'select = { region = "B", width = 2 }\nfiles ='),
    )  # fmt: skip

    assert chosen(spec) == ["B::signal_100_2", "B::signal_200_2"]


def test_a_label_that_only_some_points_have_selects_among_those(analysis):
    edits = in_regions(analysis, "A", "B")
    patchset(analysis, ["m"], {"one": [1]}, "RegionA")
    patchset(analysis, ["m", "n"], {"one": [1, 2], "two": [1, 3]}, "RegionB")
    spec = edited(
        analysis, *edits,
        over_regions("A", "B"),
        ('files = "Region{region}/patch.signal_{mass}_{width}.json"',
         'patchset = "Region{region}/patchset.json"\nselect = { n = 3 }'),
    )  # fmt: skip

    assert chosen(spec) == ["B::two"]


def test_an_archive_is_opened_once(analysis):
    opener, spec = Opener(Access(analysis / "cache")), load_spec(analysis / "small.toml")

    first = opener.archive(spec, None)

    assert opener.archive(spec, ".") is first


def test_combinations_group_the_cases_of_one_signal(analysis):
    edits = in_regions(analysis, "A", "B")
    spec = edited(
        analysis, *edits,
        ("[workspace]",
         '[parametrize]\nregion = ["A", "B"]\nera = [1, 2]\n'
         '[combine]\nbest_expected = "region"\n[workspace]'),
    )  # fmt: skip

    found = combinations_of(spec, points(spec))

    assert [c.id for c in found] == [f"{era}::{name}" for era in (1, 2) for name in IDS]
    assert found[0].labels == {"era": 1, "mass": 100, "width": 1}
    assert [p.id for p in found[0].points] == ["A::1::signal_100_1", "B::1::signal_100_1"]
    assert found[0].node_id == "small.toml::1::signal_100_1"


def test_without_combine_there_are_no_combinations(analysis):
    spec = edited(analysis)

    assert combinations_of(spec, points(spec)) == []


PATH, FILES = 'path = "background.json"', 'files = "patch.signal_{mass}_{width}.json"'
WRONG = "0" * 64


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        pytest.param(
            (FILES, f"{FILES}\nselect = {{ mas = 100 }}"),
            "11: patches.select.mas: no patch has this label; did you mean 'mass'?",
            id="label that no patch has",
        ),
        pytest.param(
            (FILES, f"{FILES}\nselect = {{ q = 1 }}"),
            "11: patches.select.q: no patch has this label; labels are mass, width",
            id="label that is near none",
        ),
        pytest.param(
            (FILES, f"{FILES}\n[poi]\ntest = 10.5"),
            "12: poi.test: mu = 10.5 is outside the POI's bounds [0, 10]; "
            "test a value inside the bounds that the measurement gives",
            id="POI above pyhf's bounds",
        ),
        pytest.param(
            (FILES, f"{FILES}\n[fit]\nmu = -0.5"),
            "12: fit.mu: mu = -0.5 is outside the POI's bounds [0, 10]; "
            "test a value inside the bounds that the measurement gives",
            id="fit below pyhf's bounds",
        ),
        pytest.param(
            (FILES, f"{FILES}\n[poi]\nscan = {{ start = -1, stop = 1, num = 3 }}"),
            "12: poi.scan: mu = -1 is outside the POI's bounds [0, 10]; "
            "test a value inside the bounds that the measurement gives",
            id="scan below pyhf's bounds",
        ),
        pytest.param(
            (PATH, 'path = "{regoin}/background.json"\n[parametrize]\nregion = ["A"]'),
            "7: workspace.path: unknown placeholder {regoin}; did you mean 'region'?",
            id="placeholder near a key",
        ),
        pytest.param(
            (PATH, f'{PATH}\nmeasurement = "m{{x}}"'),
            "8: workspace.measurement: unknown placeholder {x}; declare it in [parametrize]",
            id="placeholder near none",
        ),
        pytest.param(
            (FILES, 'files = "patch.signal_{mass}_{mass}.json"'),
            "10: patches.files: label {mass} stands twice in 'patch.signal_{mass}_{mass}.json'",
            id="label twice in a pattern",
        ),
        pytest.param(
            (FILES, 'files = "signal_{mass}.json"'),
            "10: patches.files: no file matches 'signal_{mass}.json'; *",
            id="pattern that matches nothing",
        ),
        pytest.param(
            (PATH, f'{PATH}\n[parametrize]\nera = ["A", "A"]'),
            "8: parametrize: two points have the id 'A::signal_100_1'",
            id="case twice",
        ),
        pytest.param(
            (PATH, f'{PATH}\nmeasurement = "nominal"'),
            "8: workspace.measurement: background.json has no measurement 'nominal'; "
            "it has 'measurement'",
            id="measurement absent",
        ),
        pytest.param(
            (PATH, 'path = "backgruond.json"'),
            "7: workspace.path: * has no file 'backgruond.json'; did you mean 'background.json'?",
            id="member absent",
        ),
        pytest.param(
            (PATH, f'{PATH}\narchive = "nowhere.tar"'),
            "8: workspace.archive: 'nowhere.tar' does not exist beside the specification; "
            "check the path",
            id="archive absent",
        ),
        pytest.param(
            (PATH, f'{PATH}\ndigest = "sha256:{WRONG}"'),
            f"8: workspace.digest: background.json has digest sha256:*, "
            f"expected sha256:{WRONG}; it is not the workspace the specification was written for",
            id="digest mismatch",
        ),
        pytest.param(
            (PATH, f'{PATH}\narchive = "small.toml"\nsha256 = "{WRONG}"'),
            f"8: workspace.archive: 'small.toml' has sha256 *, expected {WRONG}; "
            "it is not the file the specification was written for",
            id="sha256 mismatch",
        ),
        pytest.param(
            (PATH, 'path = "small.toml"'),
            "7: workspace.path: small.toml is not valid JSON: *",
            id="no JSON",
        ),
        pytest.param(
            (FILES, 'patchset = "background.json"'),
            "10: patches.patchset: background.json is no HistFactory patchset: *",
            id="no patchset",
        ),
    ],
)
def test_an_error_is_one_line_that_points_to_the_key(analysis, edit, message):
    spec = edited(analysis, edit)

    with pytest.raises(SpecError) as caught:
        selected(spec, points(spec))

    assert not isinstance(caught.value, NotYetError)
    assert caught.value.exit_code == ExitCode.USAGE_ERROR
    assert "\n" not in str(caught.value)
    assert fnmatchcase(str(caught.value), f"small.toml:{glob(message)}"), str(caught.value)


def glob(message: str) -> str:
    """Only ``*`` is special in an expected message."""
    return message.replace("[", "[[]").replace("?", "[?]")


def test_a_label_that_is_also_a_parametrize_key_is_an_error(analysis):
    patchset(analysis, ["mass"], {"one": [1]})
    spec = edited(analysis, USE_PATCHSET, (PATH, f"{PATH}\n[parametrize]\nmass = [1, 2]"))

    with pytest.raises(SpecError) as caught:
        points(spec)

    expected = "small.toml:9: parametrize.mass: 'mass' is also a label of the patches"
    assert str(caught.value) == f"{expected}; rename one of them"


def test_where_nothing_is_tested_no_value_can_be_outside_the_bounds(analysis, background):
    background["measurements"][0]["config"]["parameters"] = [{"name": "mu", "bounds": [[0, 0.5]]}]
    (analysis / "background.json").write_text(json.dumps(background))

    assert chosen(edited(analysis, (FILES, f"{FILES}\n[fit]"))) == IDS


def test_the_measurements_own_bounds_count(analysis, background):
    background["measurements"][0]["config"]["parameters"] = [{"name": "mu", "bounds": [[-2, 3]]}]
    (analysis / "background.json").write_text(json.dumps(background))

    assert chosen(edited(analysis, (FILES, f"{FILES}\n[poi]\ntest = [-2.0, 3.0]"))) == IDS
    with pytest.raises(SpecError, match=r"mu = 3\.1 is outside the POI's bounds \[-2, 3\]"):
        points(edited(analysis, ("3.0", "3.1")))


def test_points_of_an_archive_are_those_of_its_folder(analysis):
    with tarfile.open(analysis / "likelihoods.tar.gz", "w:gz") as tar:
        for path in sorted(analysis.glob("*.json")):
            tar.add(path, f"Region/{path.name}")
    spec = edited(
        analysis,
        (PATH, 'archive = "likelihoods.tar.gz"\npath = "./Region/background.json"'),
        ('files = "', 'files = "Region/'),
    )

    assert chosen(spec) == IDS


def test_a_parametrize_text_that_reads_as_a_number_is_that_label_but_fills_as_written(analysis):
    (analysis / "background.json").rename(analysis / "background007.json")
    edited = (
        (analysis / "small.toml").read_text().replace("background.json", "background{run}.json")
    )
    edited = edited.replace("[workspace]", '[parametrize]\nrun = ["007"]\n[workspace]')
    (analysis / "small.toml").write_text(edited)
    points = points_of(load_spec(analysis / "small.toml"), Opener(Access(analysis / "cache")))
    assert {point.labels["run"] for point in points} == {7}
    assert points[0].id == "007::signal_100_1"
