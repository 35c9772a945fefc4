"""The commands of a documentation page, run as a reader would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Command:
    """A line after ``$``, and the lines that the page shows of what it prints."""

    line: str
    shown: tuple[str, ...]


def commands(page: str) -> list[Command]:
    """All commands in the ``console`` blocks of a page of ``docs/``, in order."""
    text = (ROOT / "docs" / page).read_text()
    found: list[Command] = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for part in block.split("$ ")[1:] if block.startswith("$ ") else ():
            line, *shown = part.splitlines()
            found.append(Command(line, tuple(filter(None, shown))))
    return found


def run_page(page: str, folder: Path) -> None:
    """Run a page's commands in a copy of ``examples/``, as :func:`run_commands` does."""
    shutil.copytree(ROOT / "examples", folder)
    run_commands(page, folder)


def run_commands(page: str, folder: Path) -> None:
    """Run a page's commands one after the other in a folder.

    What the page shows must be printed, in this order; white space, times, rules and what follows
    ``...`` apart; more may be printed. A command exits with 0 unless ``echo $?`` follows it, or it
    is shown to end with a failed test.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    found = commands(page)
    assert found, page
    code = 0
    for command, following in zip(found, [*found[1:], None], strict=True):
        done = subprocess.run(
            ["bash", "-c", f"(exit {code}); {command.line}"],
            cwd=folder, env=environment | {"PATH": path, "COLUMNS": "80"},
            capture_output=True, text=True,
        )  # fmt: skip
        code = done.returncode
        output = _comparable(done.stdout + done.stderr)
        if following is None or following.line != "echo $?":
            fails = any(line.startswith("FAILED ") for line in command.shown)
            assert code == fails, f"{command.line}\n{output}"
        at = 0
        for line in command.shown:
            wanted = _comparable(line.split("...")[0])
            at = output.find(wanted, at)
            assert at >= 0, f"{command.line}\nshows no {wanted!r}:\n{output}"
            at += len(wanted)


def _comparable(text: str) -> str:
    text = re.sub(r"\d+\.\d+ ?s\b", "0.0s", text)
    return " ".join(re.sub(r"={3,}|-{3,}", "", text).split())
