"""``python -m fitspec``, which ends with the exit code of its command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

INTERRUPTED = """\
import fitspec.cli

def run_command_line(arguments):
    exec("raise KeyboardInterrupt")

fitspec.cli.run_command_line = run_command_line
"""


def test_an_interrupt_while_a_library_executes_a_string_has_its_exit_code(tmp_path: Path) -> None:
    """Python itself would end with a SIGINT, as if nobody had caught it."""
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTED)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}

    done = subprocess.run([sys.executable, "-m", "fitspec"], env=environment, capture_output=True)

    assert (done.returncode, done.stdout, done.stderr) == (2, b"", b"")
