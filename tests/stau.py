"""The published stau search, fitted on an endpoint and here."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from fitspec.collect import collect
from fitspec.execute import Computed, LocalPool, ResultStore, run_fits
from fitspec.outcome import Outcome
from fitspec.plan import FitTask, make_plan
from fitspec.sources import Access
from fitspec.spec import find_specs

POINTS = 57


@functools.cache
def tasks(mirror: Path) -> tuple[FitTask, ...]:
    """All its fits."""
    with tempfile.TemporaryDirectory() as cache:
        found = collect(find_specs(["@stau"]), Access(Path(cache), mirror))
        return tuple(make_plan(found).fits.values())


def some(mirror: Path) -> tuple[FitTask, ...]:
    """Every third, for what has been shown to hold for all."""
    return tasks(mirror)[::3]


@functools.cache
def local(mirror: Path, cache: Path) -> dict[str, list[float]]:
    """Numbers by task, computed by local workers."""
    return numbers(run_fits(tasks(mirror), LocalPool(2), ResultStore(cache / "results")))


def numbers(computed: Iterable[Computed]) -> dict[str, list[float]]:
    """CLs and limits, observed and expected, by task; none may be missing or come twice."""
    found = list(computed)
    assert len({c.key for c in found}) == len(found)
    return {c.key: _numbers(c.outcome) for c in found}


def assert_local(
    computed: Iterable[Computed], asked: Iterable[FitTask], mirror: Path, cache: Path
) -> None:
    """Equal but for the last digits: which points are computed together decides on them."""
    expected = local(mirror, cache)
    assert len(expected) == POINTS
    assert numbers(computed) == {
        task.key: pytest.approx(expected[task.key], rel=1e-9) for task in asked
    }


def _numbers(outcome: Outcome) -> list[float]:
    assert outcome.status == "ok", outcome.error
    [test] = outcome.tests
    limits = (outcome.upper_limit_obs, *outcome.upper_limit_exp)
    return [test.CLs_obs, *test.CLs_exp, *limits]
