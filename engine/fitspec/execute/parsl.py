"""Parsl: processes of its HighThroughputExecutor on this machine, or what a configuration says.

A configuration is a Python file, and code: it is taken from the user's own settings alone, never
from a specification.
"""

from __future__ import annotations

import contextlib
import functools
import os
import runpy
import traceback
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import fitspec
from fitspec.errors import (
    EndpointError,
    FitspecError,
    MissingExtraError,
    TooLargeError,
    UsageError,
    WorkerLostError,
)
from fitspec.execute import pool
from fitspec.execute.local import available_cores
from fitspec.execute.pool import Endpoint, Habits

if TYPE_CHECKING:
    from parsl import Config

REMEDY = "it is a Python file that says 'config = parsl.Config(...)'"


@dataclass(frozen=True, slots=True)
class ParslPool:
    """Opens executors that Parsl runs.

    Attributes:
        endpoint: ``config`` is the file with Parsl's configuration; without one, ``workers``
            processes are started on this machine.
    """

    endpoint: Endpoint

    @property
    def workers(self) -> int:
        """As the user says, or the most that the configuration lets Parsl start; at least one."""
        if self.endpoint.workers or self.endpoint.config is None:
            return self.endpoint.workers or available_cores()
        return _known_workers(self.endpoint.config) or 1

    @property
    def habits(self) -> Habits:
        """Parsl queues chunks by itself, and one that kills its worker costs no other.

        Two for each worker keep all at work, and make Parsl ask for blocks up to its limit. Where
        nobody knows how many workers a node will have, Parsl gets all there is.
        """
        if self.endpoint.config is None:
            return Habits(seconds=5.0, max_bytes=None, compression=0)
        known = self.endpoint.workers or _known_workers(self.endpoint.config)
        return Habits(in_flight=2 if known else None, max_bytes=None)

    @contextlib.contextmanager
    def open(self) -> Iterator[Executor]:
        """An executor; what Parsl has started is gone when the block ends, or cancelled.

        Raises:
            EndpointError: Parsl cannot start.
            UsageError: the configuration is not understood.
            MissingExtraError: Parsl is not installed.
        """
        _require_parsl()
        from fitspec.execute.parsl_kernel import local_config, open_kernel

        if self.endpoint.config is None:
            config = local_config(self.workers)
        else:
            config = load(self.endpoint.config)
        with open_kernel(config) as executor:
            yield executor

    def explain(self, error: BaseException) -> FitspecError:
        """What a future's exception means."""
        names = {kind.__name__ for kind in type(error).__mro__}
        text = " ".join(str(error).split())
        if names & {"WorkerLost", "ManagerLost"}:
            return WorkerLostError(f"Parsl: {text[:1].lower()}{text[1:]}")
        if isinstance(error, ImportError | AttributeError):  # run_chunk itself lets none out
            problem = f"the workers have no fitspec that could be used: {text}"
            here = f"fitspec {fitspec.__version__}"
            return EndpointError(problem, f"install {here} where the configuration starts them")
        if names & {"BadStateException", "TooManyJobFailuresError", "VersionMismatch"}:
            return self._no_workers(str(getattr(error, "reason", text)))
        if names & {"SerializationError", "MemoryError"}:
            return TooLargeError(f"Parsl: {text or 'out of memory'}")
        return pool.explain(error)

    def _no_workers(self, reason: str) -> EndpointError:
        remedy = "" if self.endpoint.config is None else f"correct {self.endpoint.config}"
        if "does not match interchange version" in reason:
            remedy = "install the same Parsl and Python there as here"
        return EndpointError(f"Parsl gets no workers: {reason}", remedy)


@functools.cache
def _known_workers(path: Path) -> int | None:
    """Asked for often, and a configuration may take its time."""
    _require_parsl()
    from fitspec.execute.parsl_kernel import workers_of

    return workers_of(load(path))


def load(path: Path) -> Config:
    """What a Python file calls ``config``, made anew with every call: Parsl uses it once.

    Raises:
        UsageError: it cannot be read, fails, or holds no configuration.
    """
    from parsl import Config

    try:
        config = runpy.run_path(str(path)).get("config")
    except SyntaxError as error:
        raise UsageError(f"{error.filename or path}:{error.lineno}: {error.msg}", REMEDY) from error
    except OSError as error:
        if error.filename not in {str(path), os.fsencode(path)}:
            raise _failed(path, error) from error
        raise UsageError(f"{path}: {error.strerror}", REMEDY) from error
    except (Exception, SystemExit) as error:
        raise _failed(path, error) from error
    if not isinstance(config, Config):
        found = "none" if config is None else f"a {type(config).__name__}"
        raise UsageError(f"{path}: its 'config' is {found}, no parsl.Config", REMEDY)
    return config


def _failed(path: Path, error: BaseException) -> UsageError:
    """An exception of the user's code, and its last line there."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    where = f"{path}:{lines[-1]}" if lines else str(path)
    message = " ".join(f"{type(error).__name__}: {error}".split())
    return UsageError(f"{where}: {message}", "correct it")


def _require_parsl() -> None:
    try:
        import parsl  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("parsl", "parsl") from error
