"""``fitspec record`` on the small analysis: what it asks, says and returns."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from fitspec.cli import run_command_line
from fitspec.errors import ExitCode

WRONG = '[[expect]]\npoint = "signal_100_1"\nCLs_obs = 0.5\nsource = "a guess"\n'
RECORD = ["record", "small.toml", "-n", "1", "-k", "signal_100_1"]


@pytest.fixture
def spec(analysis: Path) -> Path:
    """The small specification with an expectation that does not hold."""
    path = analysis / "small.toml"
    path.write_text(path.read_text() + WRONG)
    return path


def test_recording_ends_in_a_run_that_passes(
    analysis: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(RECORD) == ExitCode.OK
    assert capsys.readouterr().out.splitlines()[-1] == "small.toml: 3 added, 0 changed"
    text = (analysis / "small.toml").read_text()
    assert 'source = "recorded by fitspec 0.1.0, native backend, numpy ' in text

    assert run_command_line(["run", "small.toml", "-q", "-k", "signal_100_1"]) == ExitCode.OK
    assert "3 passed" in capsys.readouterr().out
    assert run_command_line(RECORD) == ExitCode.OK
    assert capsys.readouterr().out.splitlines()[-1] == "small.toml: 0 added, 0 changed"
    assert (analysis / "small.toml").read_text() == text


def test_without_a_terminal_a_change_needs_yes(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = spec.read_text()

    assert run_command_line(RECORD) == ExitCode.USAGE_ERROR

    shown = capsys.readouterr()
    assert shown.err == (
        "fitspec: error: 1 expectation would change, and there is no terminal to ask at; "
        "give --yes to change them all, or -k to leave some out\n"
    )
    [row] = [line.split() for line in shown.out.splitlines() if "a guess" in line]
    assert row[:5] == ["signal_100_1::CLs_obs", "at", "mu", "=", "1"]
    assert row[5] == "0.5"
    assert spec.read_text() == before

    assert run_command_line([*RECORD, "--yes"]) == ExitCode.OK
    assert capsys.readouterr().out.splitlines()[-1] == "small.toml: 2 added, 1 changed"
    assert f"CLs_obs = {row[6]}" in spec.read_text()  # as it was shown


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("y", 0)])
def test_at_a_terminal_it_asks(answer: str, code: int, spec: Path) -> None:
    before = spec.read_text()
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    done = subprocess.run(
        [sys.executable, "-m", "fitspec", *RECORD],
        stdin=theirs, capture_output=True, text=True, cwd=spec.parent, timeout=60,
    )  # fmt: skip
    os.close(ours)
    os.close(theirs)

    assert (done.returncode, done.stderr) == (code, "")
    assert "Change 1 expectation? [y/N]" in done.stdout
    assert (spec.read_text() == before) is (answer == "n")


def test_a_table_beside_it(analysis: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line([*RECORD, "--table", "recorded.csv"]) == ExitCode.OK
    assert (analysis / "small.toml").read_text().count("[[expect]]") == 1
    assert (analysis / "recorded.csv").read_text().splitlines()[1].startswith("point,CLs_obs,")
    assert run_command_line([*RECORD, "--table", "recorded.csv"]) == ExitCode.OK
    assert "0 added, 0 changed" in capsys.readouterr().out


def test_what_cannot_be_recorded_is_told(
    analysis: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (analysis / "patch.signal_100_1.json").write_text('[{"op": "remove", "path": "/nope"}]')
    (analysis / "published.csv").write_text("mass,width,CLs_obs\n200,1,0.99\n")
    with (analysis / "small.toml").open("a") as file:
        file.write('[[expect]]\ntable = "published.csv"\nsource = "[1]"\n')

    assert run_command_line(["record", "small.toml", "-n", "1", "--yes"]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert lines[-3].startswith("not recorded: small.toml::signal_100_1: PatchError: ")
    assert lines[-2] == (
        "fails, and is left as it is: small.toml::signal_200_1::CLs_obs: expected by [1]"
    )
    assert lines[-1] == "small.toml: 8 added, 0 changed"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["@stau"], "@stau: a curated specification is not recorded into; copy it, "),
        (["."], ". holds 2 specifications; record into one at a time"),
        (["none.toml"], "none.toml: no such file or folder"),
        (["small.toml", "--table", "x.txt"], "--table x.txt: is no CSV file beside"),
    ],
)
def test_bad_arguments_are_usage_errors(
    arguments: list[str], message: str, analysis: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (analysis / "other.toml").write_text((analysis / "small.toml").read_text())
    assert run_command_line(["record", *arguments]) == ExitCode.USAGE_ERROR
    assert capsys.readouterr().err.startswith(f"fitspec: error: {message}")
