"""Fit tasks in chunks: points of one workspace travel together, so that it is sent once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from fitspec.execute.costs import Costs
from fitspec.plan import FitTask
from fitspec.worker import Limits, Payload, payload


@dataclass(frozen=True, slots=True)
class Chunk:
    """Fit tasks that share a background.

    Attributes:
        tasks: at least one.
        lost: how often this chunk, or a larger one that it was part of, did not come back.
        alone: it may break its executor, so no other chunk may be in flight beside it.
    """

    tasks: tuple[FitTask, ...]
    lost: int = 0
    alone: bool = False

    def payload(self, limits: Limits, compression: int) -> Payload:
        """What a worker gets."""
        orders = [task.order for task in self.tasks]
        return payload(self.tasks[0].background.raw, orders, limits, compression)

    def halves(self) -> list[Chunk]:
        """The same tasks in two chunks; a single task stays as it is."""
        middle = len(self.tasks) // 2
        parts = (self.tasks[:middle], self.tasks[middle:])
        return [replace(self, tasks=part) for part in parts if part]

    def after_loss(self) -> list[Chunk]:
        """What to send when it did not come back: the halves, who are not all to blame."""
        return replace(self, lost=self.lost + 1).halves()


@dataclass
class Backlog:
    """What is still to be submitted.

    Attributes:
        costs: what a task is expected to take.
        again: chunks that were submitted before; they go first.
    """

    costs: Costs
    again: deque[Chunk] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._fresh: dict[tuple[str, bool], deque[FitTask]] = {}
        self._seconds = 0.0

    def add(self, tasks: Iterable[FitTask]) -> None:
        """Tasks that nobody has tried yet; slow ones do not keep quick ones waiting."""
        for task in tasks:
            key = (task.background.digest, task.quick)
            self._fresh.setdefault(key, deque()).append(task)

    def __bool__(self) -> bool:
        return bool(self.again or self._fresh)

    def __len__(self) -> int:
        chunks = sum(len(chunk.tasks) for chunk in self.again)
        return chunks + sum(map(len, self._fresh.values()))

    @property
    def next_alone(self) -> bool:
        """The next chunk must wait until all others are back."""
        return bool(self.again and self.again[0].alone)

    @property
    def measured(self) -> bool:
        """What the next task takes is known by measurement."""
        return all(self.costs.measured(tasks[0]) for tasks in self._fresh.values())

    def seconds(self) -> float:
        """Work that nobody has tried yet."""
        return sum(len(tasks) * self.costs.of(tasks[0]) for tasks in self._fresh.values())

    def take(self, seconds: float) -> Chunk:
        """The next chunk: about so many seconds of work, at least one task."""
        if self.again:
            return self.again.popleft()
        key = next(iter(self._fresh))
        tasks = self._fresh[key]
        taken = [tasks.popleft()]
        left = seconds - self.costs.of(taken[0])
        while tasks and (left := left - self.costs.of(tasks[0])) >= 0:
            taken.append(tasks.popleft())
        if not tasks:
            del self._fresh[key]
        return Chunk(tuple(taken))
