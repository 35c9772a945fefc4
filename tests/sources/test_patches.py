"""Patches: loose files, a PatchSet, or none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyhf
import pytest

from fitspec.errors import ArchiveError, WorkspaceError
from fitspec.sources import (
    Access,
    Background,
    FilePattern,
    PatchSource,
    load_background,
    open_archive,
    open_patches,
    resolve,
)

Patches = dict[str, Any]


@pytest.fixture
def workspace(background: dict[str, Any]) -> Background:
    """The small workspace, loaded."""
    return load_background(json.dumps(background).encode(), "Region/BkgOnly.json", None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An archive that is still empty."""
    path = tmp_path / "archive"
    path.mkdir()
    return path


@pytest.fixture
def loose(folder: Path, workspace: Background) -> Callable[..., PatchSource]:
    """Opens loose patch files of these names, each holding its own name as JSON."""

    def opened(pattern: str, *names: str) -> PatchSource:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(json.dumps([name]))
        return open_patches(open_archive(folder), workspace, files=FilePattern(pattern))

    return opened


@pytest.fixture
def patchset(
    background: dict[str, Any], make_patch: Callable[..., list[dict[str, Any]]]
) -> Patches:
    """A PatchSet of the small workspace with two patches and both digests."""
    patches = [
        {
            "metadata": {"name": f"C1N2_Wh_{mass}_{width}", "values": [mass, width]},
            "patch": make_patch([mass / 10, width * 1.0]),
        }
        for mass, width in ((300, 5), (200, 10))
    ]
    digests = {kind: pyhf.utils.digest(background, kind) for kind in ("sha256", "md5")}
    metadata = {
        "references": {"hepdata": "ins1234567"},
        "digests": digests,
        "labels": ["mass", "width"],
        "description": "signals of our own",
    }
    return {"patches": patches, "metadata": metadata, "version": "1.0.0"}


@pytest.fixture
def open_set(folder: Path, workspace: Background) -> Callable[..., PatchSource]:
    """Opens a PatchSet, given as JSON or as its content."""

    def opened(content: Patches | str, relabel: list[str] | None = None) -> PatchSource:
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / "patchset.json").write_text(text)
        archive = open_archive(folder)
        return open_patches(archive, workspace, patchset="patchset.json", relabel=relabel)

    return opened


def test_loose_patches_have_the_labels_of_their_names(loose: Callable[..., PatchSource]) -> None:
    patches = loose(
        "A/patch.sbottom_{m}_{model}.json", "A/patch.sbottom_300_x.json", "B/patch.sbottom_1_x.json"
    )
    assert patches.labels == {"sbottom_300_x": {"m": 300, "model": "x"}}


def test_loose_patches_come_in_natural_order(loose: Callable[..., PatchSource]) -> None:
    names = ["x_1000_1", "x_200_1", "x_200.5_1", "x_-5_1", "x_200_0.5", "x_b_1", "x_a_1"]
    patches = loose("{_}_{m}_{n}.json", *(f"{name}.json" for name in names))
    assert list(patches.labels) == [
        "x_-5_1", "x_200_0.5", "x_200_1", "x_200.5_1", "x_1000_1", "x_a_1", "x_b_1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("patch.signal_1.json", "signal_1"),
        ("patch_signal_1.json", "signal_1"),
        ("signal_1.json", "signal_1"),
        ("patches.signal_1.json", "patches.signal_1"),
        ("patch.patch.signal_1.json", "patch.signal_1"),
        ("patch.signal_1.5.json", "signal_1.5"),
    ],
)
def test_a_loose_patch_is_called_after_its_file(
    file: str, name: str, loose: Callable[..., PatchSource]
) -> None:
    assert list(loose("deep/er/{m}.json", f"deep/er/{file}").labels) == [name]


def test_loose_patches_are_read_by_their_names(loose: Callable[..., PatchSource]) -> None:
    patches = loose("patch.x_{m}.json", "patch.x_1.json", "patch.x_2.json", "patch.x_3.json")
    assert patches.read(["x_3", "x_1"]) == {
        "x_3": b'["patch.x_3.json"]',
        "x_1": b'["patch.x_1.json"]',
    }
    assert patches.read([]) == {}


def test_a_pattern_may_match_no_file(loose: Callable[..., PatchSource]) -> None:
    assert loose("patch.x_{m}.json", "other.json").labels == {}


