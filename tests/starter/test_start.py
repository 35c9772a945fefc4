"""Specifications of archives: what they say, and that they collect what is there."""

from __future__ import annotations

import copy
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fitspec.collect import Collection, collect
from fitspec.errors import SourceError
from fitspec.session import Settings
from fitspec.sources.workspace import canonical_digest
from fitspec.spec import find_specs
from fitspec.starter import Draft, default_name, draft

Files = dict[str, Any]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Files], Draft]:
    """Writes an archive, drafts its specification beside it, and collects that."""
    monkeypatch.chdir(tmp_path)

    def make(files: Files) -> Draft:
        with tarfile.open("likelihood.tar.gz", "w:gz") as tar:
            for name, content in files.items():
                path = tmp_path / "file"
                path.write_text(content if isinstance(content, str) else json.dumps(content))
                tar.add(path, name)
        found = draft("likelihood.tar.gz", tmp_path, Settings.from_config().access)
        Path("spec.toml").write_text(found.text)
        assert len(collected().points) == found.points
        return found

    return make


def collected(mirror: Path | None = None) -> Collection:
    access = Settings.from_config(mirror, offline=True).access
    return collect(find_specs(["spec.toml"]), access)


def ids() -> list[str]:
    return sorted(point.id for point in collected().points)


def observing(background: Files, *events: float) -> Files:
    """Another region: the same workspace with other data."""
    other = copy.deepcopy(background)
    other["observations"][0]["data"] = list(events)
    return other


def with_signal(background: Files, make_patch: Any, *events: float) -> Files:
    other = copy.deepcopy(background)
    other["channels"][0]["samples"].append(make_patch(list(events))[0]["value"])
    return other


def patchset(background: Files, patches: dict[str, list[Any]], make_patch: Any) -> Files:
    return {
        "metadata": {
            "digests": {"sha256": canonical_digest(background, "sha256", "")},
            "description": "", "references": {"hepdata": "ins1234567"}, "labels": ["m1", "m2"],
        },
        "patches": [
            {"metadata": {"name": name, "values": values}, "patch": make_patch([5.0, 8.0])}
            for name, values in patches.items()
        ],
        "version": "1.0.0",
    }  # fmt: skip


def test_loose_patches(start: Any, background: Files, make_patch: Any) -> None:
    names = [f"sig/patch.sb_{m}_{n}.json" for m in (100, 200) for n in (1, 2)]
    found = start({"bkg.json": background, **{name: make_patch([5.0, 8.0]) for name in names}})
    assert 'files = "sig/patch.sb_{sb_1}_{sb_2}.json"' in found.text
    assert f'digest = "sha256:{canonical_digest(background, "sha256", "")}"' in found.text
    assert "# measurement = \"measurement\"  # POI 'mu', the only one" in found.text
    assert ids() == ["sb_100_1", "sb_100_2", "sb_200_1", "sb_200_2"]
    assert found.notes == ()


def test_a_patchset(start: Any, background: Files, make_patch: Any) -> None:
    patches = {"s_100": [100, 1], "s_200": [200, 1]}
    found = start({"b.json": background, "p.json": patchset(background, patches, make_patch)})
    assert 'patchset = "p.json"' in found.text
    assert '# labels = ["m1", "m2"]' in found.text
    assert "#   m1  2 values from 100 to 200" in found.text
    assert ids() == ["s_100", "s_200"]


def test_a_patchset_for_another_workspace_is_left_out_and_said(
    start: Any, background: Files, make_patch: Any
) -> None:
    other = patchset(observing(background, 1.0, 2.0), {"s": [1, 2]}, make_patch)
    found = start({"b.json": background, "p.json": other})
    assert "[fit]" in found.text
    assert "left out: p.json was made for the workspace with sha256 digest" in found.notes[0]
    assert f"# Note: {found.notes[0]}" in found.text


def test_a_workspace_with_its_signal(start: Any, background: Files, make_patch: Any) -> None:
    found = start({"ws.json": with_signal(background, make_patch, 5.0, 8.0)})
    assert "[patches]\n" not in found.text
    assert ids() == ["ws"]


def test_one_workspace_a_signal(start: Any, background: Files, make_patch: Any) -> None:
    files = {
        f"m{m}_w{w}.json": with_signal(background, make_patch, float(m), float(w))
        for m, w in ((100, 1), (200, 2), (200, "03"))
    }
    found = start(files)
    assert '"m, w" = [[100, 1], [200, "03"], [200, 2]]' in found.text
    assert len(ids()) == 3


def test_regions_become_cases(start: Any, background: Files, make_patch: Any) -> None:
    files: Files = {}
    for region, events, masses in (("A", 52.0, (100, 200)), ("B", 53.0, (200, 300))):
        files[f"Region{region}/bkg.json"] = observing(background, events, 33.0)
        for mass in masses:
            files[f"Region{region}/patch.s_{mass}_1.json"] = make_patch([5.0, 8.0])
    found = start(files)
    assert 'region = ["A", "B"]' in found.text
    assert 'path = "Region{region}/bkg.json"' in found.text
    assert 'files = "Region{region}/patch.s_{s}_1.json"' in found.text
    assert '# best_expected = "region"' in found.text
    assert ids() == ["A::s_100_1", "A::s_200_1", "B::s_200_1", "B::s_300_1"]


