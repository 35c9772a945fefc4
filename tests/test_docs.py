"""Pages of the manual whose commands are run."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs import commands, run_page


@pytest.mark.parametrize("page", ["regression.md"])
def test_the_commands_of_a_page_do_what_it_shows(page: str, tmp_path: Path) -> None:
    run_page(page, tmp_path / "examples")


def test_a_page_has_its_commands_with_what_they_show() -> None:
    found = {command.line: command.shown for command in commands("regression.md")}

    assert found["fitspec lock model.toml"] == (
        "model.toml locked: 1 workspace, 3 points, 1 table",
    )
    assert found["fitspec record model.toml"][-1] == "model.toml: 9 added, 0 changed"
