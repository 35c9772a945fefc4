"""Local worker processes: what they find when they start, and that they are gone at the end."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor

import pytest
from processes import is_alive

from fitspec.execute.local import THREAD_VARIABLES, LocalPool, available_cores


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with LocalPool(workers=1).open() as executor:
        yield executor


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


def test_a_worker_collects_garbage_as_rarely_as_its_submitter():
    before = gc.get_threshold()
    gc.set_threshold(12_345, 6, 7)
    try:
        with LocalPool(workers=1).open() as executor:
            threshold = executor.submit(gc.get_threshold).result()
    finally:
        gc.set_threshold(*before)

    assert threshold[:2] == (12_345, 6)


PREPARED = """\
import json, os
from pathlib import Path
from fitspec.execute.local import THREAD_VARIABLES, LocalPool, prepare

before = dict(os.environ)
prepare()
prepare()
unchanged = dict(os.environ) == before
with LocalPool(workers=1).open() as executor:
    forked_from = executor.submit(os.getppid).result()
    loaded = executor.submit(eval, "sorted(__import__('sys').modules)").result()
environment = Path(f"/proc/{forked_from}/environ").read_bytes().decode().split("\\0")
print(json.dumps({
    "unchanged": unchanged,
    "threads": [line for line in environment if line.split("=")[0] in THREAD_VARIABLES],
    "loaded": [name for name in ("fitspec.worker", "numpy", "pyhf") if name in loaded],
}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("own", [None, "3"], ids=["nothing set", "set by the user"])
def test_what_workers_are_forked_from_has_its_libraries_and_one_thread(own):
    environment = {k: v for k, v in os.environ.items() if k not in THREAD_VARIABLES}
    environment |= {} if own is None else {THREAD_VARIABLES[0]: own}

    done = subprocess.run(
        [sys.executable, "-c", PREPARED], capture_output=True, text=True, env=environment
    )

    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["unchanged"]
    assert found["loaded"] == ["fitspec.worker", "numpy"]
    assert sorted(found["threads"]) == sorted(
        f"{name}={own or 1 if name == THREAD_VARIABLES[0] else 1}" for name in THREAD_VARIABLES
    )


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
