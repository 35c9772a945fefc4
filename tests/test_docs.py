"""Pages of the manual whose commands are run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from docs import ROOT, commands, run_page

from fitspec.cli import run_command_line


@pytest.mark.parametrize("page", ["inspecting.md", "plots.md", "regression.md", "sharing.md"])
def test_the_commands_of_a_page_do_what_it_shows(page: str, tmp_path: Path) -> None:
    run_page(page, tmp_path / "examples")


def test_a_page_has_its_commands_with_what_they_show() -> None:
    found = {command.line: command.shown for command in commands("regression.md")}

    assert found["fitspec lock model.toml"] == (
        "model.toml locked: 1 workspace, 3 points, 1 table",
    )
    assert found["fitspec record model.toml"][-1] == "model.toml: 9 added, 0 changed"


def test_the_specification_that_init_is_shown_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path / "examples")
    assert run_command_line(["init", "quickstart", "-o", "new.toml"]) == 0
    page = (ROOT / "docs" / "inspecting.md").read_text()
    [shown] = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert Path("new.toml").read_text() == shown
