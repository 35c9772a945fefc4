"""Dask: the scheduler at an address, or a cluster of our own on this machine.

What comes back from a Dask cluster is unpickled here, and an unpickled stranger may do anything. So
an address is taken from the user's own configuration alone, never from a specification; and our own
cluster, whose ports everyone on this machine can reach, talks only to those who have its keys, made
anew each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

from fitspec.errors import EndpointError, FitspecError, MissingExtraError, WorkerLostError, counted
from fitspec.execute import pool
from fitspec.execute.local import available_cores
from fitspec.execute.pool import Endpoint, Habits
from fitspec.signals import uninterrupted

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

CONNECT = 10.0
"""Seconds in which a scheduler answers, or is given up."""

CLOSE = 5.0
"""Seconds for parting; a scheduler that is gone does not answer."""

CENSUS = 2.0
"""Seconds between two looks at how many workers there are: clusters grow and shrink."""

NOT_REACHED = "is it running, and is this its address?"
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
        """A chunk that waits behind another on its worker would die with it, and none does.

        Our own workers are soon back: the chunks in flight can be tried one by one.
        """
        if self.endpoint.address is not None:
            return Habits(in_flight=1)
        return Habits(seconds=1.0, at_least=0.1, in_flight=1, compression=1, isolate=True)

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
                _await_worker(client, self._census[-1], self.endpoint.queue)
            yield _DaskExecutor(client, breaks=address is None)

    def explain(self, error: BaseException) -> FitspecError:
        """What a future's exception means; what has no fitspec can do nothing for us."""
        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            died = counted(error.allowed_failures + 1, "worker")
            return WorkerLostError(f"{died} died while computing this point (killed, or crashed)")
        cause = error.__cause__ or error
        if isinstance(cause, ImportError) and (cause.name or "").partition(".")[0] == "fitspec":
            return EndpointError(f"the Dask cluster cannot take work: {cause}", NOT_THERE)
        return pool.explain(error)


class _DaskExecutor(Executor):
    """Like Dask's own, but a future whose scheduler is gone says so, instead of being cancelled.

    Args:
        client: is connected.
        breaks: when a worker dies, as a pool of processes does.
    """

    def __init__(self, client: Client, *, breaks: bool) -> None:
        self._client = client
        self._breaks = breaks

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have it called by a worker; raises BrokenExecutor where the scheduler is gone."""
        if self._client.status != "running":
            raise BrokenExecutor("the connection to the Dask scheduler was lost")
        # pure: a chunk that is sent again would be given the answer, or the error, of before
        theirs = self._client.submit(fn, *args, pure=False, **kwargs)
        ours: Future[Any] = Future()
        loop: Any = self._client.loop
        loop.add_callback(self._pass_on, theirs, ours)
        return ours

    async def _pass_on(self, theirs: Any, ours: Future[Any]) -> None:
        """In the client's thread: what has become of Dask's future becomes of ours."""
        from distributed import KilledWorker

        try:
            answer = await theirs
        except (CancelledError, asyncio.CancelledError) as error:
            ours.set_exception(BrokenExecutor(f"the Dask scheduler has dropped the work: {error}"))
        except KilledWorker as error:
            ours.set_exception(BrokenExecutor("a Dask worker died") if self._breaks else error)
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


def _await_worker(client: Client, census: _Census, queue: float) -> None:
    """Until a worker says that it has fitspec; one that has not dies of the first chunk.

    Work also makes adaptive clusters grow. Workers that are all busy are believed.
    """
    asked = client.submit(importlib.util.find_spec, "fitspec", pure=False)
    start = time.monotonic()
    while not asked.done():
        if client.status != "running":
            raise EndpointError("the connection to the Dask scheduler was lost", NOT_REACHED)
        waited = time.monotonic() - start
        if waited > CONNECT and census.threads():
            return
        if waited > CONNECT + queue:
            problem = f"no worker has come to the Dask scheduler within {waited:.0f} s"
            raise EndpointError(problem, "start workers, or wait longer: `queue` of the endpoint")
        time.sleep(0.01)
    if asked.result(timeout=CONNECT) is None:
        raise EndpointError("the workers of the Dask cluster have no fitspec", NOT_THERE)


@contextlib.contextmanager
def _client(target: str | LocalCluster, where: str) -> Iterator[Client]:
    try:
        with warnings.catch_warnings():
            # of other versions of this and that; those which matter are in every answer
            warnings.simplefilter("ignore")
            client = _in_time(lambda: _connected(target, timeout=CONNECT))
    except Exception as error:
        reason = str(error) or "it does not answer"
        problem = " ".join(f"no Dask scheduler {where}: {reason}".split())
        raise EndpointError(problem, NOT_REACHED) from error
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            client.close(timeout=CLOSE)


def _connected(target: str | LocalCluster, **options: Any) -> Client:
    """A client; one that cannot connect is closed at once.

    The garbage collector would close it, too, but may come while the next one starts, and then
    wait for ever for a lock that the start holds.
    """
    from distributed import Client

    client = Client.__new__(Client)
    try:
        client.__init__(target, set_as_default=False, **options)  # type: ignore[misc]
    except BaseException:
        with contextlib.suppress(Exception):
            client.close(timeout=CLOSE)
        raise
    return client


def _in_time(connect: Callable[[], Client]) -> Client:
    """Dask itself waits for ever for one who accepts the connection and says nothing."""
    connected: Future[Client] = Future()

    def run() -> None:
        try:
            connected.set_result(connect())
        except BaseException as error:
            connected.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return connected.result(timeout=2 * CONNECT)


@contextlib.contextmanager
def _cluster(workers: int) -> Iterator[LocalCluster]:
    """Processes of one thread; their files and what Dask puts into our environment go, too."""
    with (
        _environment_kept(),
        tempfile.TemporaryDirectory(prefix="fitspec-dask-", ignore_cleanup_errors=True) as scratch,
        contextlib.ExitStack() as stack,
    ):
        with _without_interrupts():
            cluster = _start(workers, scratch)
            stack.callback(_stop, cluster)
        yield cluster


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Signals wait for the end of the block; threads and processes it starts never see a Ctrl-C."""
    with uninterrupted():
        resource_tracker.ensure_running()  # the first process would start it, and undo the mask
        # for those that inherit it: a thread without may take the signal for this one
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _start(workers: int, scratch: str) -> LocalCluster:
    import dask
    from distributed import LocalCluster
    from distributed.security import Security

    settings: dict[str, Any] = {
        # giving memory back at once costs fits a third of their time
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
        "temporary-directory": scratch,
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
        "distributed.worker.profile.enabled": False,
    }
    try:
        with dask.config.set(settings):
            return LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=0,
                security=Security.temporary(),
                scheduler_kwargs={"allowed_failures": 0},  # who is to blame is found out by us
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
            )
    except Exception as error:
        problem = " ".join(f"no Dask cluster starts on this machine: {error}".split())
        raise EndpointError(problem) from error


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

    own = ["PYTHONHASHSEED", "__DASK_PARENT_PID"]
    names = [*dask.config.get("distributed.nanny.pre-spawn-environ"), *own]
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
