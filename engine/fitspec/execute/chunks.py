"""Fit tasks in chunks: points of one workspace travel together, so that it is sent once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fitspec.plan import FitTask
from fitspec.worker import Payload, payload


@dataclass(frozen=True, slots=True)
class Chunk:
    """Fit tasks that share a background."""

    tasks: Sequence[FitTask]

    def payload(self) -> Payload:
        """What a worker gets."""
        return payload(self.tasks[0].background.raw, [task.order for task in self.tasks])

    def singles(self) -> list[Chunk]:
        """The same tasks, each alone."""
        return [Chunk([task]) for task in self.tasks]


def make_chunks(tasks: Iterable[FitTask], size: int) -> list[Chunk]:
    """Chunks of at most ``size`` tasks, in the tasks' order within a workspace."""
    by_background: dict[str, list[FitTask]] = {}
    for task in tasks:
        by_background.setdefault(task.background.digest, []).append(task)
    return [
        Chunk(group[start : start + size])
        for group in by_background.values()
        for start in range(0, len(group), size)
    ]
