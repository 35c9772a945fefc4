"""The one seam of all endpoints: what the runner knows of a place where fits run."""

from __future__ import annotations

from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fitspec.errors import FitspecError, WorkerLostError


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where fits run, as specification, configuration and command line say together.

    Attributes:
        kind: local, globus-compute, parsl, dask, mpi, or a plugin's.
        name: of the user's configuration; else the kind.
        workers: how many chunks can be at work at a time; None: as the kind sees fit.
        id: UUID of a Globus Compute endpoint.
        address: of a Dask scheduler.
        config: Python file with a Parsl configuration; from the user's configuration only.
        deadline: seconds a point may take; None: by what is asked.
        queue: seconds until the first answer may come, on top.
        options: what else the user's configuration says, for plugins.
    """

    kind: str
    name: str
    workers: int | None = None
    id: str | None = None
    address: str | None = None
    config: Path | None = None
    deadline: float | None = None
    queue: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """``river (globus-compute)``, or the kind alone."""
        return self.kind if self.name == self.kind else f"{self.name} ({self.kind})"

    @property
    def place(self) -> str:
        """What says where it is: UUID, address or file; empty where the kind says it all."""
        return str(self.id or self.address or self.config or "")


@dataclass(frozen=True, slots=True)
class Habits:
    """How an endpoint is best served.

    Attributes:
        seconds: of work that a chunk should hold.
        in_flight: chunks submitted per worker at a time; None: all at once.
        at_least: seconds, also where fewer would share the rest among all workers.
        pause: seconds before work is sent again to an endpoint that was away.
        max_bytes: of a payload or an answer; None: no limit worth minding.
        compression: zlib's level for what is sent; 0 where it goes nowhere.
        isolate: a chunk that kills its worker breaks the executor for all others, too, so that
            those in flight must be tried one by one.
    """

    seconds: float = 10.0
    at_least: float = 0.5
    pause: float = 0.0
    in_flight: int | None = 2
    max_bytes: int | None = 4_000_000
    compression: int = 1
    isolate: bool = False


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is under way.

    Attributes:
        waiting: points not submitted yet.
        in_flight: chunks submitted and not answered.
        workers: how many have answered.
        resent: chunks that did not come back and were sent again.
    """

    waiting: int
    in_flight: int
    workers: int
    resent: int


class Pool(Protocol):
    """Opens executors on an endpoint."""

    @property
    def workers(self) -> int:
        """Chunks that can be at work at a time, as far as is known."""

    @property
    def habits(self) -> Habits:
        """How it is best served."""

    def open(self) -> AbstractContextManager[Executor]:
        """An executor; leaving the block abandons what is still in flight, without waiting for it.

        Raises:
            EndpointError: there is no way to get work done there.
        """

    def explain(self, error: BaseException) -> FitspecError:
        """What a future's exception means.

        Returns:
            WorkerLostError: send the chunk again, halved. TooLargeError: send it halved.
            EndpointAwayError: send it again as it is, after a pause.
            EndpointError: give the endpoint up. Any other: the chunk's own error, for good.
            (``BrokenExecutor`` is never asked about: the executor is opened anew.)
        """


def explain(error: BaseException) -> FitspecError:
    """What an exception means where nothing is known of the executor: work that was lost."""
    if isinstance(error, FitspecError):
        return error
    message = " ".join(f"{type(error).__name__}: {error}".split())
    return WorkerLostError(f"the answer was lost: {message}")
