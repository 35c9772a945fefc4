"""What comes back from a worker is data of a stranger: read with care."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from typing import Any

from fitspec import versions
from fitspec.errors import ExecutionError, FitspecError
from fitspec.outcome import Outcome
from fitspec.worker import PointOrder

MAX_OUTCOME = 64_000_000
"""Bytes of one outcome's JSON; a fit with all correlations of 1000 parameters has 20 MB."""


def read_answer(answer: Any, orders: Sequence[PointOrder]) -> list[Outcome]:
    """The outcomes in a worker's answer.

    Args:
        answer: what :func:`fitspec.worker.run_chunk` returned there, or what claims to be that.
        orders: what was asked for.

    Returns:
        outcomes of the first orders, at least one.

    Raises:
        ExecutionError: the worker runs another program, or this is no answer.
    """
    try:
        require_same_program(answer["program"])
        outcomes = [
            _outcome(text, order) for text, order in zip(answer["outcomes"], orders, strict=False)
        ]
    except FitspecError:
        raise
    except Exception as error:
        problem = f"what came back is no answer: {type(error).__name__}"
        raise ExecutionError(problem, "do not trust this endpoint") from error
    if not outcomes:
        raise ExecutionError("an answer without any outcome came back")
    return outcomes


def require_same_program(theirs: dict[str, str]) -> None:
    """Raise ExecutionError, naming both sides' versions, unless they are the same program."""
    ours = versions.of_program()
    if theirs == ours:
        return
    here, there = _told(ours), _told(theirs)
    if here == there:
        here, there = (f"{side} (code {p['code']})" for side, p in ((here, ours), (there, theirs)))
    raise ExecutionError(
        f"submitted by {here}, but the worker has {there}", "install the same on both sides"
    )


def _told(program: dict[str, str]) -> str:
    return f"fitspec {program['fitspec']} on Python {program['python']}"


def _outcome(text: str, order: PointOrder) -> Outcome:
    reader = zlib.decompressobj()
    content = reader.decompress(base64.b64decode(text, validate=True), MAX_OUTCOME)
    if not reader.eof:
        raise ExecutionError(f"an outcome of more than {MAX_OUTCOME / 1e6:.0f} MB came back")
    outcome = Outcome.from_json(content)
    outcome.require_finite()
    tested = [test.mu for test in outcome.tests]
    if outcome.status == "ok" and tested != list(order["question"]["mus"]):
        raise ExecutionError(f"tests of other POI values came back: {tested}")
    return outcome
