"""Fits on real worker processes: the numbers, the store, and what a dying worker costs."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

import pytest

import fitspec
from fitspec.collect import collect
from fitspec.execute import Computed, LocalPool, ResultStore, run_fits, runner
from fitspec.outcome import Outcome
from fitspec.plan import FitTask, make_plan
from fitspec.sources import Access
from fitspec.spec import load_spec
from fitspec.worker import payload, run_chunk

STAND_INS = '''
"""Stand-ins for run_chunk that a worker can import: no fits, but deaths."""

import os
import signal

from fitspec.outcome import Outcome


def answer(chunk):
    return [Outcome("ok", mu_hat=len(order["patch"])).to_dict() for order in chunk["points"]]


def die_of_poison(chunk):
    if any(order["patch_name"] == "signal_100_2" for order in chunk["points"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return answer(chunk)
'''


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory) -> Iterator[ModuleType]:
    folder = tmp_path_factory.mktemp("importable")
    (folder / "stand_ins.py").write_text(STAND_INS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module("stand_ins")


@pytest.fixture
def quick(stand_ins, monkeypatch) -> ModuleType:
    """Workers answer at once, without a fit."""
    monkeypatch.setattr(runner, "run_chunk", stand_ins.answer)
    return stand_ins


@pytest.fixture
def tasks(analysis) -> list[FitTask]:
    """The four fits of the small analysis."""
    return plan_of(analysis)


@pytest.fixture
def store(tmp_path) -> ResultStore:
    return ResultStore(tmp_path / "results")


def plan_of(folder: Path) -> list[FitTask]:
    found = collect([load_spec(folder / "small.toml")], Access(folder / "cache"))
    return list(make_plan(found).fits.values())


@dataclass
class WatchedPool:
    """A pool whose executors a test can get at."""

    workers: int
    executors: list[Executor] = field(default_factory=list)

    @contextlib.contextmanager
    def open(self) -> Iterator[Executor]:
        with LocalPool(self.workers).open() as executor:
            self.executors.append(executor)
            yield executor

    def pids(self) -> list[int]:
        """Of the workers of the latest executor."""
        return list(self.executors[-1]._processes)


def by_key(computed: Iterable[Computed]) -> dict[str, Outcome]:
    found = list(computed)
    assert len({c.key for c in found}) == len(found)
    return {c.key: c.outcome for c in found}


def numbers(outcome: Outcome) -> list[float]:
    [test] = outcome.tests
    return [outcome.mu_hat, test.p_sb, test.p_b, test.q, test.q_asimov, test.CLs_obs, *test.CLs_exp]


def assert_numbers_of_this_process(found: dict[str, Outcome], tasks: list[FitTask]) -> None:
    """Equal but for the last digits, which depend on the number of threads."""
    assert sorted(found) == sorted(task.key for task in tasks)
    for task in tasks:
        [answer] = run_chunk(payload(task.background.raw, [task.order]))
        expected = numbers(Outcome.from_dict(answer))
        assert numbers(found[task.key]) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_workers_give_the_numbers_of_this_process(tasks, store):
    found = by_key(run_fits(tasks, LocalPool(2), store))

    assert_numbers_of_this_process(found, tasks)


def test_a_killed_worker_changes_nothing(analysis, make_patch, store):
    for mass in range(300, 308):
        patch = json.dumps(make_patch([mass / 50, 6.0]))
        (analysis / f"patch.signal_{mass}_1.json").write_text(patch)
    tasks = plan_of(analysis)
    assert len(tasks) == 12
    pool = WatchedPool(workers=2)

    found = []
    for computed in run_fits(tasks, pool, store, chunk_size=1):
        if not found:
            os.kill(pool.pids()[0], signal.SIGKILL)
        found.append(computed)

    assert_numbers_of_this_process(by_key(found), tasks)
    assert len(pool.executors) == 2


@pytest.mark.parametrize("chunk_size", [1, 4])
def test_a_point_that_kills_every_worker_is_one_error(tasks, store, quick, monkeypatch, chunk_size):
    monkeypatch.setattr(runner, "run_chunk", quick.die_of_poison)
    names = {task.key: task.order["patch_name"] for task in tasks}

    found = by_key(run_fits(tasks, LocalPool(2), store, chunk_size))

    reasons = {names[key]: outcome.error for key, outcome in found.items()}
    death = "ExecutionError: the worker died while computing this point (killed, or crashed)"
    assert reasons == {
        "signal_100_1": None, "signal_100_2": death, "signal_200_1": None, "signal_200_2": None
    }  # fmt: skip


def test_a_point_that_kills_its_worker_is_tried_again_next_time(tasks, store, quick, monkeypatch):
    with monkeypatch.context() as poisoned:
        poisoned.setattr(runner, "run_chunk", quick.die_of_poison)
        by_key(run_fits(tasks, LocalPool(2), store))

    second = list(run_fits(tasks, LocalPool(1), store))

    assert [c.cached for c in second] == [True, True, True, False]
    assert {c.outcome.status for c in second} == {"ok"}


def test_a_second_run_computes_nothing(tasks, store, quick):
    first = list(run_fits(tasks, LocalPool(1), store))
    unused = WatchedPool(workers=1)

    second = list(run_fits(tasks, unused, store))

    assert [c.cached for c in first] == [False] * 4
    assert [c.cached for c in second] == [True] * 4
    assert {c.key: c.outcome for c in second} == {c.key: c.outcome for c in first}
    assert unused.executors == []


def test_a_store_that_is_not_read_is_written(tasks, store, quick):
    by_key(run_fits(tasks, LocalPool(1), store))

    again = list(run_fits(tasks, LocalPool(1), replace(store, read=False)))

    assert not any(c.cached for c in again)
    assert store.size()[0] == 4


def test_an_interrupted_run_keeps_what_it_computed(tasks, store, quick):
    pool = WatchedPool(workers=1)
    running = run_fits(tasks, pool, store)
    first = next(running)
    assert store.get(first.key) == first.outcome  # before it is handed out
    pids = pool.pids()

    running.close()

    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    second = {c.key: c.cached for c in run_fits(tasks, LocalPool(1), store)}
    assert second[first.key] is True
    assert list(second.values()).count(False) >= 1
    assert len(second) == 4


def test_outcomes_that_are_stored_come_first(tasks, store, quick):
    store.put(tasks[2].key, Outcome("ok", mu_hat=0.5))

    found = list(run_fits(tasks, LocalPool(1), store))

    assert (found[0].key, found[0].cached) == (tasks[2].key, True)
    assert sorted(c.key for c in found) == sorted(task.key for task in tasks)


def test_a_store_that_cannot_be_written_is_a_warning(tasks, tmp_path, quick):
    (tmp_path / "file").touch()
    store = ResultStore(tmp_path / "file" / "results")

    found = list(run_fits(tasks, LocalPool(1), store))

    assert [c.outcome.status for c in found] == ["ok"] * 4
    assert all(c.warning.startswith("the result store cannot be written: ") for c in found)


def test_workers_of_another_version_refuse_with_both_versions(tasks, store, monkeypatch):
    monkeypatch.setattr(fitspec, "__version__", "99.0")

    found = by_key(run_fits(tasks, LocalPool(1), store, chunk_size=4))

    assert len(found) == 4
    for outcome in found.values():
        assert outcome.status == "error"
        assert outcome.error.startswith("ExecutionError: submitted by fitspec 99.0 on Python 3.")
        assert "but the worker has fitspec 0." in outcome.error
    assert store.size() == (0, 0)


def test_no_tasks_need_no_workers(store):
    pool = WatchedPool(workers=1)

    assert list(run_fits([], pool, store)) == []
    assert pool.executors == []