def test_two_loose_patches_of_one_name_are_refused(loose: Callable[..., PatchSource]) -> None:
    with pytest.raises(WorkspaceError, match="two patches are called 'x_1'"):
        loose("{region}/patch.x_{m}.json", "A/patch.x_1.json", "B/patch.x_1.json")


@pytest.mark.parametrize("name", ["x_\n.json", "x_\x1b[2J.json", "x_\u202e.json"], ids=ascii)
def test_a_loose_patch_with_control_characters_is_refused(
    name: str, loose: Callable[..., PatchSource]
) -> None:
    with pytest.raises(WorkspaceError, match="is no printable patch name") as caught:
        loose("x_{m}.json", name)
    assert str(caught.value).isprintable()


def test_a_patchset_has_names_and_labels_in_its_own_order(
    patchset: Patches, open_set: Callable[..., PatchSource]
) -> None:
    patches = open_set(patchset)
    assert patches.labels == {
        "C1N2_Wh_300_5": {"mass": 300, "width": 5},
        "C1N2_Wh_200_10": {"mass": 200, "width": 10},
    }
    assert list(patches.labels) == [p["metadata"]["name"] for p in patchset["patches"]]


def test_the_operations_of_a_patchset_are_read_by_name(
    patchset: Patches, open_set: Callable[..., PatchSource]
) -> None:
    content = open_set(patchset).read(["C1N2_Wh_300_5"])
    assert list(content) == ["C1N2_Wh_300_5"]
    assert json.loads(content["C1N2_Wh_300_5"]) == patchset["patches"][0]["patch"]


def test_pyhf_reads_the_same_patchset(
    patchset: Patches, open_set: Callable[..., PatchSource], background: dict[str, Any]
) -> None:
    theirs = pyhf.PatchSet(patchset)
    theirs.verify(background)
    assert list(open_set(patchset).labels) == [patch.name for patch in theirs]


def test_the_labels_of_a_patchset_can_be_renamed(
    patchset: Patches, open_set: Callable[..., PatchSource]
) -> None:
    patches = open_set(patchset, ["m_C1N2", "m_N1"])
    assert patches.labels["C1N2_Wh_300_5"] == {"m_C1N2": 300, "m_N1": 5}


@pytest.mark.parametrize("relabel", [["m"], ["m", "n", "o"]], ids=len)
def test_a_wrong_number_of_new_labels_is_refused(
    relabel: list[str], patchset: Patches, open_set: Callable[..., PatchSource]
) -> None:
    problem = rf"has 2 labels \(mass, width\), not {len(relabel)}"
    with pytest.raises(WorkspaceError, match=problem):
        open_set(patchset, relabel)


def test_two_labels_of_one_name_are_refused(
    patchset: Patches, open_set: Callable[..., PatchSource]
) -> None:
    with pytest.raises(WorkspaceError, match="two labels share a name: m, m"):
        open_set(patchset, ["m", "m"])


def test_a_patch_with_a_value_too_few_is_refused(
    patchset: Patches, open_set: Callable[..., PatchSource]
) -> None:
    patchset["patches"][1]["metadata"]["values"].pop()
    with pytest.raises(WorkspaceError, match="has 1 label values"):
        open_set(patchset)


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_a_patchset_of_another_workspace_is_refused(
    kind: str, patchset: Patches, open_set: Callable[..., PatchSource]
) -> None:
    right = patchset["metadata"]["digests"][kind]
    wrong = patchset["metadata"]["digests"][kind] = "0" * len(right)
    with pytest.raises(WorkspaceError) as caught:
        open_set(patchset)
    assert f"{kind} digest {wrong}, but Region/BkgOnly.json has {right}" in str(caught.value)
    assert "changed after publication" in caught.value.remedy


