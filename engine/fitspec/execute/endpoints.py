"""Kinds of endpoints: the built-in ones, and those of plugins.

A plugin is an installed distribution with an entry point in the group ``fitspec.executors``, named
as the kind. Its object makes an executor of an :class:`fitspec.execute.pool.Endpoint`, or is a
class of :class:`fitspec.execute.pool.Pool`, made of one.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from fitspec.config import wrong_setting
from fitspec.errors import EndpointError, FitspecError, UsageError, nearest
from fitspec.execute import pool
from fitspec.execute.local import LocalPool, available_cores
from fitspec.execute.pool import Endpoint, Habits, Pool
from fitspec.spec.endpoint import KEYS_OF_KINDS, LOCAL

GROUP = "fitspec.executors"

_POOLS = {
    "globus-compute": ("globus", "GlobusPool"),
    "parsl": ("parsl", "ParslPool"),
    "dask": ("dask", "DaskPool"),
    "mpi": ("mpi", "MpiPool"),
}
"""Module and class of the built-in kinds that bring libraries of their own."""


def known_kinds() -> tuple[str, ...]:
    """Kinds that can be used here, the built-in ones first."""
    plugins = sorted(plugin.name for plugin in entry_points(group=GROUP))
    return tuple(dict.fromkeys((*KEYS_OF_KINDS, *plugins)))


def unknown_kind(kind: str) -> str:
    """What to do about a kind that there is not."""
    kinds = known_kinds()
    return nearest(kind, (*kinds, "funcx")) or f"one of {', '.join(kinds)}, or install its plugin"


def pool_of(endpoint: Endpoint) -> Pool:
    """The pool that serves an endpoint.

    Raises:
        UsageError: its kind is unknown, or its plugin does not work.
        MissingExtraError: its library is not installed.
    """
    if endpoint.kind == LOCAL:
        return LocalPool(workers=endpoint.workers or available_cores())
    if endpoint.kind in _POOLS:
        module, name = _POOLS[endpoint.kind]
        make = getattr(importlib.import_module(f"fitspec.execute.{module}"), name)
        return cast("Pool", make(endpoint))
    return _plugged_in(endpoint)


@dataclass(frozen=True, slots=True)
class PluginPool:
    """Executors that a plugin makes.

    Attributes:
        endpoint: what they are made of.
        plugin: what to call it in messages.
        make: makes an executor, whenever one is needed.
    """

    endpoint: Endpoint
    plugin: str
    make: Callable[[Endpoint], Executor]

    @property
    def workers(self) -> int:
        """What the configuration says; a plugin that knows better is a pool itself."""
        return self.endpoint.workers or 1

    @property
    def habits(self) -> Habits:
        """Those of an endpoint of which nothing is known."""
        return Habits()

    @contextlib.contextmanager
    def open(self) -> Iterator[Executor]:
        """A new executor; it is told to shut down when the block ends, and not waited for."""
        try:
            executor = self.make(self.endpoint)
        except FitspecError:
            raise
        except Exception as error:
            raise EndpointError(f"{self.plugin}: {_brief(error)}", "") from error
        if not isinstance(executor, Executor):
            found = type(executor).__name__
            raise UsageError(f"{self.plugin} makes no executor, but {found}", "correct it")
        try:
            yield executor
        finally:
            executor.shutdown(wait=False)

    def explain(self, error: BaseException) -> FitspecError:
        """Work that was lost, unless it is an error of fitspec's own."""
        return pool.explain(error)


def _plugged_in(endpoint: Endpoint) -> Pool:
    plugin = _entry_point(endpoint)
    name = f"plugin {endpoint.kind!r} ({plugin.value})"
    try:
        made = plugin.load()
        # a class of pools, or a pool that needs no settings
        if hasattr(made, "open"):
            made = made(endpoint) if isinstance(made, type) else made
    except FitspecError:
        raise
    except Exception as error:
        raise UsageError(f"{name} does not work: {_brief(error)}", "correct it") from error
    if hasattr(made, "open"):
        missing = [part for part in ("workers", "habits", "explain") if not hasattr(made, part)]
        if missing:
            raise UsageError(f"{name} is no pool: it has no {', '.join(missing)}", "correct it")
        return cast("Pool", made)
    if not callable(made):
        raise UsageError(f"{name} makes nothing: it is {type(made).__name__}", "correct it")
    return PluginPool(endpoint, name, made)


def _entry_point(endpoint: Endpoint) -> EntryPoint:
    kind = endpoint.kind
    found = list(entry_points(group=GROUP, name=kind))
    if not found:
        problem, remedy = f"{kind!r} is no kind of endpoint", unknown_kind(kind)
        if endpoint.name == kind:
            raise UsageError(problem, remedy)
        raise wrong_setting(("endpoints", endpoint.name, "kind"), problem, remedy)
    if len({plugin.value for plugin in found}) > 1:
        values = " and ".join(sorted(plugin.value for plugin in found))
        raise UsageError(f"several plugins are called {kind!r}: {values}", "uninstall all but one")
    return found[0]


def _brief(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
