"""Fits on real worker processes: the numbers, the store, and what a dying worker costs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import ModuleType

import numpy
import pytest
import stand_ins
from answers import compute

import fitspec
from fitspec.collect import collect
from fitspec.errors import EndpointError, FitspecError
from fitspec.execute import Computed, LocalPool, Patience, ResultStore, run_fits, runner
from fitspec.execute.pool import Habits, Traffic, explain
from fitspec.inference import Question
from fitspec.outcome import Outcome
from fitspec.plan import FitTask, make_plan
from fitspec.sources import Access
from fitspec.spec import load_spec


@pytest.fixture
def quick(monkeypatch) -> ModuleType:
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

    habits: Habits = LocalPool(1).habits

    @contextlib.contextmanager
    def open(self) -> Iterator[Executor]:
        with LocalPool(self.workers).open() as executor:
            self.executors.append(executor)
            yield executor

    def explain(self, error: BaseException) -> FitspecError:
        return explain(error)

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
        [outcome] = compute(task.background.raw, [task.order])
        expected = numbers(outcome)
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
    for computed in run_fits(tasks, pool, store):
        if not found:
            os.kill(pool.pids()[0], signal.SIGKILL)
        found.append(computed)

    assert_numbers_of_this_process(by_key(found), tasks)
    assert len(pool.executors) == 2


def reasons(found: Iterable[Computed], tasks: list[FitTask]) -> dict[str, str | None]:
    names = {task.key: task.order["patch_name"] for task in tasks}
    return {names[key]: outcome.error for key, outcome in by_key(found).items()}


def only_the_culprit(error: str) -> dict[str, str | None]:
    return {"signal_100_1": None, "signal_100_2": error,
            "signal_200_1": None, "signal_200_2": None}  # fmt: skip


ONE_CHUNK = Habits(seconds=10.0, at_least=10.0, isolate=True)
SINGLES = Habits(seconds=0.0, at_least=0.0, isolate=True)
SHARED = replace(ONE_CHUNK, isolate=False)
"""An executor that goes on when a worker dies, as those of batch systems do."""

DEATH = "WorkerLostError: the worker died while computing this point (killed, or crashed)"


@pytest.mark.parametrize("habits", [ONE_CHUNK, SINGLES], ids=["one chunk", "singles"])
def test_a_point_that_kills_every_worker_is_one_error(tasks, store, quick, monkeypatch, habits):
    monkeypatch.setattr(runner, "run_chunk", quick.die_of_poison)

    found = run_fits(tasks, WatchedPool(2, habits=habits), store)

    assert reasons(found, tasks) == only_the_culprit(DEATH)


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("lose", "WorkerLostError: manager 7 is gone"),
        ("lose_strangely", "WorkerLostError: the answer was lost: KeyError: "
                           "\"a transport's own trouble\""),
        ("cancel", "WorkerLostError: the answer was lost: CancelledError:"),
        ("refuse_large_answers", "TooLargeError: the answer is too large"),
    ],
)  # fmt: skip
def test_what_is_lost_is_sent_again_in_halves(tasks, store, quick, monkeypatch, how, error):
    monkeypatch.setattr(runner, "run_chunk", getattr(quick, how))
    pool = WatchedPool(2, habits=SHARED)

    found = run_fits(tasks, pool, store)

    assert reasons(found, tasks) == only_the_culprit(error)
    assert len(pool.executors) == 1


def test_an_endpoint_that_is_away_is_tried_again_after_a_while(tasks, store, quick, monkeypatch):
    monkeypatch.setattr(runner, "run_chunk", quick.be_away)
    pool = WatchedPool(1, habits=replace(SINGLES, isolate=False, pause=0.2))
    start = time.monotonic()

    with pytest.raises(EndpointError, match=r"^restarting$"):
        list(run_fits(tasks, pool, store))

    assert time.monotonic() - start > runner.MAX_LOST * 0.2
    assert store.size()[0] >= 1


def test_chunks_that_are_too_large_to_send_become_smaller(tasks, store, quick, monkeypatch):
    monkeypatch.setattr(runner, "run_chunk", quick.refuse_more_than_one)

    found = by_key(run_fits(tasks, WatchedPool(2, habits=SHARED), store))

    assert [outcome.status for outcome in found.values()] == ["ok"] * 4


def test_a_payload_keeps_to_the_endpoints_limit(tasks, store, quick):
    sent = []

    class Counted(WatchedPool):
        @contextlib.contextmanager
        def open(self) -> Iterator[Executor]:
            with super().open() as executor:
                submit = executor.submit
                executor.submit = lambda f, p: sent.append(p) or submit(f, p)
                yield executor

    both = len(tasks[0].background.raw) * 10
    alone = replace(SHARED, max_bytes=1)
    by_key(run_fits(tasks[:2], Counted(1, habits=replace(SHARED, max_bytes=both)), store))
    by_key(run_fits(tasks[2:], Counted(1, habits=alone), store))

    assert [len(quick.names(payload)) for payload in sent] == [2, 1, 1]


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("refuse", "ExecutionError: fitspec is not installed there"),
        ("answer_nothing", "ExecutionError: an answer without any outcome came back"),
        ("answer_rubbish", "ExecutionError: what came back is no answer: Error; "
                           "do not trust this endpoint"),
    ],
)  # fmt: skip
def test_what_no_other_try_can_cure_is_an_error_at_once(
    tasks, store, quick, monkeypatch, how, error
):
    monkeypatch.setattr(runner, "run_chunk", getattr(quick, how))

    found = run_fits(tasks, WatchedPool(1, habits=SHARED), store)

    assert set(reasons(found, tasks).values()) == {error}
    assert store.size() == (0, 0)


def test_a_partial_answer_is_kept_and_the_rest_sent_again(tasks, store, quick, monkeypatch):
    monkeypatch.setattr(runner, "run_chunk", quick.answer_one)

    found = by_key(run_fits(tasks, WatchedPool(1, habits=SHARED), store))

    assert [outcome.status for outcome in found.values()] == ["ok"] * 4


def test_other_libraries_there_are_a_warning(tasks, store, quick, monkeypatch):
    monkeypatch.setattr(runner, "run_chunk", quick.answer_with_other_libraries)

    found = list(run_fits(tasks, LocalPool(1), store))

    [warning] = found[-1].warnings
    assert warning == f"the endpoint computes with numpy 1.0; here it is {numpy.__version__}"
    assert [c.outcome.status for c in found] == ["ok"] * 4


def test_an_endpoint_that_closes_ends_the_run_and_keeps_what_it_gave(
    tasks, store, quick, monkeypatch
):
    monkeypatch.setattr(runner, "run_chunk", quick.close_down)
    found = []

    with pytest.raises(EndpointError, match="closed for maintenance"):
        found.extend(run_fits(tasks, WatchedPool(1, habits=SINGLES), store))

    kept = store.size()[0]
    assert 1 <= kept < 4
    monkeypatch.setattr(runner, "run_chunk", quick.answer)
    again = list(run_fits(tasks, LocalPool(1), store))
    assert sum(c.cached for c in again) == kept


class AtOnce(Executor):
    """Everything is known as soon as it is submitted."""

    def submit(self, function, payload):
        future = Future()
        try:
            future.set_result(function(payload))
        except FitspecError as error:
            future.set_exception(error)
        return future


def test_answers_that_come_with_an_endpoints_last_word_are_kept(tasks, store, quick, monkeypatch):
    class Pool(WatchedPool):
        def open(self):
            return contextlib.nullcontext(AtOnce())

    monkeypatch.setattr(runner, "run_chunk", quick.close_down)

    with pytest.raises(EndpointError, match="closed for maintenance"):
        list(run_fits(tasks, Pool(4, habits=SINGLES), store))

    assert store.size()[0] == 3


def test_where_no_worker_lives_the_endpoint_is_given_up(tasks, store, quick, monkeypatch):
    monkeypatch.setattr(runner, "run_chunk", quick.die_always)
    monkeypatch.setattr(runner, "MAX_BROKEN", 3)

    with pytest.raises(EndpointError, match=r"^3 executors in a row broke: "):
        by_key(run_fits(tasks, LocalPool(1), store))


def test_a_point_that_hangs_is_stopped_by_its_worker(tasks, store):
    """The real worker: its clock, and a fit that never ends."""
    endless = replace(Question.from_dict(tasks[1].order["question"]), toys=10**9, seed=1)
    tasks[1].order["question"] = asdict(endless)
    start = time.monotonic()

    found = run_fits(tasks, LocalPool(2), store, Patience(deadline=1.0))

    error = "ExecutionError: not done after 1 s, the deadline"
    assert reasons(found, tasks) == only_the_culprit(error)
    assert time.monotonic() - start < 30


def test_silence_has_an_end(tasks, store, quick, monkeypatch):
    """A worker that cannot stop itself, or an answer that never comes."""
    monkeypatch.setattr(runner, "run_chunk", quick.hang)
    monkeypatch.setattr(runner, "GRACE", 0.5)
    pool = WatchedPool(2, habits=replace(SINGLES, seconds=0.01))

    found = run_fits(tasks, pool, store, Patience(deadline=0.5))

    silent = "WorkerLostError: no answer came for 1 s"
    assert reasons(found, tasks) == only_the_culprit(silent)
    assert len(pool.executors) == runner.MAX_LOST


def test_before_the_first_answer_there_may_be_a_queue(tasks, store, quick, monkeypatch):
    monkeypatch.setattr(runner, "run_chunk", quick.hang)
    monkeypatch.setattr(runner, "GRACE", 0.1)
    monkeypatch.setattr(runner, "MAX_LOST", 1)
    pool = WatchedPool(1, habits=replace(SINGLES, seconds=0.01))
    start = time.monotonic()

    found = run_fits(tasks[1:2], pool, store, Patience(deadline=0.1, queue=2.0))

    assert reasons(found, tasks)["signal_100_2"].startswith("WorkerLostError: no answer came for 2")
    assert time.monotonic() - start > 2.0


def test_someone_may_watch(tasks, store, quick):
    seen = []

    by_key(run_fits(tasks, WatchedPool(1, habits=SINGLES), store, watch=seen.append))

    assert seen[0] == Traffic(waiting=2, in_flight=2, workers=0, resent=0)
    last = seen[-1]  # two may come at a time
    assert last == Traffic(waiting=0, in_flight=last.in_flight, workers=1, resent=0)
    assert last.in_flight in {1, 2}


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
    for computed in found:
        [warning] = computed.warnings
        assert warning.startswith("the result store cannot be written: ")


def test_workers_of_another_version_refuse_with_both_versions(tasks, store, monkeypatch):
    """The workers' process is another: it has its own version."""
    monkeypatch.setattr(fitspec, "__version__", "99.0")

    found = by_key(run_fits(tasks, LocalPool(1), store))

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
