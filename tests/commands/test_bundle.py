"""``fitspec bundle``: what others can run again, offline, with the same numbers."""

from __future__ import annotations

import json
import socket
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from crates import bundle_of, metadata, packed
from hepdata_validator.full_submission_validator import FullSubmissionValidator
from rocrate.rocrate import ROCrate

from fitspec.cli import run_command_line
from fitspec.errors import ExitCode

NOT_THE_RUNS_OWN = ("spec", "file", "seconds", "worker", "cached")


def numbers(results: dict[str, Any]) -> list[dict[str, Any]]:
    """All that is computed, and what it was computed from; not when, where, and how fast."""
    return [
        {key: value for key, value in record.items() if key not in NOT_THE_RUNS_OWN}
        for record in (*results["points"], *results["combined"], *results["checks"])
    ]


def bundled(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        results: dict[str, Any] = json.loads(archive.read("results.json"))
    return results


def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str = "elsewhere") -> Path:
    """Another machine: its own folder and cache, no mirror, no way out."""
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FITSPEC_CACHE", str(folder / "cache"))
    monkeypatch.delenv("FITSPEC_MIRROR", raising=False)

    def refuse(*address: object) -> None:
        raise AssertionError(f"asked for {address}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return folder


def again(path: Path, *options: str) -> dict[str, Any]:
    """results.json of a run of a bundle, with nothing but it."""
    assert run_command_line(["run", str(path), "-q", "--json", "new.json", *options]) == 0
    results: dict[str, Any] = json.loads(Path("new.json").read_text())
    return results


def test_a_bundle_runs_elsewhere_with_the_same_numbers(
    analysis: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = (analysis / "small.toml").read_text()
    (analysis / "small.toml").write_text(
        text + "[poi]\ntest = 1.0\nupper_limit = 0.95\n"
        '[[expect]]\npoint = "signal_100_1"\nexcluded = false\n'
    )
    paper, submission = tmp_path / "paper.zip", tmp_path / "submission.tar.gz"
    command = ["bundle", "small.toml", "-o", str(paper), "--hepdata", str(submission), "-n", "1"]

    assert run_command_line(command) == ExitCode.OK

    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"{paper}: 6 inputs, results of 4 points", f"{submission}: 2 tables",
    ]  # fmt: skip
    assert bundled(paper)["specs"][0]["path"] == "small.toml"
    assert ROCrate(paper).mainEntity.id == "specification/small.toml"
    assert FullSubmissionValidator().validate(archive=str(submission))

    for path in analysis.iterdir():
        path.unlink()
    elsewhere(tmp_path, monkeypatch)
    results = again(paper, "-n", "1")
    assert numbers(results) == numbers(bundled(paper))
    assert results["specs"][0] == bundled(paper)["specs"][0] | {"path": results["specs"][0]["path"]}
    capsys.readouterr()
    assert run_command_line(["compare", "../paper.zip", "new.json"]) == ExitCode.OK
    assert "4 points compared, nothing moved" in capsys.readouterr().out


@pytest.fixture
def paper(analysis: Path, tmp_path: Path) -> Path:
    """A bundle of the small analysis, written by hand: its results are no results."""
    return bundle_of(analysis, tmp_path / "paper.zip")


def test_all_commands_that_read_take_bundles(
    paper: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere(tmp_path, monkeypatch)
    shown = []
    for command in ("validate", "collect", "fetch"):
        assert run_command_line([command, "../paper.zip"]) == ExitCode.OK
        shown.append(capsys.readouterr().out.splitlines())
    assert shown[0] == ["../paper.zip: valid"]
    assert shown[1][0] == "../paper.zip::signal_100_1"
    assert shown[2][0].startswith("../paper.zip: background.json sha256:")
    assert run_command_line(["cache", "info"]) == ExitCode.OK
    assert "\nsources: 6 files, " in capsys.readouterr().out


def test_a_bundle_is_bundled_again(paper: Path, tmp_path: Path) -> None:
    command = ["bundle", str(paper), "-o", "again.zip", "-n", "1", "-k", "signal_100_1"]
    assert run_command_line(command) == ExitCode.OK
    with zipfile.ZipFile(paper) as old, zipfile.ZipFile("again.zip") as new:
        members = [name for name in new.namelist() if name.startswith("specification/")]
        assert len(members) == 6
        assert {name: new.read(name) for name in members} == {
            name: old.read(name) for name in members
        }


@pytest.mark.parametrize("command", ["record", "lock"])
def test_a_bundle_is_not_changed(
    command: str, paper: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line([command, str(paper)]) == ExitCode.USAGE_ERROR
    expected = f"fitspec: error: {paper}: a bundle is not changed; unpack it, and take that\n"
    assert capsys.readouterr().err == expected


OUTSIDE = "is outside of the bundle; bundles read nothing else"
URL = "https://archive.example/a.tar"
PATCHES = 'files = "patch.signal_{mass}_{width}.json"'
HOSTILE = {
    "an archive by its path": (
        "path =", 'archive = "../../outside"\npath =',
        f"workspace.archive: '../../outside' {OUTSIDE}",
    ),
    "an archive without an end": (
        "path =", f'archive = "/dev/zero"\nsha256 = "{64 * "0"}"\npath =',
        f"workspace.archive: '/dev/zero' {OUTSIDE}",
    ),
    "an archive on the network": (
        "path =", f'archive = "{URL}"\npath =',
        f"workspace.archive: the bundle does not hold '{URL}'",
    ),
    "a workspace": (
        '"background.json"', '"../../../outside/background.json"', "workspace.path: ",
    ),
    "patches": ('"patch.', '"../../../outside/patch.', "patches.files: "),
    "expected values": (
        "[patches]", '[[expect]]\ntable = "../../outside/a.csv"\n[patches]',
        f"expect[0].table: '../../outside/a.csv' {OUTSIDE}",
    ),
    "signal yields": (
        PATCHES, 'yields = "/etc/passwd"', f"patches.yields: '/etc/passwd' {OUTSIDE}",
    ),
    "cross-sections": (
        "[patches]",
        '[poi]\nupper_limit = 0.95\n[cross_section]\non = "mass"\ntable = "/x.csv"\n[patches]',
        f"cross_section.table: '/x.csv' {OUTSIDE}",
    ),
    "a way out by a value": (
        "[workspace]", '[parametrize]\nup = ["../.."]\n[workspace]\narchive = "{up}/outside"',
        f"workspace.archive: '../../outside' {OUTSIDE}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_specification_reads_nothing_outside_of_its_bundle(
    case: str,
    analysis: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old, new, message = HOSTILE[case]
    text = (analysis / "small.toml").read_text()
    assert old in text
    (analysis / "small.toml").write_text(text.replace(old, new))
    bundle_of(analysis, tmp_path / "paper.zip")
    elsewhere(tmp_path, monkeypatch)

    assert run_command_line(["run", "../paper.zip"]) == ExitCode.USAGE_ERROR

    shown = capsys.readouterr().err
    assert shown.startswith("fitspec: error: ../paper.zip:")
    assert message in shown
    assert shown.count("\n") == 1


def test_a_bundle_that_was_changed_is_refused(
    analysis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {f"specification/{file.name}": file.read_bytes() for file in analysis.iterdir()}
    described = metadata(files)
    files["specification/background.json"] = b"{}"
    packed(tmp_path / "paper.zip", files, described)

    assert run_command_line(["run", "../paper.zip"]) == ExitCode.USAGE_ERROR

    shown = capsys.readouterr().err
    assert shown.startswith(
        "fitspec: error: 'specification/background.json' in paper.zip has sha256 "
    )


@pytest.fixture
def results(analysis: Path) -> Path:
    """results.json of a run of one point of the small analysis."""
    command = ["run", "small.toml", "-q", "-n", "1", "-k", "signal_100_1", "--json", "old.json"]
    assert run_command_line(command) == 0
    return analysis / "old.json"


def test_results_of_an_earlier_run_are_bundled_as_they_are(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    for name in ("a.zip", "b.zip"):
        command = ["bundle", "small.toml", "-o", f"../{name}", "--results", "old.json"]
        assert run_command_line(command) == ExitCode.OK

    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.read("results.json") == results.read_bytes()
        assert b"startTime" not in archive.read("ro-crate-metadata.json")


def test_results_of_another_specification_are_refused(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("small.toml").write_text(Path("small.toml").read_text() + "# changed\n")
    command = ["bundle", "small.toml", "-o", "paper.zip", "--results", "old.json"]
    assert run_command_line(command) == ExitCode.USAGE_ERROR
    assert "old.json is of small.toml with sha256 " in capsys.readouterr().err
    assert not Path("paper.zip").exists()


def test_a_lock_goes_along_and_must_hold(
    results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_command_line(["lock", "small.toml"]) == ExitCode.OK
    command = ["bundle", "small.toml", "-o", "../paper.zip", "--results", "old.json"]
    assert run_command_line(command) == ExitCode.OK
    patch = Path("patch.signal_200_2.json")
    patch.write_text(patch.read_text().replace("4.0", "5.0"))
    capsys.readouterr()
    assert run_command_line(command) == ExitCode.USAGE_ERROR
    assert "small.toml: patch signal_200_2 is sha256:" in capsys.readouterr().err

    elsewhere(tmp_path, monkeypatch)
    assert numbers(again(Path("../paper.zip"), "--locked", "-n", "1", "-k", "100_1")) == numbers(
        bundled(Path("../paper.zip"))
    )


def test_a_check_that_fails_is_bundled_and_told(
    analysis: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("small.toml").open("a") as file:
        file.write('[[expect]]\npoint = "signal_100_1"\nCLs_obs = 0.5\n')
    command = ["bundle", "small.toml", "-o", "paper.zip", "-n", "1", "-k", "signal_100_1"]
    assert run_command_line(command) == ExitCode.CHECKS_FAILED
    assert "paper.zip: 6 inputs, results of 1 point" in capsys.readouterr().out
    assert bundled(Path("paper.zip"))["summary"]["failed"] == 1
    assert ROCrate("paper.zip").get("#run")["description"] == (
        "fitspec run small.zip -k signal_100_1"
    )


WRONG = {
    "no output": ([], "nothing to write; give -o FILE.zip, --hepdata FILE.tar.gz, or both"),
    "no zip": (["-o", "a.tar"], "-o a.tar: a bundle is a zip file; name it FILE.zip"),
    "no folder": (["-o", "no/a.zip"], "-o no/a.zip: there is no such folder; make it first"),
    "no tar.gz": (
        ["--hepdata", "a.zip"], "--hepdata a.zip: HEPData takes a tar.gz; name it FILE.tar.gz",
    ),
    "no unit": (["-o", "a.zip", "--unit", "GeV"], "--unit GeV: is no LABEL=UNIT; write m_stau=GeV"),
    "no address": (["-o", "a.zip", "--license", "CC0"], "--license CC0: is no https URL; "),
    "options of a run": (
        ["-o", "a.zip", "--results", "old.json", "-k", "a"],
        "--results: nothing is run; leave out -k, -n, --endpoint and --no-cache",
    ),
    "no results": (["-o", "a.zip", "--results", "old.json"], "old.json: No such file"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_meant_is_told_first(
    case: str, analysis: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, message = WRONG[case]
    assert run_command_line(["bundle", "small.toml", *options]) == ExitCode.USAGE_ERROR
    assert capsys.readouterr().err.startswith(f"fitspec: error: {message}")


@pytest.mark.parametrize(
    ("option", "module", "extra"),
    [("-o=a.zip", "rocrate", "bundle"), ("--hepdata=a.tar.gz", "hepdata_lib", "hepdata")],
)
def test_what_is_not_installed_is_told_before_the_run(
    option: str,
    module: str,
    extra: str,
    analysis: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert run_command_line(["bundle", "small.toml", *option.split("=")]) == ExitCode.USAGE_ERROR
    shown = capsys.readouterr()
    assert shown.err == (
        f"fitspec: error: {module} is not installed; pip install 'fitspec[{extra}]'\n"
    )
    assert shown.out == ""


def test_one_specification_a_bundle(analysis: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.toml").write_text(Path("small.toml").read_text())
    assert run_command_line(["bundle", ".", "-o", "a.zip"]) == ExitCode.USAGE_ERROR
    assert ". holds 2 specifications; bundle one at a time" in capsys.readouterr().err


@pytest.mark.data
def test_a_published_analysis_runs_offline_from_its_bundle(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is neither a cache nor a mirror; the published limit is met there, too."""
    paper, submission = tmp_path / "stau.zip", tmp_path / "stau.tar.gz"
    selection = ["-k", "DS_120_1_", "-n", "1"]
    outputs = ["-o", str(paper), "--hepdata", str(submission), "--unit", "m_stau=GeV"]
    command = ["bundle", "@stau", *outputs, *selection, "--mirror", str(mirror)]
    assert run_command_line(command) == ExitCode.OK
    assert FullSubmissionValidator().validate(archive=str(submission))

    elsewhere(tmp_path, monkeypatch)
    results = again(paper, *selection)

    assert numbers(results) == numbers(bundled(paper))
    assert results["summary"]["passed"] == 1
    [published] = [
        float(line.split(",")[2])
        for line in (mirror / "published" / "stau-upper-limits.csv").read_text().splitlines()
        if line.startswith("120,1,")
    ]
    assert results["points"][0]["upper_limit_xsec_obs"] == pytest.approx(published, rel=0.10)
