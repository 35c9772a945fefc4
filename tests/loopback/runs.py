"""Runs through the loopback endpoint, watched and compared."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from fitspec.errors import FitspecError
from fitspec.execute import Computed
from fitspec.execute.globus import GlobusPool
from fitspec.execute.pool import Habits
from fitspec.outcome import Outcome


@dataclass
class WatchedPool:
    """A Globus pool with other habits that counts its executors."""

    pool: GlobusPool
    habits: Habits
    opened: int = 0
    explained: list[FitspecError] = field(default_factory=list)

    @property
    def workers(self) -> int:
        return self.pool.workers

    @contextlib.contextmanager
    def open(self) -> Iterator[Executor]:
        self.opened += 1
        with self.pool.open() as executor:
            yield executor

    def explain(self, error: BaseException) -> FitspecError:
        self.explained.append(self.pool.explain(error))
        return self.explained[-1]


def singly(pool: GlobusPool) -> WatchedPool:
    """Every point is a chunk of its own, two for each worker under way."""
    habits = dataclasses.replace(pool.habits, seconds=0.0, at_least=0.0, in_flight=2)
    return WatchedPool(pool, habits)


def in_pairs(pool: GlobusPool) -> WatchedPool:
    """All at once, in one chunk for each worker."""
    habits = dataclasses.replace(pool.habits, seconds=100.0, at_least=100.0)
    return WatchedPool(pool, habits)


def by_key(computed: Iterable[Computed]) -> dict[str, Outcome]:
    found = list(computed)
    assert len({c.key for c in found}) == len(found)
    return {c.key: c.outcome for c in found}


def numbers(outcome: Outcome) -> dict[str, Any]:
    """What a report says of a point; who computed it, and how fast, aside."""
    return {k: v for k, v in outcome.to_dict().items() if k not in {"seconds", "worker"}}


def differing(found: dict[str, Outcome], expected: dict[str, Outcome]) -> list[str]:
    """Keys of the outcomes that are not, digit by digit, what is expected."""
    return [key for key in found if numbers(found[key]) != numbers(expected[key])]
