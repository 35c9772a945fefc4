"""``fitspec graph``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fitspec.cli import run_command_line


@pytest.mark.usefixtures("analysis")
def test_what_a_run_has_computed_is_cached(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["run", "small.toml", "-n", "1", "-q", "-k", "mass=100"]) == 0
    capsys.readouterr()
    assert run_command_line(["graph", "small.toml"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("(cached)") == 2
    assert shown.endswith("\n1 archive, 1 workspace, 4 fits (2 cached), 4 points\n")


@pytest.mark.usefixtures("analysis")
def test_forms(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, start in (
        (["--format", "mermaid"], "flowchart LR\n"),
        (["--format", "dot"], "digraph fitspec {\n"),
        (["--json"], "{\n"),
    ):
        assert run_command_line(["graph", "small.toml", "-k", "width=1", *arguments]) == 0
        shown = capsys.readouterr().out
        assert shown.startswith(start)
    assert [node["kind"] for node in json.loads(shown)["nodes"]].count("fit") == 2


def test_large_graphs_are_folded_unless_all_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = str(Path(__file__).resolve().parents[2] / "examples" / "quickstart.toml")
    run_command_line(["graph", spec])
    assert "└── 9 fits\n" in capsys.readouterr().out
    run_command_line(["graph", spec, "--full"])
    assert capsys.readouterr().out.count("fit signal_") == 9


@pytest.mark.usefixtures("analysis")
def test_an_unknown_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["graph", "small.toml", "--format", "mermaids"]) == 4
    assert "there is none of this name; did you mean 'mermaid'?" in capsys.readouterr().err
