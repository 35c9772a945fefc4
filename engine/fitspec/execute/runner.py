"""Runs fit tasks on an executor, and survives what can happen to it.

A worker that dies takes the whole pool of processes with it, and nobody can say which of the
points in flight was to blame. So every point that was in flight is run again alone in a pool of its
own: the culprit kills only itself and becomes an error, the others give their numbers.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass
from typing import Any

from fitspec.errors import FitspecError
from fitspec.execute.chunks import Chunk, make_chunks
from fitspec.execute.local import LocalPool
from fitspec.execute.store import ResultStore
from fitspec.outcome import Outcome
from fitspec.plan import FitTask
from fitspec.worker import run_chunk

IN_FLIGHT = 2
"""Chunks submitted per worker: one at work, one waiting, so that few are suspects in a crash."""

CHUNK_SIZE = 4
"""Sending a chunk costs about a millisecond, a quick task ten."""

Answer = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Computed:
    """The outcome of one fit task.

    Attributes:
        key: of the task.
        outcome: numbers, or why there are none.
        cached: it came from the store.
        warning: the result store could not keep it, and why.
    """

    key: str
    outcome: Outcome
    cached: bool = False
    warning: str | None = None


def run_fits(
    tasks: Iterable[FitTask], pool: LocalPool, store: ResultStore, chunk_size: int = CHUNK_SIZE
) -> Generator[Computed]:
    """Outcomes of fit tasks as they become known: stored ones first, then computed ones.

    Closing the iterator stops the workers. Every outcome is in the store before it is yielded.

    Args:
        tasks: what to compute.
        pool: where.
        store: where outcomes are looked up and kept.
        chunk_size: quick tasks a worker gets at once; a crash or an interrupt costs them all.
    """
    missing = []
    for task in tasks:
        stored = store.get(task.key)
        if stored is None:
            missing.append(task)
        else:
            yield Computed(task.key, stored, cached=True)
    for key, outcome in _compute(make_chunks(missing, chunk_size), pool):
        try:
            store.put(key, outcome)
            warning = None
        except OSError as error:
            reason = error.strerror or str(error)  # without the file's name, which differs by key
            warning = f"the result store cannot be written: {reason}: {store.folder}"
        yield Computed(key, outcome, warning=warning)


def _compute(chunks: list[Chunk], pool: LocalPool) -> Iterator[tuple[str, Outcome]]:
    waiting = deque(chunks)
    while waiting:
        in_flight: dict[Future[Answer], Chunk] = {}
        with pool.open() as executor, contextlib.suppress(BrokenExecutor):
            yield from _drain(executor, waiting, in_flight, pool.workers * IN_FLIGHT)
        for future, chunk in in_flight.items():
            if future.done() and future.exception() is None:
                yield from _outcomes(future, chunk)
            else:
                for suspect in chunk.singles():
                    yield from _run_alone(suspect)


def _drain(
    executor: Executor, waiting: deque[Chunk], in_flight: dict[Future[Answer], Chunk], limit: int
) -> Iterator[tuple[str, Outcome]]:
    """Work through the queue; on a crash, ``in_flight`` is left with the suspects."""
    while waiting or in_flight:
        while waiting and len(in_flight) < limit:
            in_flight[executor.submit(run_chunk, waiting[0].payload())] = waiting[0]
            waiting.popleft()
        done, _ = wait(in_flight, return_when=FIRST_COMPLETED)
        in_order = [future for future in in_flight if future in done]
        for future in sorted(in_order, key=lambda f: isinstance(f.exception(), BrokenExecutor)):
            outcomes = _outcomes(future, in_flight[future])
            del in_flight[future]
            yield from outcomes


def _outcomes(future: Future[Answer], chunk: Chunk) -> list[tuple[str, Outcome]]:
    try:
        answers = [Outcome.from_dict(answer) for answer in future.result()]
    except FitspecError as error:  # the chunk as a whole was refused
        answers = [Outcome.failed(f"{type(error).__name__}: {error}")] * len(chunk.tasks)
    return [(task.key, answer) for task, answer in zip(chunk.tasks, answers, strict=True)]


def _run_alone(chunk: Chunk) -> list[tuple[str, Outcome]]:
    with LocalPool(workers=1).open() as executor:
        future = executor.submit(run_chunk, chunk.payload())
        try:
            return _outcomes(future, chunk)
        except BrokenExecutor:
            reason = (
                "ExecutionError: the worker died while computing this point (killed, or crashed)"
            )
            return [(task.key, Outcome.failed(reason)) for task in chunk.tasks]