def test_two_patches_of_one_name_are_refused(
    patchset: Patches, open_set: Callable[..., PatchSource]
) -> None:
    patchset["patches"].append(patchset["patches"][0])
    with pytest.raises(WorkspaceError, match="two patches are called 'C1N2_Wh_300_5'"):
        open_set(patchset)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        pytest.param(lambda p: p.pop("version"), "version", id="no version"),
        pytest.param(lambda p: p["metadata"].pop("labels"), "metadata", id="no labels"),
        pytest.param(lambda p: p["metadata"]["digests"].clear(), "metadata.digests", id="none"),
        pytest.param(
            lambda p: p["metadata"]["digests"].update(sha1="0"), "metadata.digests", id="sha1"
        ),
        pytest.param(lambda p: p["patches"].clear(), "patches", id="no patches"),
        pytest.param(
            lambda p: p["patches"][1]["metadata"].update(name="x\n"),
            "patches[1].metadata.name",
            id="name with a line end",
        ),
        pytest.param(
            lambda p: p["patches"][0]["patch"][0].update(op="put"),
            "patches[0].patch[0]",
            id="unknown operation",
        ),
    ],
)
def test_a_violation_of_the_patchset_schema_names_its_place(
    change: Callable[[Patches], Any],
    place: str,
    patchset: Patches,
    open_set: Callable[..., PatchSource],
) -> None:
    change(patchset)
    with pytest.raises(WorkspaceError) as caught:
        open_set(patchset)
    assert "patchset.json is no HistFactory patchset: " in str(caught.value)
    assert place in caught.value.problem
    assert len(str(caught.value).splitlines()) == 1


def test_a_patchset_that_is_no_json_is_refused(open_set: Callable[..., PatchSource]) -> None:
    with pytest.raises(WorkspaceError, match=r"patchset\.json is not valid JSON"):
        open_set("{")


def test_a_patchset_that_is_absent_is_refused(folder: Path, workspace: Background) -> None:
    with pytest.raises(ArchiveError, match=r"has no file 'patchset\.json'"):
        open_patches(open_archive(folder), workspace, patchset="patchset.json")


def test_without_patches_the_workspace_is_its_own_hypothesis(
    folder: Path, workspace: Background
) -> None:
    patches = open_patches(open_archive(folder), workspace)
    assert patches.labels == {"BkgOnly": {}}
    assert patches.read(["BkgOnly"]) == {"BkgOnly": b"[]"}


@pytest.fixture
def published(mirror: Path, tmp_path: Path) -> Callable[..., PatchSource]:
    """Opens the patches of a published likelihood."""

    def opened(doi: str, workspace: str, **patches: Any) -> PatchSource:
        archive = open_archive(resolve(doi, tmp_path, Access(tmp_path, mirror, offline=True)))
        raw = archive.read([workspace])[workspace]
        return open_patches(archive, load_background(raw, workspace, None), **patches)

    return opened


@pytest.mark.data
@pytest.mark.parametrize(
    ("doi", "folder", "pattern", "count", "first", "labels"),
    [
        pytest.param(
            "10.17182/hepdata.89408.v1/r2",
            f"Region{region}",
            "patch.sbottom_{m_sbottom}_{m_N2}_{m_N1}.json",
            count,
            "sbottom_1300_205_60",
            {"m_sbottom": 1300, "m_N2": 205, "m_N1": 60},
            id=f"sbottom {region}",
        )
        for region, count in (("A", 217), ("B", 218), ("C", 215))
    ]
    + [
        pytest.param(
            "10.17182/hepdata.92006.v2/r2",
            f"Region-{region}",
            "patch.DS_{m_stau}_{m_N1}_Staus.json",
            57,
            "DS_120_1_Staus",
            {"m_stau": 120, "m_N1": 1},
            id=f"stau {region}",
        )
        for region in ("combined", "lowMass", "highMass")
    ],
)
def test_the_published_loose_patches_are_all_there(
    doi: str,
    folder: str,
    pattern: str,
    count: int,
    first: str,
    labels: dict[str, int],
    published: Callable[..., PatchSource],
) -> None:
    files = FilePattern(f"{folder}/{pattern}")
    patches = published(doi, f"{folder}/BkgOnly.json", files=files)
    assert len(patches.labels) == count
    assert patches.labels[first] == labels
    assert json.loads(patches.read([first])[first])[0]["op"] == "add"


@pytest.mark.data
def test_the_published_patchset_is_verified_and_whole(
    published: Callable[..., PatchSource],
) -> None:
    doi, relabel = "10.17182/hepdata.90607.v3/r3", ["m_C1N2", "m_N1"]
    patches = published(doi, "BkgOnly.json", patchset="patchset.json", relabel=relabel)
    assert len(patches.labels) == 125
    assert patches.labels["C1N2_Wh_hbb_900_250"] == {"m_C1N2": 900, "m_N1": 250}
