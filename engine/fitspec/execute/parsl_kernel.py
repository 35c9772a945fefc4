"""A Parsl kernel of our own as an executor: no global one, and it can be left without waiting.

Parsl takes much time to leave: it asks its interchange, which may be dead, and waits without end.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    InvalidStateError,
)
from pathlib import Path
from typing import Any

import zmq
from parsl import Config, DataFlowKernel
from parsl.executors import HighThroughputExecutor
from parsl.executors.high_throughput.errors import ManagerLost
from parsl.executors.status_handling import BlockProviderExecutor
from parsl.jobs.error_handlers import simple_error_handler
from parsl.jobs.errors import TooManyJobFailuresError
from parsl.jobs.states import JobState, JobStatus
from parsl.providers import LocalProvider
from parsl.utils import Timer

from fitspec.config import cache_folder, load_config
from fitspec.errors import EndpointError
from fitspec.execute.local import THREAD_VARIABLES, available_cores
from fitspec.signals import uninterrupted

PATIENCE = 20.0
"""Seconds for what was started to be stopped; a batch system may take its time to cancel jobs."""

REPLY = 5.0
"""Seconds for the interchange to answer a question; it takes milliseconds, unless it is dead."""

HEARTBEAT, MISSED = 1, 5
"""Seconds between signs of life, and without one until the other is taken for dead."""

TRIES = 3
"""Blocks on this machine that fail before any works: one may have been killed while it started."""

PARSLS_FOLDER = "runinfo"
"""Where Parsl writes unless it is told: in the working directory."""

WORKER_INIT = """\
( trap '' TERM
  while kill -0 {submitter} && kill -0 $$; do sleep 0.5; done 2> /dev/null
  kill -KILL 0 ) &
{threads}
"""
"""A block on this machine is its own process group: nothing of it outlives its script or us."""


class _HereProvider(LocalProvider):
    """Looks after processes of this machine more often than after jobs of a batch system."""

    status_polling_interval = 1


def local_config(workers: int) -> Config:
    """Worker processes on this machine, which talk over loopback alone."""
    threads = "\n".join(f'export {name}="${{{name}:-1}}"' for name in THREAD_VARIABLES)
    executor = HighThroughputExecutor(
        label="fitspec",
        address="127.0.0.1",
        max_workers_per_node=workers,
        cores_per_worker=1e-3,  # the number of workers is what counts
        heartbeat_period=HEARTBEAT,
        heartbeat_threshold=MISSED,
        block_error_handler=functools.partial(give_up_where_no_block_works, tries=TRIES),
        provider=_HereProvider(  # type: ignore[no-untyped-call]
            init_blocks=1,
            min_blocks=1,
            max_blocks=1,
            worker_init=WORKER_INIT.format(submitter=os.getpid(), threads=threads),
        ),
    )
    # neither a bin folder need be on the path, nor is the working directory one of modules
    program = "process_worker_pool.py"
    module = (
        f"{shlex.quote(sys.executable)} -P -m parsl.executors.high_throughput.process_worker_pool"
    )
    executor.launch_cmd = executor.launch_cmd.replace(program, module, 1)
    return Config(executors=[executor], strategy="simple", strategy_period=0.1, usage_tracking=0)


def workers_of(config: Config) -> int | None:
    """The most workers that a configuration starts; None where it does not say."""
    number = 0
    for executor in config.executors:
        here = _workers_of(executor)
        if here is None:
            return None
        number += here
    return number


def _workers_of(executor: Any) -> int | None:
    if not isinstance(executor, HighThroughputExecutor):
        return getattr(executor, "max_threads", None)  # of Parsl's ThreadPoolExecutor
    provider: Any = executor.provider
    says = executor.max_workers_per_node < math.inf or getattr(provider, "cores_per_node", None)
    if says:
        per_node = int(executor.workers_per_node)
    elif isinstance(provider, LocalProvider):
        per_node = max(1, int(available_cores() / executor.cores_per_worker))
    else:
        return None
    return int(provider.max_blocks * provider.nodes_per_block * per_node)


@contextlib.contextmanager
def open_kernel(config: Config) -> Iterator[Executor]:
    """Start what a configuration says, and stop it when the block ends.

    Raises:
        EndpointError: it cannot start.
    """
    with contextlib.ExitStack() as stack:
        _tame(config, stack)
        with uninterrupted():
            opened = KernelExecutor(_started(config))
            stack.callback(opened.abandon)
        yield opened


def _started(config: Config) -> DataFlowKernel:
    # what starts now inherits the mask: Ctrl-C is the submitter's
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return DataFlowKernel(config)
    except Exception as error:
        for executor in config.executors:
            with contextlib.suppress(Exception):
                executor.shutdown()
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise EndpointError(f"Parsl cannot start: {reason}", "see its configuration") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _tame(config: Config, stack: contextlib.ExitStack) -> None:
    """Retries are the runner's, and files the user's: only what is asked for is written."""
    config.retries = 0
    if config.run_dir == PARSLS_FOLDER:
        config.run_dir = stack.enter_context(_run_folder(config))
        config.initialize_logging = False
    for executor in config.executors:
        if isinstance(executor, HighThroughputExecutor):
            if list(executor.interchange_launch_cmd) == ["interchange.py"]:
                program = Path(__file__).with_name("parsl_interchange.py")
                submitter = str(os.getpid())
                executor.interchange_launch_cmd = [sys.executable, "-P", str(program), submitter]
            if executor.block_error_handler is simple_error_handler:
                executor.block_error_handler = give_up_where_no_block_works


def _run_folder(config: Config) -> tempfile.TemporaryDirectory[str]:
    """Workers read keys from it: on another machine, they see the home directory at best."""
    providers = [getattr(executor, "provider", None) for executor in config.executors]
    here = all(provider is None or isinstance(provider, LocalProvider) for provider in providers)
    parent = None if here else cache_folder(load_config()) / "parsl"
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(
        prefix="fitspec-parsl-", dir=parent, ignore_cleanup_errors=True
    )


def give_up_where_no_block_works(
    executor: Any, status: dict[str, JobStatus], tries: int = 1
) -> None:
    """Parsl's own handler also gives up when its only block fails that has worked for hours.

    Args:
        executor: a HighThroughputExecutor.
        status: of all its blocks.
        tries: so many blocks must have failed.
    """
    failed = [s for s in status.values() if s.state in (JobState.FAILED, JobState.MISSING)]
    enough = max(len(status), executor.provider.init_blocks, tries)
    if executor.bad_state_is_set or len(failed) < enough or executor.connected_blocks():
        return
    reasons = dict.fromkeys(map(_reason, failed))
    executor.set_bad_state_and_fail_all(TooManyJobFailuresError("; ".join(reasons)))


def _reason(status: JobStatus) -> str:
    """Why a block does not work: the last words of whoever knows best."""
    of_commands = (status.message or "").partition("stderr=")[2]
    said = status.stderr_summary or of_commands or status.message or str(status.state)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return " ".join(lines[-3:])


class KernelExecutor(Executor):
    """Runs functions on the executors of a kernel; breaks when an interchange dies."""

    def __init__(self, kernel: DataFlowKernel) -> None:
        self._kernel = kernel
        self._htexes = [
            executor
            for executor in kernel.executors.values()
            if isinstance(executor, HighThroughputExecutor)
        ]
        for htex in self._htexes:
            _never_wait_for_the_dead(htex)
        self._open: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._broken = False
        self._closed = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """A future of ``fn(*args, **kwargs)`` on a worker.

        Raises:
            BrokenExecutor: an interchange is dead.
            RuntimeError: this executor is closed.
        """
        future: Future[Any] = Future()
        with self._lock:
            if self._broken:
                raise BrokenExecutor("Parsl's interchange died")
            if self._closed.is_set():
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._open.add(future)
        inner = self._kernel.submit(
            fn,
            app_args=args,
            executors="all",
            cache=False,
            ignore_for_cache=None,
            app_kwargs=kwargs,
        )
        inner.add_done_callback(functools.partial(self._settle, future))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work; wait for what is in flight, unless it is to be cancelled."""
        with self._lock:
            self._closed.set()
            left = list(self._open)
        for future in left:
            if cancel_futures:
                future.cancel()
            elif wait:
                with contextlib.suppress(Exception, CancelledError):
                    future.exception()

    def abandon(self) -> None:
        """Stop everything that the kernel has started, whatever it is doing."""
        self.shutdown(wait=False, cancel_futures=True)
        stopping = threading.Thread(target=self._stop, daemon=True)
        stopping.start()
        stopping.join(PATIENCE)

    def _settle(self, future: Future[Any], inner: Future[Any]) -> None:
        with self._lock:
            self._open.discard(future)
        with contextlib.suppress(InvalidStateError):  # cancelled, or broken
            if (error := inner.exception()) is None:
                future.set_result(inner.result())
            else:
                future.set_exception(error)
        if isinstance(inner.exception(), ManagerLost):
            self._ask_for_blocks()

    def _ask_for_blocks(self) -> None:
        """A block seems to be gone: Parsl would ask its batch system within a minute only."""
        for htex in self._htexes:
            htex._last_poll_time = 0.0

    def _watch(self) -> None:
        """Parsl itself would wait for ever for the answers of a dead interchange."""
        while not any(map(_has_died, self._htexes)):
            if self._closed.wait(0.2):
                return
        self._closed.wait(0.2)
        if any(htex.bad_state_is_set for htex in self._htexes):
            return  # its last words said why, and all futures have them
        with self._lock:
            self._broken = True
            lost = list(self._open)
            self._open.clear()
        for future in lost:
            with contextlib.suppress(InvalidStateError):
                future.set_exception(BrokenExecutor("Parsl's interchange died"))

    def _stop(self) -> None:
        poller = self._kernel.job_status_poller
        Timer.close(poller)  # no more blocks; the poller's own close() asks the interchange
        # a socket that is closed while a task is sent through it aborts this process
        self._kernel._task_launch_pool.shutdown(cancel_futures=True)
        for executor in self._kernel.executors.values():
            if isinstance(executor, BlockProviderExecutor):
                with contextlib.suppress(Exception):
                    _cancel_blocks(executor)
                with contextlib.suppress(Exception):
                    # so that Parsl does not do it again
                    executor.set_bad_state_and_fail_all(EndpointError("given up"))
        with contextlib.suppress(Exception):
            self._kernel.cleanup()


def _cancel_blocks(executor: BlockProviderExecutor) -> None:
    status = executor.status_facade
    jobs = [
        job
        for block, job in executor.blocks_to_job_id.items()
        if block not in status or not status[block].terminal
    ]
    if jobs and executor.provider is not None:
        executor.provider.cancel(jobs)


def _has_died(htex: HighThroughputExecutor) -> bool:
    return htex.interchange_proc is None or htex.interchange_proc.poll() is not None


def _never_wait_for_the_dead(htex: HighThroughputExecutor) -> None:
    """An interchange that is gone neither takes tasks nor answers; Parsl would wait for it."""
    client: Any = htex.command_client
    client.run = functools.partial(client.run, timeout_s=REPLY)
    htex.outgoing_q.zmq_socket.setsockopt(zmq.SNDTIMEO, int(1000 * REPLY))
    htex.outgoing_q.zmq_socket.setsockopt(zmq.LINGER, 0)
