"""The only function that is ever shipped to a worker, and what it needs.

Payload and answer are JSON: no transport needs to unpickle what comes back from an endpoint, and a
worker of another version can say what it is instead of failing to read its orders.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import os
import signal
import socket
import threading
import time
import traceback
import warnings
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

import orjson

from fitspec import versions
from fitspec.errors import (
    ConvergenceError,
    FitspecError,
    PatchError,
    WorkspaceError,
)
from fitspec.histfactory import NO_OPERATIONS, apply_patch, require_consistent
from fitspec.inference import Question, fit_observed, test_hypotheses
from fitspec.outcome import Outcome

if TYPE_CHECKING:
    from fitspec.histfactory.model import Compiler
    from fitspec.inference.likelihood import Likelihood


class PointOrder(TypedDict):
    """One point to compute: its patch and what is asked."""

    patch_name: str
    patch: bytes
    question: dict[str, Any]


class Limits(TypedDict):
    """What a chunk may take; None: whatever it takes.

    ``point``: seconds of one point, an error beyond; ``chunk``: seconds, and ``bytes``: size of the
    answer, after which no further point is begun.
    """

    point: float | None
    chunk: float | None
    bytes: int | None


UNLIMITED = Limits(point=None, chunk=None, bytes=None)


class Payload(TypedDict):
    """A chunk of points that share a background-only workspace; both are packed."""

    program: dict[str, str]
    limits: Limits
    background: str
    points: str


class Answer(TypedDict):
    """What comes back: the worker's versions, and packed outcomes of the first points."""

    program: dict[str, str]
    libraries: dict[str, str]
    outcomes: list[str]


def payload(
    background: bytes,
    points: list[PointOrder],
    limits: Limits = UNLIMITED,
    compression: int = 1,
) -> Payload:
    """Orders for a worker of this very version.

    Args:
        background: JSON of the workspace.
        points: what to compute.
        limits: what it may take.
        compression: zlib's level.
    """
    # latin-1 makes text of any bytes, also of those that are no JSON: the worker says so
    texts = [{**point, "patch": point["patch"].decode("latin-1")} for point in points]
    return Payload(
        program=versions.of_program(),
        limits=limits,
        background=_packed(background, max(compression, 1)),
        points=pack(orjson.dumps(texts), compression),
    )


def pack(content: bytes, compression: int = 1) -> str:
    """Compressed bytes as text."""
    return base64.b64encode(zlib.compress(content, compression)).decode("ascii")


def unpack(text: str) -> bytes:
    """What was packed; raises ValueError or zlib.error on anything else."""
    return zlib.decompress(base64.b64decode(text))


@functools.lru_cache(maxsize=8)
def _packed(background: bytes, compression: int) -> str:
    """Every chunk carries its background; it is compressed once."""
    return pack(background, compression)


def run_chunk(chunk: Payload) -> Answer:
    """Compute the points of a chunk.

    Returns:
        packed :class:`fitspec.outcome.Outcome` dictionaries, one for each point, in order; a point
        that fails is an outcome with its reason and costs the others nothing. Fewer than asked
        where a limit of the chunk is reached; none where this worker's program is not the
        submitter's: its answer then tells what it is.
    """
    answer = Answer(program=versions.of_program(), libraries=versions.of_libraries(), outcomes=[])
    if answer["program"] != chunk["program"]:
        return answer
    limits = chunk["limits"]
    start, size = time.perf_counter(), 0
    for point in orjson.loads(unpack(chunk["points"])):
        order = PointOrder(
            patch_name=point["patch_name"],
            patch=point["patch"].encode("latin-1"),
            question=point["question"],
        )
        outcome = _run_point(chunk["background"], order, limits["point"])
        answer["outcomes"].append(pack(outcome.to_json()))
        size += len(answer["outcomes"][-1])
        late = limits["chunk"] is not None and time.perf_counter() - start > limits["chunk"]
        if late or (limits["bytes"] is not None and size > limits["bytes"]):
            break
    return answer


class _Overdue(BaseException):
    """A point's time is up. No library takes this one for an error of its own and goes on."""


