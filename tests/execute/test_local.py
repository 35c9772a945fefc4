"""Local worker processes: what they find when they start, and that they are gone at the end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path

import pytest

from fitspec.execute.local import THREAD_VARIABLES, LocalPool, available_cores


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with LocalPool(workers=1).open() as executor:
        yield executor


def is_alive(pid: int) -> bool:
    """A zombie that nobody has waited for counts as dead."""
    status = Path(f"/proc/{pid}/stat")
    if Path("/proc/self").exists():
        return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_worker_is_another_process(executor):
    assert executor.submit(os.getpid).result() != os.getpid()


def test_a_worker_ignores_ctrl_c(executor):
    pid = executor.submit(os.getpid).result()

    os.kill(pid, signal.SIGINT)

    assert executor.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN
    assert executor.submit(os.getpid).result() == pid


def test_a_worker_may_be_terminated(executor):
    assert executor.submit(signal.getsignal, signal.SIGTERM).result() == signal.SIG_DFL


@pytest.mark.parametrize("name", THREAD_VARIABLES)
def test_a_worker_computes_with_one_thread_and_only_a_worker(monkeypatch, name):
    monkeypatch.delenv(name, raising=False)

    with LocalPool(workers=1).open() as executor:
        assert executor.submit(os.getenv, name).result() == "1"
        assert name not in os.environ


def test_the_users_own_setting_wins(monkeypatch):
    name = THREAD_VARIABLES[0]
    monkeypatch.setenv(name, "3")

    with LocalPool(workers=1).open() as executor:
        assert executor.submit(os.getenv, name).result() == "3"

    assert os.environ[name] == "3"


def test_workers_are_gone_after_the_block_though_they_are_busy():
    with LocalPool(workers=2).open() as executor:
        pids = {executor.submit(os.getpid).result()}
        busy = [executor.submit(time.sleep, 60) for _ in range(4)]
        pids |= set(executor._processes)
        assert len(pids) == 2
        assert all(is_alive(pid) for pid in pids)
        start = time.monotonic()

    assert time.monotonic() - start < 10
    assert not any(is_alive(pid) for pid in pids)
    assert not any(future.done() and not future.cancelled() and future.exception() is None
                   for future in busy)  # fmt: skip


def test_workers_are_gone_after_an_error_in_the_block():
    pids = []

    def fail() -> None:
        with LocalPool(workers=1).open() as executor:
            pids.append(executor.submit(os.getpid).result())
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()

    assert not is_alive(pids[0])


def test_there_is_at_least_one_core():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
