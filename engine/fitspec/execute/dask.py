"""Dask: the scheduler at an address, or a cluster of our own on this machine.

What comes back from a Dask cluster is unpickled here, and an unpickled stranger may do anything. So
an address is taken from the user's own configuration alone, never from a specification; and our own
cluster, whose ports everyone on this machine can reach, talks only to those who have its keys, made
anew each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

from fitspec.errors import EndpointError, FitspecError, MissingExtraError, WorkerLostError
from fitspec.execute import pool
from fitspec.execute.local import available_cores
from fitspec.execute.pool import Endpoint, Habits

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

CONNECT = 10.0
"""Seconds in which a scheduler answers, or is given up."""

CLOSE = 5.0
"""Seconds for parting; a scheduler that is gone does not answer."""

CENSUS = 2.0
"""Seconds between two looks at how many workers there are: clusters grow and shrink."""

NOT_THERE = "install the same fitspec for the cluster's scheduler and for its workers"


@dataclass(frozen=True, slots=True)
class DaskPool:
    """Opens executors on a Dask cluster.

    A worker computes in a thread of its own, where no alarm reaches a point that takes too long.
    Such a point is given up here: the workers of our own cluster are then killed, while at an
    address the thread stays busy until the point is done.

    Attributes:
        endpoint: ``address`` is the scheduler's, ``tcp://`` or ``tls://`` (with the certificates of
            Dask's own configuration); without one, processes on this machine are started.
    """

    endpoint: Endpoint
    _census: list[_Census] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def workers(self) -> int:
        """What the endpoint says; else the cluster's threads, or a process for every core."""
        if self.endpoint.workers is not None:
            return self.endpoint.workers
        if self.endpoint.address is None:
            return available_cores()
        return max(1, self._census[-1].threads()) if self._census else 1

    @property
    def habits(self) -> Habits:
        """A task costs milliseconds, so that the chunks of our own cluster may be short."""
        return Habits() if self.endpoint.address else Habits(seconds=1.0, compression=1)

    @contextlib.contextmanager
    def open(self) -> Iterator[Executor]:
        """An executor; our own workers are gone when the block ends, whatever they were doing.

        Raises:
            EndpointError: no scheduler answers there, or it gets no workers.
            MissingExtraError: ``distributed`` is not installed.
        """
        with _quiet(), contextlib.ExitStack() as stack:
            address = self.endpoint.address
            if address is None:
                cluster = stack.enter_context(_cluster(self.workers))
                client = stack.enter_context(_client(cluster, "started here"))
            else:
                client = stack.enter_context(_client(address, f"at {address}"))
                self._census.append(_Census(client))
                stack.callback(self._census.pop)
                _await_worker(client, self._census[-1], CONNECT + self.endpoint.queue)
            yield _DaskExecutor(client)

    def explain(self, error: BaseException) -> FitspecError:
        """What a future's exception means; what has no fitspec can do nothing for us."""
        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            died = error.allowed_failures + 1
            those = "its worker" if died == 1 else f"{died} workers, one after the other,"
            return WorkerLostError(f"{those} died while computing this point (killed, or crashed)")
        cause = error.__cause__ or error
        if isinstance(cause, ImportError) and (cause.name or "").partition(".")[0] == "fitspec":
            return EndpointError(f"the Dask cluster cannot take work: {cause}", NOT_THERE)
        return pool.explain(error)


class _DaskExecutor(Executor):
    """Like Dask's own, but a future whose scheduler is gone says so, instead of being cancelled."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have it called by a worker; raises BrokenExecutor where the scheduler is gone."""
        if self._client.status != "running":
            raise BrokenExecutor("the connection to the Dask scheduler was lost")
        # pure: a chunk that is sent again would be given the answer, or the error, of before
        theirs = self._client.submit(fn, *args, pure=False, **kwargs)
        ours: Future[Any] = Future()
        loop: Any = self._client.loop
        loop.add_callback(_pass_on, theirs, ours)
        return ours


