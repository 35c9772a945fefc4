"""``fitspec inspect``."""

from __future__ import annotations

import json

import pytest

from fitspec.cli import run_command_line


@pytest.mark.usefixtures("analysis")
def test_inspect_shows_the_workspace_and_the_patch(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["inspect", "background.json", "patch.signal_100_2.json"]) == 0
    shown = capsys.readouterr().out
    assert "with patch signal_100_2" in shown
    assert "adds       signal  SR              20   8, 12  1 added" in shown


@pytest.mark.usefixtures("analysis")
def test_inspect_writes_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["inspect", "small.toml", "--json"]) == 0
    [record] = json.loads(capsys.readouterr().out)
    assert record["digest"].startswith("sha256:")
    assert record["changes"] is None


@pytest.mark.usefixtures("analysis")
def test_inspect_of_a_measurement_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["inspect", "background.json", "--measurement", "other"]) == 4
    assert "no measurement 'other'; it has 'measurement'" in capsys.readouterr().err
