"""Wall time and peak memory of a command and of the processes it starts."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

POLL = 0.05
"""Seconds between two looks at the memory: the kernel keeps each process's peak, so that they miss
only what a process does in its last moment."""


class BenchmarkError(Exception):
    """Something could not be measured, and why."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One execution of a command.

    Attributes:
        seconds: wall time.
        main_mb: peak resident memory of the process itself in MB; None where nobody says.
        worker_mb: that of the largest process it started.
    """

    seconds: float
    main_mb: float | None
    worker_mb: float | None


def timed(command: Sequence[str], environment: Mapping[str, str], codes: Sequence[int]) -> Timing:
    """Run a command with its own output thrown away.

    Args:
        command: program and arguments.
        environment: of the process, in addition to this one's.
        codes: exit codes that are a success.

    Raises:
        BenchmarkError: another exit code, with the last line that the command complained with.
    """
    with tempfile.TemporaryFile() as complaints:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
        )
        with _Peaks(process.pid) as peaks:
            code = process.wait()
            seconds = time.perf_counter() - start
        if code not in codes:
            complaints.seek(0)
            raise BenchmarkError(last_line(complaints.read().decode(), code))
    return Timing(seconds, peaks.main, peaks.largest_child)


def fitspec(arguments: Sequence[str], environment: Mapping[str, str]) -> Timing:
    """Run the ``fitspec`` command; checks that fail are not this command's failure."""
    return timed([sys.executable, "-m", "fitspec", *arguments], environment, codes=(0, 1))


def last_line(complaints: str, code: int) -> str:
    """Why a command failed, in one line."""
    lines = complaints.strip().splitlines()
    return lines[-1] if lines else f"exit code {code}"


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, minimum and maximum of some wall times."""
    return {"median": statistics.median(seconds), "min": min(seconds), "max": max(seconds)}


@dataclass
class _Peaks:
    """Watches the peak memory of a process and of its descendants as long as the block lasts."""

    pid: int
    _peaks: dict[int, float] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> _Peaks:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def main(self) -> float | None:
        """Of the process itself, in MB."""
        return self._peaks.get(self.pid)

    @property
    def largest_child(self) -> float | None:
        """Of the largest descendant, in MB."""
        return max((mb for pid, mb in self._peaks.items() if pid != self.pid), default=None)

    def _watch(self) -> None:
        while not self._over.wait(POLL):
            for pid in _family(self.pid):
                if (peak := _peak(pid)) is not None:
                    self._peaks[pid] = max(peak, self._peaks.get(pid, 0.0))


def _family(pid: int) -> list[int]:
    """A process and its descendants; the process alone where the kernel does not tell."""
    family = [pid]
    for member in family:  # grows on the way
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            with contextlib.suppress(OSError):  # gone meanwhile
                family += map(int, children.read_text().split())
    return family


def _peak(pid: int) -> float | None:
    """Peak resident memory in MB, if the process is there and the kernel tells."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return None  # a zombie has no memory any more
