"""The only function that is ever shipped to a worker, and what it needs.

Payload and answer are builtins only: they pickle between any two Python versions, so that a worker
of another version can say what is wrong instead of failing to read its orders.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import socket
import time
import traceback
import warnings
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

import orjson

import fitspec
from fitspec.errors import (
    ConvergenceError,
    ExecutionError,
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


class Payload(TypedDict):
    """A chunk of points that share a background-only workspace (zlib-compressed JSON)."""

    fitspec: str
    python: str
    background: bytes
    points: list[PointOrder]


def payload(background: bytes, points: list[PointOrder]) -> Payload:
    """Orders for a worker of this very version."""
    return Payload(
        fitspec=fitspec.__version__,
        python=_python(),
        background=_packed(background),
        points=points,
    )


@functools.lru_cache(maxsize=8)
def _packed(background: bytes) -> bytes:
    """Every chunk carries its background; it is compressed once."""
    return zlib.compress(background, 1)


def run_chunk(chunk: Payload) -> list[dict[str, Any]]:
    """Compute the points of a chunk.

    Returns:
        one :class:`fitspec.results.Outcome` as a dictionary for each point, in order; a point that
        fails is an outcome with its reason and costs the others nothing.

    Raises:
        ExecutionError: this worker's versions are not the submitter's.
    """
    _require_same_versions(chunk)
    return [_run_point(chunk["background"], order).to_dict() for order in chunk["points"]]


def _run_point(background: bytes, order: PointOrder) -> Outcome:
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            # minimisers probe where numbers overflow and say so; what counts is checked at the end
            warnings.simplefilter("ignore")
            outcome = _infer(background, order)
        outcome.require_finite()
    except FitspecError as error:
        outcome = Outcome.failed(f"{type(error).__name__}: {error}")
    except Exception as error:
        outcome = Outcome.failed(_unexpected(error))
    seconds = time.perf_counter() - start
    return replace(outcome, seconds=seconds, worker=f"{socket.gethostname()}:{os.getpid()}")


@functools.lru_cache(maxsize=4)
def _unpacked(background: bytes) -> Mapping[str, Any]:
    """A background that came with a chunk; the next ones will have the same."""
    content: dict[str, Any] = orjson.loads(zlib.decompress(background))
    return content


def _infer(background: bytes, order: PointOrder) -> Outcome:
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
    background: bytes, workspace: Mapping[str, Any], question: Question
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
def _compiler(background: bytes) -> Compiler:
    """What is compiled of a background is kept for its other patches."""
    from fitspec.histfactory.model import Compiler

    return Compiler(_unpacked(background))


def _unexpected(error: Exception) -> str:
    """An error nobody thought of: what and where, in one line."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(frame.filename)}:{frame.lineno}"  # noqa: PTH119
    message = " ".join(str(error).split())
    return f"unexpected {type(error).__name__} at {where}: {message}"


def _require_same_versions(chunk: Payload) -> None:
    there = f"fitspec {chunk['fitspec']} on Python {chunk['python']}"
    here = f"fitspec {fitspec.__version__} on Python {_python()}"
    if there != here:
        raise ExecutionError(
            f"submitted by {there}, but the worker has {here}", "install the same on both sides"
        )


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])
