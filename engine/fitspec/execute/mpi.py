"""MPI: the ranks of one job are the workers, and the first of them is the submitter.

    mpiexec -n 33 python -m mpi4py.futures -m fitspec run @1Lbb --endpoint mpi

The ranks other than the first compute, each in its main thread, so that a point which takes too
long is stopped there. A rank that dies takes the whole job with it: MPI aborts, and the same
command goes on from the result store.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

from fitspec.errors import EndpointError, FitspecError, MissingExtraError
from fitspec.execute import pool
from fitspec.execute.pool import Endpoint, Habits

LAUNCHER = "mpi4py.futures"


@dataclass(frozen=True, slots=True)
class MpiPool:
    """Opens executors on the ranks of this MPI job.

    Attributes:
        endpoint: has nothing to say; the ranks are those of ``mpiexec``.
    """

    endpoint: Endpoint

    @property
    def workers(self) -> int:
        """All ranks but the first."""
        _require_job()
        from mpi4py import MPI

        return MPI.COMM_WORLD.size - 1

    @property
    def habits(self) -> Habits:
        """A message costs less than a millisecond."""
        return Habits(seconds=1.0, at_least=0.05, max_bytes=100_000_000, compression=1)

    @contextlib.contextmanager
    def open(self) -> Iterator[Executor]:
        """An executor; what the ranks are at when the block ends, they finish.

        Raises:
            EndpointError: this is no job of several ranks.
            MissingExtraError: mpi4py is not installed.
        """
        _require_job()
        from mpi4py.futures import MPIPoolExecutor

        executor = MPIPoolExecutor()
        try:
            yield executor
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    def explain(self, error: BaseException) -> FitspecError:
        """What a future's exception means."""
        return pool.explain(error)


def _require_job() -> None:
    """Otherwise mpi4py would compute in threads here, or start processes and wait for ever."""
    if importlib.util.find_spec("mpi4py") is None:
        raise MissingExtraError("mpi4py", "mpi")
    problem = "this is no MPI job" if LAUNCHER not in sys.orig_argv else _of_one_rank()
    if problem:
        command = f"mpiexec -n 3 python -m {LAUNCHER} -m fitspec run ... --endpoint mpi"
        raise EndpointError(problem, f"run it as `{command}`")


def _of_one_rank() -> str:
    from mpi4py import MPI

    return "" if MPI.COMM_WORLD.size > 1 else "this MPI job has no rank to compute"
