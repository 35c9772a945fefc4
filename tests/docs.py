"""Pages of the manual: their console blocks, to be run as they stand."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

_BLOCK = re.compile(r"```console\n\$ (?P<command>[^\n]+)\n(?P<output>.*?)```", re.DOTALL)
_DURATION = re.compile(r"\d+\.\d+ ?s\b")
_RULE = re.compile(r"(={3,}|-{3,})")


@dataclass(frozen=True)
class Example:
    """A command of a page and what it is said to print; ``...`` stands for any lines."""

    command: str
    output: tuple[str, ...]

    def run(self, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run it as a user would, in a folder."""
        program, *arguments = shlex.split(self.command)
        command = [sys.executable, "-m", program, *arguments]
        terminal = {name: value for name, value in os.environ.items() if name != "CI"}
        terminal["COLUMNS"] = "80"
        return subprocess.run(
            command, cwd=folder, env=terminal, capture_output=True, text=True, timeout=120
        )

    def missing(self, printed: str) -> list[str]:
        """Lines of the page that are not printed, in this order; times and rules may differ."""
        lines = iter([_comparable(line) for line in printed.splitlines()])
        return [line for line in self.output if line != "..." and _comparable(line) not in lines]


def examples(page: str) -> list[Example]:
    """Of a page of docs/, by its name."""
    text = (ROOT / "docs" / page).read_text()
    return [
        Example(match["command"], tuple(match["output"].splitlines()))
        for match in _BLOCK.finditer(text)
    ]


def _comparable(line: str) -> str:
    return _RULE.sub("===", _DURATION.sub("0.0s", line)).strip("= ")
