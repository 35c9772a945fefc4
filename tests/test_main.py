"""``python -m fitspec``, which ends with the exit code of its command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

INTERRUPTED = """\
import fitspec.cli

def run_command_line(arguments):
    exec("raise KeyboardInterrupt")

fitspec.cli.run_command_line = run_command_line
"""


IMPORTING = """\
import time
import fitspec.cli

def run_command_line(arguments):
    import interrupted
    time.sleep(60)

fitspec.cli.run_command_line = run_command_line
"""

IMPORTED = """\
import os, time
for _ in range(TIMES):
    os.kill(os.getpid(), NUMBER)
    time.sleep(0.1)
print("imported", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("times", "printed"), [(1, b"imported\n"), (2, b"")])
def test_an_import_is_interrupted_by_the_second_signal_alone(
    tmp_path: Path, number: signal.Signals, times: int, printed: bytes
) -> None:
    (tmp_path / "sitecustomize.py").write_text(IMPORTING)
    text = IMPORTED.replace("NUMBER", str(int(number))).replace("TIMES", str(times))
    (tmp_path / "interrupted.py").write_text(text)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-m", "fitspec"], env=environment, capture_output=True, timeout=30
    )

    assert (done.returncode, done.stdout, done.stderr) == (2, printed, b"")


def test_an_interrupt_while_a_library_executes_a_string_has_its_exit_code(tmp_path: Path) -> None:
    """Python itself would end with a SIGINT, as if nobody had caught it."""
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTED)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}

    done = subprocess.run([sys.executable, "-m", "fitspec"], env=environment, capture_output=True)

    assert (done.returncode, done.stdout, done.stderr) == (2, b"", b"")
