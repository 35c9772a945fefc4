"""``fitspec init``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fitspec.cli import run_command_line


def test_init_writes_a_specification_that_runs(
    analysis: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["init", ".", "-o", "new.toml"]) == 0
    assert capsys.readouterr().out == (
        "new.toml: 4 points; look at it, then `fitspec run new.toml`\n"
    )
    assert run_command_line(["run", "new.toml", "-n", "1", "-q"]) == 0
    assert "4 points fitted" in capsys.readouterr().out
    assert "archive" not in (analysis / "new.toml").read_text()


def test_a_specification_elsewhere_finds_the_archive(analysis: Path) -> None:
    (analysis / "specs").mkdir()
    assert run_command_line(["init", ".", "-o", "specs/new.toml"]) == 0
    assert 'archive = ".."' in (analysis / "specs" / "new.toml").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([".", "-o", "small.toml"], "small.toml is there already; overwrite it with --force"),
        ([".", "-o", "no/x.toml"], "no/x.toml: there is no such folder"),
        ([".", "-o", "x.json"], "x.json: a specification is a .toml file"),
        (["nowhere.tar.gz"], "nowhere.tar.gz: no such archive or folder"),
        (["background.json"], "background.json is no archive; name its folder: ."),
        (["10.17182/hepdata.1", "--offline"], "https://doi.org/10.17182/hepdata.1 is neither in"),
    ],
)
def test_errors_leave_no_file(
    arguments: list[str], message: str, analysis: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in analysis.rglob("*")}
    assert run_command_line(["init", *arguments]) == 4
    assert capsys.readouterr().err.startswith(f"fitspec: error: {message}")
    assert {path: path.stat().st_mtime_ns for path in analysis.rglob("*")} == before


@pytest.mark.usefixtures("analysis")
def test_force_overwrites() -> None:
    assert run_command_line(["init", ".", "-o", "small.toml", "--force"]) == 0
    assert "Written by `fitspec init`" in Path("small.toml").read_text()


def test_what_was_written_and_does_not_run_is_said(
    analysis: Path, background: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    config = background["measurements"][0]["config"]
    config["parameters"] = [{"name": "mu", "bounds": [[0.0, 0.5]]}]
    (analysis / "background.json").write_text(json.dumps(background))
    assert run_command_line(["init", ".", "-o", "new.toml"]) == 4
    shown = capsys.readouterr()
    assert shown.out == "new.toml is written, and does not run as it is:\n"
    assert "poi.test: mu = 1 is outside the POI's bounds [0, 0.5]" in shown.err
