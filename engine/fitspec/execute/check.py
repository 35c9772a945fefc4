"""Is an endpoint of use? Chunks without a point go there and back before any work does."""

from __future__ import annotations

import os
import re
import statistics
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, BrokenExecutor, Executor, wait
from dataclasses import dataclass
from typing import Any

from fitspec import versions
from fitspec.errors import EndpointError, ExecutionError
from fitspec.execute.answers import require_same_program
from fitspec.execute.pool import Pool
from fitspec.worker import Payload, pack, payload, run_chunk

TRIPS = 5
"""Chunks one after the other, for the round trip."""

CROWDS = (4, 16, 64)
"""Chunks at once, for the throughput: the more, the less their way counts."""

ENOUGH = 1.0
"""Seconds of a measurement after which no larger one is needed."""

LOAD = 1_000_000
"""Bytes of text of the large chunk."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the check: what was looked at, and what was seen."""

    name: str
    text: str


def check_endpoint(pool: Pool, timeout: float) -> Iterator[Finding]:
    """Findings as they are made, from versions to throughput.

    Args:
        pool: of the endpoint.
        timeout: seconds that an answer may take.

    Raises:
        EndpointError: no answer comes.
        ExecutionError: the answer is another program's; the versions of both sides are out by then.
    """
    yield Finding("here", _told(versions.of_program(), versions.of_libraries()))
    start = time.perf_counter()
    with pool.open() as executor:
        probe = _Probe(pool, executor, timeout)
        [answer] = probe.send(payload(b"{}", []))
        program, libraries = _read(answer)
        yield Finding("there", _told(program, libraries))
        yield Finding("first answer", f"{time.perf_counter() - start:.2f} s")
        require_same_program(program)
        if libraries != versions.of_libraries():
            yield Finding("note", "other libraries: the last digits may differ")
        yield from _measured(probe)


@dataclass(frozen=True, slots=True)
class _Probe:
    pool: Pool
    executor: Executor
    timeout: float

    def send(self, chunk: Payload, times: int = 1) -> list[Any]:
        """Answers to the same chunk, submitted several times at once."""
        try:
            futures = [self.executor.submit(run_chunk, chunk) for _ in range(times)]
            done, late = wait(futures, self.timeout, FIRST_EXCEPTION)
            answers = [future.result() for future in futures if future in done]
        except BrokenExecutor as error:
            raise EndpointError(f"its workers die: {error}", "see their log") from error
        except Exception as error:
            raise self.pool.explain(error) from error
        if late:
            problem = f"no answer came within {self.timeout:g} s"
            remedy = "is it running? where jobs wait in a queue, give --timeout SECONDS"
            raise EndpointError(problem, remedy)
        return answers

    def seconds(self, chunk: Payload, times: int = 1) -> float:
        """How long all answers took."""
        start = time.perf_counter()
        self.send(chunk, times)
        return time.perf_counter() - start


def _measured(probe: _Probe) -> Iterator[Finding]:
    empty = payload(b"{}", [])
    trip = statistics.median(probe.seconds(empty) for _ in range(TRIPS))
    yield Finding("round trip", f"{1e3 * trip:.1f} ms, median of {TRIPS}")
    for crowd in CROWDS:
        if (seconds := probe.seconds(empty, crowd)) > ENOUGH:
            break
    yield Finding("throughput", f"{crowd / seconds:.1f} chunks/s, {crowd} at once")
    large = Payload(**{**empty, "background": pack(os.urandom(3 * LOAD // 4))})
    seconds = probe.seconds(large)
    size = len(large["background"]) / 1e6
    yield Finding("transfer", f"{size / seconds:.1f} MB/s, {size:.1f} MB in one chunk")


def _read(answer: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Versions of program and libraries there; an answer is data of a stranger."""
    try:
        program = {name: _version(answer["program"][name]) for name in versions.of_program()}
        libraries = {name: _version(answer["libraries"][name]) for name in versions.of_libraries()}
    except Exception as error:
        problem = f"what came back is no answer: {type(error).__name__}"
        raise ExecutionError(problem, "do not trust this endpoint") from error
    return program, libraries


def _version(text: Any) -> str:
    if not re.fullmatch(r"[\w.+!-]{1,40}", text):
        raise ValueError("no version")
    return str(text)


def _told(program: Mapping[str, str], libraries: Mapping[str, str]) -> str:
    code = f"fitspec {program['fitspec']} (code {program['code']})"
    named = ", ".join(f"{name} {number}" for name, number in libraries.items())
    return f"{code}, Python {program['python']}, {named}"