@contextlib.contextmanager
def _time_limit(seconds: float | None) -> Iterator[None]:
    """Raises _Overdue in the block when its time is up; only the main thread can be told."""
    in_main = threading.current_thread() is threading.main_thread()
    if seconds is None or not in_main or not hasattr(signal, "setitimer"):
        yield
        return

    def overdue(*_: object) -> None:
        raise _Overdue

    before = signal.signal(signal.SIGALRM, overdue)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again, should the first be swallowed
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def _run_point(background: str, order: PointOrder, limit: float | None) -> Outcome:
    start = time.perf_counter()
    try:
        with warnings.catch_warnings(), _time_limit(limit):
            # minimisers probe where numbers overflow and say so; what counts is checked at the end
            warnings.simplefilter("ignore")
            outcome = _infer(background, order)
        outcome.require_finite()
    except FitspecError as error:
        outcome = Outcome.failed(f"{type(error).__name__}: {error}")
    except _Overdue:
        outcome = Outcome.failed(f"ExecutionError: not done after {limit:g} s, the deadline")
    except Exception as error:
        outcome = Outcome.failed(_unexpected(error))
    seconds = time.perf_counter() - start
    return replace(outcome, seconds=seconds, worker=f"{socket.gethostname()}:{os.getpid()}")


@functools.lru_cache(maxsize=4)
def _unpacked(background: str) -> Mapping[str, Any]:
    """A background that came with a chunk; the next ones will have the same."""
    content: dict[str, Any] = orjson.loads(unpack(background))
    return content


def _infer(background: str, order: PointOrder) -> Outcome:
    question = Question.from_dict(order["question"])
    if question.backend == "native":
        _compiler(background)  # what is wrong with the background is not the patch's fault
    workspace = apply_patch(_unpacked(background), order["patch"], order["patch_name"])
    try:
        # a background may be fitted as it is; a patch that brings no POI is a mistake
        needs_poi = not question.fit_alone or order["patch"] != NO_OPERATIONS
        require_consistent(workspace, question.measurement, question.poi, needs_poi=needs_poi)
        with _likelihood(background, workspace, question) as likelihood:
            if question.fit is not None and question.fit.alone:
                return fit_observed(likelihood, question.fit)
            return test_hypotheses(likelihood, question)
    except ConvergenceError as error:
        # minuit has no [fit]; a search for limits would take it an hour, toys days
        patience = question.level is None and question.toys is None
        if question.backend != "native" or question.fit_alone or not patience:
            raise
        return _second_opinion(workspace, question, error)
    except WorkspaceError as error:
        if order["patch"] == NO_OPERATIONS:
            raise
        problem = f"makes the workspace unsound: {error}"
        raise PatchError(problem, order["patch_name"]) from error


def _second_opinion(
    workspace: Mapping[str, Any], question: Question, reason: ConvergenceError
) -> Outcome:
    """Where Newton's method finds no minimum, pyhf's model with minuit may."""
    from fitspec.inference.backends.pyhf import open_likelihood

    other = replace(question, backend="pyhf", tensor="numpy", optimizer="minuit", fit=None)
    try:
        with open_likelihood(workspace, other) as likelihood:
            outcome = test_hypotheses(likelihood, other)
    except FitspecError as error:
        raise ConvergenceError(f"{reason}; and pyhf with minuit: {error}") from error
    notes = [f"fitted by pyhf with minuit, since {reason}"]
    if question.fit is not None:
        notes.append("what [fit] asks for is the native likelihood's alone")
    return replace(outcome, notes=(*outcome.notes, *notes))


@contextlib.contextmanager
def _likelihood(
    background: str, workspace: Mapping[str, Any], question: Question
) -> Iterator[Likelihood]:
    """The likelihood of a patched workspace, of the backend that is asked for."""
    if question.backend == "native":
        from fitspec.inference.backends.native import NativeLikelihood

        yield NativeLikelihood(_compiler(background), workspace, question)
    else:
        from fitspec.inference.backends.pyhf import open_likelihood

        with open_likelihood(workspace, question) as likelihood:
            yield likelihood


@functools.lru_cache(maxsize=4)
def _compiler(background: str) -> Compiler:
    """What is compiled of a background is kept for its other patches."""
    from fitspec.histfactory.model import Compiler

    return Compiler(_unpacked(background))


def _unexpected(error: Exception) -> str:
    """An error nobody thought of: what and where, in one line."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(frame.filename)}:{frame.lineno}"  # noqa: PTH119
    message = " ".join(str(error).split())
    return f"unexpected {type(error).__name__} at {where}: {message}"