def test_regions_side_by_side(start: Any, background: Files, make_patch: Any) -> None:
    files: Files = {}
    for region, events in (("low", 52.0), ("high", 53.0)):
        files[f"bkg_{region}.json"] = observing(background, events, 33.0)
        files |= {f"patch_{region}_{mass}.json": make_patch([5.0, 8.0]) for mass in (1, 2)}
    found = start(files)
    assert 'path = "bkg_{bkg}.json"' in found.text
    assert 'files = "patch_{bkg}_{label}.json"' in found.text
    assert ids() == ["high::high_1", "high::high_2", "low::low_1", "low::low_2"]


def test_regions_with_a_patchset_each(start: Any, background: Files, make_patch: Any) -> None:
    files: Files = {}
    for region, events in (("A", 52.0), ("B", 53.0)):
        content = observing(background, events, 33.0)
        files[f"Region{region}/bkg.json"] = content
        patches = {"s_1": [1, 2], "s_2": [2, 2]}
        files[f"Region{region}/patchset.json"] = patchset(content, patches, make_patch)
    found = start(files)
    assert 'patchset = "Region{region}/patchset.json"' in found.text
    assert ids() == ["A::s_1", "A::s_2", "B::s_1", "B::s_2"]


def test_a_combination_stands_for_its_parts(start: Any, background: Files, make_patch: Any) -> None:
    part = copy.deepcopy(background)
    del part["channels"][1], part["observations"][1]
    files = {"all/bkg.json": background, "low/bkg.json": part}
    files |= {
        f"{f}/patch.s_{m}.json": make_patch([5.0, 8.0]) for f in ("all", "low") for m in (1, 2)
    }
    found = start(files)
    assert 'path = "all/bkg.json"' in found.text
    assert found.notes == ("all/bkg.json holds all channels of low/bkg.json: these are left out",)


def test_several_candidates_are_said(start: Any, background: Files, make_patch: Any) -> None:
    files = {
        "a_bkg.json": observing(background, 1.0, 2.0),
        "b/c/background.json": background,
        "b/c/patch_1.json": make_patch([5.0, 8.0]),
        "patch_1.json": make_patch([5.0, 8.0]),
        "patch_2.json": make_patch([5.0, 8.0]),
    }
    found = start(files)
    assert 'path = "a_bkg.json"' in found.text
    assert found.notes == (
        "several candidates, of which this is the first; others: b/c/background.json",
    )


def test_patches_of_nobody_are_said(start: Any, background: Files, make_patch: Any) -> None:
    files = {
        "one.json": with_signal(background, make_patch, 5.0, 8.0),
        "two.json": with_signal(background, make_patch, 6.0, 8.0),
        "patch_1.json": make_patch([5.0, 8.0]),
    }
    found = start(files)
    assert found.notes == ("left out, as it is unclear which workspace they are for: patch_1.json",)
    assert ids() == ["one::one", "two::two"]


def test_a_background_alone_is_fitted(start: Any, background: Files) -> None:
    found = start({"bkg.json": background, "README.json": {"text": "hello"}})
    assert "[fit]\n" in found.text
    assert '# discovery = ["SR", "CR"]' in found.text
    assert ids() == ["bkg"]


def test_what_does_not_apply_is_said(start: Any, background: Files, make_patch: Any) -> None:
    [operation] = make_patch([5.0, 8.0])
    bad = [{**operation, "path": "/channels/7/samples/-"}]
    found = start({"bkg.json": background, "patch_1.json": bad, "patch_2.json": bad})
    assert found.notes[0].startswith("look at this with `fitspec inspect`: bkg.json with patch_1")


def test_names_from_strangers_stay_inside_their_quotes(
    start: Any, background: Files, make_patch: Any
) -> None:
    background["measurements"][0]["name"] = 'a"\n[poi]\ntest = 2\n#'
    found = start({"b\"k'g.json": background, "patch_1.json": make_patch([5.0, 8.0])})
    assert "\ntest = 2" not in found.text
    assert collected().points[0].case.measurement == 'a"\n[poi]\ntest = 2\n#'


