"""``fitspec lock``, and ``fitspec run --locked``."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitspec.cli import run_command_line
from fitspec.errors import ExitCode

RUN = ["run", "small.toml", "-q", "-n", "1", "-k", "signal_100_1"]


def test_a_locked_run_is_refused_until_it_is_locked_again(
    analysis: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["lock", "small.toml"]) == ExitCode.OK
    assert capsys.readouterr().out == "small.toml locked: 1 workspace, 4 points, 0 tables\n"
    assert run_command_line([*RUN, "--locked"]) == ExitCode.OK
    patch = analysis / "patch.signal_100_1.json"
    patch.write_text(patch.read_text().replace("8.0", "9.0"))
    capsys.readouterr()

    for option in ("--locked", "--locked-inputs"):
        assert run_command_line([*RUN, option]) == ExitCode.USAGE_ERROR
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("fitspec: error: small.toml: patch signal_100_1 is sha256:")
        assert line.endswith("; restore it, or accept it with `fitspec lock small.toml`")

    assert run_command_line(["lock", "small.toml"]) == ExitCode.OK
    told, summary = capsys.readouterr().out.splitlines()
    assert told.startswith("small.toml: patch signal_100_1 is sha256:")
    assert summary == "small.toml locked: 1 workspace, 4 points, 0 tables"
    assert run_command_line([*RUN, "--locked"]) == ExitCode.OK


def test_an_environment_may_be_left_out(analysis: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["lock", "small.toml"]) == ExitCode.OK
    lock = analysis / "small.toml.lock"
    lock.write_text(lock.read_text().replace('pyhf = "', 'pyhf = "9.'))

    assert run_command_line([*RUN, "--locked-inputs"]) == ExitCode.OK
    assert run_command_line([*RUN, "--locked"]) == ExitCode.USAGE_ERROR
    assert "small.toml: environment pyhf is 0." in capsys.readouterr().err


def test_a_broken_lock_is_written_anew(analysis: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (analysis / "small.toml.lock").write_text("lock = ")
    assert run_command_line([*RUN, "--locked"]) == ExitCode.USAGE_ERROR
    assert run_command_line(["lock", "."]) == ExitCode.OK
    assert "it is written anew" in capsys.readouterr().out
    assert run_command_line([*RUN, "--locked"]) == ExitCode.OK


@pytest.mark.usefixtures("analysis")
def test_a_curated_specification_is_not_locked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["lock", "@stau"]) == ExitCode.USAGE_ERROR
    assert "@stau: a curated specification is not locked; copy it" in capsys.readouterr().err
