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
    """Chunks of at most ``size`` quick tasks, in the tasks' order; slow ones travel alone."""
    groups: dict[tuple[str, bool], list[FitTask]] = {}
    for task in tasks:
        groups.setdefault((task.background.digest, task.quick), []).append(task)
    return [
        Chunk(group[start : start + step])
        for (_, quick), group in groups.items()
        for step in (size if quick else 1,)
        for start in range(0, len(group), step)
    ]
