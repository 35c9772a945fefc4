"""What a large endpoint would take, computed from what was measured on a small one.

A model on paper, no clock: the stages of a run work at the same time, so that the slowest decides,
after the plan, which nothing can overlap, and before the last chunk, which nothing can shorten.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fitspec.execute.pool import Habits

SECONDS = Habits().seconds
"""Of work in a chunk."""

BANDWIDTH = 10e6
"""Bytes a second between submitter and endpoint; assumed."""

MEMORY = 0.12e6
"""Bytes of the submitter for a hypothesis of 1Lbb: the slope of the scaling table."""

LAPTOP = 16e9
"""Bytes of memory of a submitter that is a laptop; assumed."""

TASKS, WINDOW, SUBMISSIONS = 128, 16.0, 4
"""Globus Compute's SDK submits so many tasks at once, and so often in so many seconds."""

SIZES = ((125, 2), (10_000, 100), (1_000_000, 100), (1_000_000, 1000))
"""Hypotheses, and workers."""


@dataclass(frozen=True)
class Costs:
    """Of a hypothesis, in seconds and bytes.

    Attributes:
        worker: fitting it.
        plan: the submitter's, before the first chunk leaves.
        submit: the submitter's, while the workers work.
        chunk: of a chunk, whatever is in it, by kind of endpoint.
        up, down: bytes sent and received; ``background``: bytes that each chunk carries besides.
    """

    worker: float
    plan: float
    submit: float
    chunk: dict[str, float]
    up: float
    background: float
    down: float


def simulate(costs: Costs) -> list[dict[str, Any]]:
    """Seconds of every stage, for all sizes and kinds of endpoint."""
    return [
        _run(costs, kind, hypotheses, workers)
        for hypotheses, workers in SIZES
        for kind in costs.chunk
    ]


def _run(costs: Costs, kind: str, hypotheses: int, workers: int) -> dict[str, Any]:
    seconds = min(SECONDS, max(0.5, hypotheses * costs.worker / (2 * workers)))
    chunks = math.ceil(hypotheses * costs.worker / seconds)
    size = hypotheses * (costs.up + costs.down) + chunks * costs.background
    stages = {
        "workers": hypotheses * costs.worker / workers,
        "submitter's core": hypotheses * costs.submit,
        "chunks": chunks * costs.chunk[kind],
        "network": size / BANDWIDTH,
    }
    if kind == "globus-compute":
        batches = math.ceil(chunks / TASKS)
        stages["submissions"] = max(0, batches - SUBMISSIONS) * WINDOW / SUBMISSIONS
    slowest = max(stages, key=lambda name: stages[name])
    return {
        "kind": kind,
        "hypotheses": hypotheses,
        "workers": workers,
        "stages": stages,
        "plan": hypotheses * costs.plan,
        "total": hypotheses * costs.plan + stages[slowest] + seconds,
        "slowest": slowest,
        "memory": hypotheses * MEMORY,
        "fits": hypotheses * MEMORY < LAPTOP,
    }