async def _pass_on(theirs: Any, ours: Future[Any]) -> None:
    """In the client's thread: what has become of Dask's future becomes of ours."""
    try:
        answer = await theirs
    except (CancelledError, asyncio.CancelledError) as error:
        ours.set_exception(BrokenExecutor(f"the Dask scheduler has dropped the work: {error}"))
    except BaseException as error:
        ours.set_exception(error)
    else:
        ours.set_result(answer)


class _Census:
    """The number of threads that compute, as of late."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._number, self._next = 0, 0.0

    def threads(self) -> int:
        if time.monotonic() >= self._next:
            with contextlib.suppress(Exception):  # a scheduler that is gone has had so many
                scheduler: Any = self._client.scheduler
                found = self._client.sync(scheduler.ncores, callback_timeout=CENSUS)
                self._number = sum(found.values())
            self._next = time.monotonic() + (CENSUS if self._number else 0.1)
        return self._number


def _await_worker(client: Client, census: _Census, seconds: float) -> None:
    if census.threads():
        return
    end = time.monotonic() + seconds
    work = client.submit(len, (), pure=False)  # adaptive clusters grow where there is work
    while not census.threads():
        if time.monotonic() > end:
            problem = f"no worker has come to the Dask scheduler within {seconds:.0f} s"
            raise EndpointError(problem, "start workers, or wait longer: `queue` of the endpoint")
        time.sleep(0.1)
    work.release()


@contextlib.contextmanager
def _client(target: str | LocalCluster, where: str) -> Iterator[Client]:
    from distributed import Client

    try:
        with warnings.catch_warnings():
            # of other versions of this and that; those which matter are in every answer
            warnings.simplefilter("ignore")
            client = Client(target, timeout=CONNECT, set_as_default=False)
    except Exception as error:
        problem = " ".join(f"no Dask scheduler {where}: {error}".split())
        raise EndpointError(problem, "is it running, and is this its address?") from error
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            client.close(timeout=CLOSE)


@contextlib.contextmanager
def _cluster(workers: int) -> Iterator[LocalCluster]:
    """Processes of one thread; their files and what Dask puts into our environment go, too."""
    with (
        _environment_kept(),
        tempfile.TemporaryDirectory(prefix="fitspec-dask-", ignore_cleanup_errors=True) as scratch,
    ):
        cluster = _start(workers, scratch)
        try:
            yield cluster
        finally:
            _stop(cluster)


def _start(workers: int, scratch: str) -> LocalCluster:
    import dask
    from distributed import LocalCluster
    from distributed.security import Security

    settings = {
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
        "distributed.worker.profile.enabled": False,
    }
    resource_tracker.ensure_running()  # the first process would start it, and undo the mask
    # threads and processes inherit the mask: Ctrl-C is the submitter's
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with dask.config.set(settings):
            return LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=0,
                local_directory=scratch,
                security=Security.temporary(),
                scheduler_kwargs={"allowed_failures": 0},  # who is to blame is found out by us
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
            )
    except Exception as error:
        problem = " ".join(f"no Dask cluster starts on this machine: {error}".split())
        raise EndpointError(problem) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _stop(cluster: LocalCluster) -> None:
    for nanny in cluster.workers.values():
        nanny.close_gracefully()  # and do not start another worker
        if (pid := nanny.pid) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(Exception):
        cluster.close(timeout=CLOSE)


@contextlib.contextmanager
def _environment_kept() -> Iterator[None]:
    """Nannies set their workers' variables in their own process, which is ours."""
    import dask

    names = [*dask.config.get("distributed.nanny.pre-spawn-environ"), "PYTHONHASHSEED"]
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Dask tells the terminal of every worker it loses; the report says what matters."""
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("distributed", "dask") from error
    handlers = [h for h in logging.getLogger("distributed").handlers if _to_terminal(h)]
    levels = [handler.level for handler in handlers]
    for handler in handlers:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for handler, level in zip(handlers, levels, strict=True):
            handler.setLevel(level)


def _to_terminal(handler: logging.Handler) -> bool:
    return type(handler) is logging.StreamHandler
