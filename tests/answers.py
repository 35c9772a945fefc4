"""Outcomes of a worker called in this process."""

from __future__ import annotations

from collections.abc import Sequence

from fitspec.outcome import Outcome
from fitspec.worker import Answer, PointOrder, payload, run_chunk, unpack


def outcomes(answer: Answer) -> list[Outcome]:
    """What an answer holds."""
    return [Outcome.from_json(unpack(text)) for text in answer["outcomes"]]


def compute(background: bytes, orders: Sequence[PointOrder]) -> list[Outcome]:
    """What a worker makes of these orders."""
    return outcomes(run_chunk(payload(background, list(orders))))
