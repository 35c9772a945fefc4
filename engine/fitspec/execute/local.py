"""Worker processes on this machine."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any

from fitspec.errors import FitspecError
from fitspec.execute.pool import Habits, explain
from fitspec.signals import uninterrupted

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""The matrices are small: one thread a worker is fastest, and workers do not fight for cores. What
the user sets wins."""


PATIENCE = 5.0
"""Seconds for a worker to end when it is told to."""

PRELOADED = ["fitspec.worker", "fitspec.inference.backends.native", "scipy.special"]
"""What workers are forked with, so that no worker imports it again."""


def prepare() -> None:
    """Start the process that workers are forked from: it imports what they need meanwhile."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update({name: "1" if value is None else value for name, value in before.items()})
    resource_tracker.ensure_running()  # the server would start it, and undo the mask
    # the server inherits the mask: a Ctrl-C while it imports is no traceback of its own
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for name, value in before.items():
            if value is None:
                del os.environ[name]


@dataclass(frozen=True, slots=True)
class LocalPool:
    """Opens executors of local processes.

    Attributes:
        workers: number of processes.
    """

    workers: int

    @property
    def habits(self) -> Habits:
        """A chunk costs a millisecond to send, and is lost as a whole with its worker."""
        return Habits(seconds=0.2, at_least=0.0, max_bytes=None, compression=0, isolate=True)

    def explain(self, error: BaseException) -> FitspecError:
        """What a future's exception means."""
        return explain(error)

    @contextlib.contextmanager
    def open(self) -> Iterator[Executor]:
        """An executor whose processes are gone when the block ends, whatever they were doing."""
        prepare()
        context = multiprocessing.get_context("forkserver")
        threads = {name: os.environ.get(name, "1") for name in THREAD_VARIABLES}
        pool = _Processes(
            self.workers,
            mp_context=context,
            initializer=_start,
            initargs=(threads, gc.get_threshold()),
        )
        try:
            yield pool
        finally:
            _stop(pool)


class _Processes(ProcessPoolExecutor):
    """A pool that knows all of its processes, so that it can end them."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As any executor's; a process that it starts is waited for, and not left to itself."""
        with uninterrupted():
            return super().submit(fn, *args, **kwargs)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(threads: dict[str, str], garbage: tuple[int, int, int]) -> None:
    """In a worker: leave Ctrl-C to the submitter, and do not outlive it."""
    os.environ.update(threads)  # the fork server may have started in another environment
    gc.set_threshold(*garbage)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _stop(pool: ProcessPoolExecutor) -> None:
    # what ProcessPoolExecutor.terminate_workers does from Python 3.14 on
    processes = list((getattr(pool, "_processes", None) or {}).values())
    manager = getattr(pool, "_executor_manager_thread", None)
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(PATIENCE)
        process.kill()  # does nothing to one that is gone
    if manager is not None:
        # Python wakes it at exit, and before 3.13 fails where it is just closing what wakes it
        manager.join(PATIENCE)