def test_labels_from_strangers_stay_inside_their_comments(
    start: Any, background: Files, make_patch: Any
) -> None:
    patches = patchset(background, {"s_1": [1, 2], "s_2": [2, 2]}, make_patch)
    patches["metadata"]["labels"] = ["m\n[backend]\nname = 'pyhf'\n#", "é"]
    found = start({"b.json": background, "p.json": patches})
    assert "\n[backend]" not in found.text
    assert found.notes[0].startswith("left out: p.json is no HistFactory patchset: metadata.labels")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.txt": "hello"}, "likelihood.tar.gz holds no HistFactory workspace; it has no JSON"),
        ({"inner.tar.gz": "x"}, "likelihood.tar.gz holds no HistFactory workspace; it holds arch"),
        ({"a.json": {"x": 1}}, "likelihood.tar.gz holds no HistFactory workspace; its JSON files"),
        (
            {"w.json": {"channels": [], "observations": [], "measurements": []}},
            "likelihood.tar.gz holds no HistFactory workspace; left out: w.json is no HistFactory",
        ),
    ],
)
def test_an_archive_without_a_workspace(start: Any, files: Files, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        start(files)
    assert str(caught.value).startswith(message)


def test_folders_tell_patches_of_one_name_apart(
    start: Any, background: Files, make_patch: Any
) -> None:
    names = [f"GG_{m}_{n}/patch.json" for m, n in ((100, 1), (200, 1), (200, 50))]
    found = start({"b.json": background, **{name: make_patch([1.0, 1.0]) for name in names}})
    assert '"GG_1, GG_2" = [[100, 1], [200, 1], [200, 50]]' in found.text
    assert 'files = "GG_{GG_1}_{GG_2}/patch.json"' in found.text
    assert ids() == ["100::1::patch", "200::1::patch", "200::50::patch"]
    assert "[combine]" not in found.text


def test_patches_of_other_names_are_said(start: Any, background: Files, make_patch: Any) -> None:
    names = ("s_1.json", "s_2.json", "extra/t_one.json")
    found = start({"b.json": background, **{name: make_patch([1.0, 1.0]) for name in names}})
    assert found.notes == ("patches of other names, left out: extra/t_one.json",)
    assert ids() == ["s_1", "s_2"]


def test_several_patchsets_are_said(start: Any, background: Files, make_patch: Any) -> None:
    sets = {
        f"{model}.json": patchset(background, {f"{model}_1": [1, 2]}, make_patch)
        for model in ("GG", "SS")
    }
    found = start({"b.json": background, **sets})
    assert found.notes == ("GG.json is the first PatchSet for b.json; others: SS.json",)
    assert ids() == ["GG_1"]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("doi:10.17182/hepdata.90607.v3/r3", "hepdata-90607"),
        ("https://example.org/a/SUSY-1_likelihoods.tar.gz?download=1", "SUSY-1_likelihoods"),
        ("data/my likelihood.zip", "my-likelihood"),
        ("/", "analysis"),
    ],
)
def test_a_name_for_the_analysis(source: str, name: str) -> None:
    assert default_name(source) == name


@pytest.mark.data
@pytest.mark.parametrize(
    ("source", "curated", "lines"),
    [
        ("10.17182/hepdata.90607.v3/r3", "@1Lbb", ['patchset = "patchset.json"']),
        (
            "https://doi.org/10.17182/hepdata.92006.v2/r2", "@stau",
            ['files = "Region-combined/patch.DS_{DS_1}_{DS_2}_Staus.json"'],
        ),
        (
            "doi:10.17182/hepdata.89408.v1/r2", "@sbottom",
            [
                'region = ["A", "B", "C"]',
                'files = "Region{region}/patch.sbottom_{sbottom_1}_{sbottom_2}_{sbottom_3}.json"',
            ],
        ),
    ],
)  # fmt: skip
def test_published_archives_give_the_points_of_the_curated_specifications(
    source: str, curated: str, lines: list[str], mirror: Path, analysis: Path
) -> None:
    access = Settings.from_config(mirror, offline=True).access
    found = draft(source, analysis, access)
    for line in lines:
        assert line in found.text.splitlines()
    Path("spec.toml").write_text(found.text)
    theirs = collect(find_specs([curated]), access).points
    ours = collected(mirror).points
    assert {point.id for point in ours} == {point.id for point in theirs}
    digests = [{p.case.background.digest for p in points} for points in (ours, theirs)]
    assert digests[0] == digests[1]


def test_what_is_commented_out_is_valid_too(start: Any, background: Files, make_patch: Any) -> None:
    files: Files = {}
    for region, events in (("A", 52.0), ("B", 53.0)):
        files[f"Region{region}/bkg.json"] = observing(background, events, 33.0)
        files |= {f"Region{region}/s_{m}.json": make_patch([5.0, 8.0]) for m in (1, 2)}
    found = start(files)
    keys = (
        "sha256", "measurement", "select", "upper_limit", "[combine]", "best_expected",
        "[[expect]]", "point", "CLs_obs", "rtol", "source",
    )  # fmt: skip
    lines = [
        line.removeprefix("# ") if line.startswith(tuple(f"# {key}" for key in keys)) else line
        for line in found.text.splitlines()
    ]
    text = "\n".join(lines)
    assert "select = { s = { ge = 2 } }" in text  # which would leave out the example
    Path("spec.toml").write_text(text.replace("ge = 2", "ge = 1"))
    collection = collected()
    counts = [len(part) for part in (collection.points, collection.combinations)]
    assert counts == [4, 2]
    assert [e.node_id for e in collection.expectations] == ["spec.toml::A::s_1::CLs_obs"]
