"""Processes that a test has started, however far they have gone from it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest


class Marked:
    """All that is started while this is in the environment, found by it in /proc.

    Daemons have other parents, process groups and sessions; the environment they inherit.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        mark = uuid.uuid4().hex
        monkeypatch.setenv("STARTED_BY_TEST", mark)
        monkeypatch.setenv("SPT_NOENV", "1")  # or setproctitle writes over it
        self._mark = f"STARTED_BY_TEST={mark}".encode()

    def alive(self, *words: str) -> list[int]:
        """Those that live; with all these words in their command lines."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
                command = (folder / "cmdline").read_bytes().decode()
            except OSError:
                continue
            # a zombie has neither
            if self._mark in environment and all(word in command for word in words):
                found.append(int(folder.name))
        return found


def descendants(pid: int) -> list[int]:
    """Processes that a process has started, and theirs."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(status.parent.name)] = int(fields[1])
    found = [pid]
    for parent in found:
        found += [child for child, its in parents.items() if its == parent]
    return found[1:]


def is_alive(pid: int) -> bool:
    """A zombie, which nobody has waited for, is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], object], patience: float = 60.0) -> None:
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
