"""What the arguments of an inspection mean."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from fitspec.errors import FitspecError
from fitspec.inspection import Subject, inspect, subjects_of
from fitspec.session import Settings

QUICKSTART = Path(__file__).resolve().parents[2] / "examples" / "quickstart"


def subjects(workspace: str, patch: str | None = None, name: str | None = None) -> list[Subject]:
    return subjects_of(workspace, patch, Settings.from_config().access, name=name)


@pytest.fixture
def archive(analysis: Path) -> str:
    """The small analysis as an archive."""
    with tarfile.open("small.tar.gz", "w:gz") as tar:
        for path in sorted(analysis.glob("*.json")):
            tar.add(path, f"likelihood/{path.name}")
    return "small.tar.gz"


@pytest.mark.usefixtures("analysis")
def test_a_file_and_a_patch_beside_it() -> None:
    [alone] = subjects("background.json")
    assert (alone.background.name, alone.patch, alone.operations) == ("background.json", None, None)
    [patched] = subjects("background.json", "patch.signal_100_1.json")
    assert patched.patch == "signal_100_1"
    assert inspect(patched).summary.channels[0].signal == 14.0


def test_members_of_an_archive(archive: str) -> None:
    workspace = f"{archive}:likelihood/background.json"
    member = "likelihood/patch.signal_200_2.json"
    [one] = subjects(workspace, f"{archive}:{member}")
    [other] = subjects(workspace, member)  # in the workspace's own archive
    [third] = subjects(archive, "patch.signal_200_2.json")  # the only workspace, and a file here
    assert one.operations == other.operations == third.operations
    assert {one.patch, other.patch, third.patch} == {"signal_200_2"}


def test_one_patch_of_a_patchset() -> None:
    files = str(QUICKSTART / "background.json"), str(QUICKSTART / "patchset.json")
    [found] = subjects(*files, "signal_400_0")
    assert found.labels == {"m_parent": 400, "m_LSP": 0}
    with pytest.raises(FitspecError, match=r"holds \d+ patches; choose one with --patch: signal_"):
        subjects(*files)
    with pytest.raises(FitspecError, match="no patch of this name; did you mean 'signal_400_100'"):
        subjects(*files, "signal_400_1x")


@pytest.mark.usefixtures("analysis")
def test_a_point_of_a_specification() -> None:
    [found] = subjects("small.toml", "signal_200_1")
    assert (found.patch, found.labels) == ("signal_200_1", {"mass": 200, "width": 1})
    [alone] = subjects("small.toml")
    assert (alone.background.name, alone.patch) == ("background.json", None)
    with pytest.raises(FitspecError, match="no point 'signal_200_3'; did you mean 'signal_200_"):
        subjects("small.toml", "signal_200_3")


def test_all_workspaces_of_a_specification(analysis: Path, background: dict[str, Any]) -> None:
    background["observations"][0]["data"] = [1.0, 2.0]
    (analysis / "other.json").write_text(json.dumps(background))
    text = (analysis / "small.toml").read_text().replace('"background.json"', '"{file}.json"')
    (analysis / "small.toml").write_text(
        f'{text}\n[parametrize]\nfile = ["background", "other", "background2"]\n'
    )
    (analysis / "background2.json").write_bytes((analysis / "background.json").read_bytes())
    assert [s.background.name for s in subjects("small.toml")] == ["background2.json", "other.json"]
    with pytest.raises(FitspecError, match="3 points have the patch 'signal_100_1'; name one: "):
        subjects("small.toml", "signal_100_1")
    [found] = subjects("small.toml", "other::signal_100_1")
    assert found.background.name == "other.json"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("backgrund.json",), "backgrund.json: no such file or folder; did you mean"),
        (("small.tar.gz:likelihood/bg.json",), "small.tar.gz has no file 'likelihood/bg.json'"),
        (("background.json", None, "x"), "--patch x: there is no PatchSet"),
        (("background.json", "patch.signal_100_1.json", "x"), "--patch x: patch.signal_100_1.json"),
        (("background.json", "background.json"), "background.json is a workspace and no patch"),
        (("background.json", "small.tar.gz"), "small.tar.gz: which of its files is the patch?"),
        (("small.toml", None, "x"), "--patch chooses from a PatchSet; name the point instead"),
        (("patch.signal_100_1.json",), "patch.signal_100_1.json is no HistFactory workspace"),
    ],
)
def test_errors_name_the_remedy(
    arguments: tuple[str | None, ...], message: str, archive: str
) -> None:
    with pytest.raises(FitspecError) as caught:
        subjects(*arguments)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


def test_an_archive_of_several_workspaces_asks_which(analysis: Path) -> None:
    (analysis / "other.json").write_bytes((analysis / "background.json").read_bytes())
    with pytest.raises(FitspecError, match=r"holds 2 workspaces; name one: .*:background.json, "):
        subjects(str(analysis))


@pytest.mark.data
def test_a_doi_without_a_member_is_a_source(mirror: Path) -> None:
    access = Settings.from_config(mirror, offline=True).access
    for source in (
        "doi:10.17182/hepdata.90607.v3/r3",
        "https://doi.org/10.17182/hepdata.90607.v3/r3",
    ):
        [found] = subjects_of(source, None, access)
        assert found.background.name == "BkgOnly.json"
    [found] = subjects_of(
        "10.17182/hepdata.90607.v3/r3:BkgOnly.json", "patchset.json", access,
        name="C1N2_Wh_hbb_900_250",
    )  # fmt: skip
    assert found.labels == {"m1": 900, "m2": 250}
