"""Runs through the loopback endpoint, watched and compared."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from fitspec.errors import FitspecError
from fitspec.execute import Computed
from fitspec.execute.globus import GlobusPool
from fitspec.execute.pool import Endpoint, Habits
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


def pool_at(uuid: str, name: str = "loopback", workers: int = 2) -> GlobusPool:
    return GlobusPool(Endpoint("globus-compute", name, id=uuid, workers=workers))


def singly(pool: GlobusPool) -> WatchedPool:
    """Every point is a chunk of its own, two for each worker under way."""
    habits = replace(pool.habits, seconds=0.0, at_least=0.0, in_flight=2, pause=6.0)
    return WatchedPool(pool, habits)


def in_pairs(pool: GlobusPool) -> WatchedPool:
    """All at once, in one chunk for each worker."""
    habits = replace(pool.habits, seconds=100.0, at_least=100.0)
    return WatchedPool(pool, habits)


def by_key(computed: Iterable[Computed]) -> dict[str, Outcome]:
    found = list(computed)
    assert len({c.key for c in found}) == len(found)
    return {c.key: c.outcome for c in found}


def differing(found: dict[str, Outcome], expected: dict[str, Outcome]) -> list[str]:
    """Keys of the outcomes whose numbers are not the expected ones.

    Which points a worker computes together decides on the last digits.
    """
    return [
        key
        for key, outcome in found.items()
        if numbers(outcome) != pytest.approx(numbers(expected[key]), rel=1e-9, abs=1e-9)
    ]


def numbers(outcome: Outcome) -> list[float | None]:
    """What a report says of a point."""
    tests = [
        number
        for test in outcome.tests
        for number in (test.CLs_obs, *test.CLs_exp, test.p_sb, test.p_b, test.q, test.q_asimov)
    ]
    return [*tests, outcome.mu_hat, outcome.upper_limit_obs, *(outcome.upper_limit_exp or ())]


def flat(content: Any) -> tuple[dict[str, float], dict[str, Any]]:
    """The numbers of a nested value, by name, and everything else in it."""
    everything = dict(_leaves(content, ""))
    numbers = {name: value for name, value in everything.items() if isinstance(value, float)}
    return numbers, {k: v for k, v in everything.items() if k not in numbers}


def _leaves(content: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict | list):
        items = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in items:
            yield from _leaves(value, f"{name}.{key}")
    else:
        yield name, content
