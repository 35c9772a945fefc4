"""Runs fit tasks on an endpoint, and survives what can happen to it.

What is lost is sent again in halves, down to single points: one that is never answered, because it
kills or blocks its worker every time, becomes that point's error and costs the others nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field, replace
from typing import Any

from fitspec import versions
from fitspec.errors import (
    EndpointAwayError,
    EndpointError,
    FitspecError,
    TooLargeError,
    WorkerLostError,
    counted,
)
from fitspec.execute.answers import read_answer
from fitspec.execute.chunks import Backlog, Chunk
from fitspec.execute.costs import Costs
from fitspec.execute.pool import Pool, Traffic
from fitspec.execute.store import ResultStore
from fitspec.outcome import Outcome
from fitspec.plan import FitTask
from fitspec.worker import Limits, run_chunk

MAX_LOST = 3
"""A single point that is lost so often is an error."""

MAX_BROKEN = 20
"""Executors that break in a row, with no answer in between, before the endpoint is given up."""

QUICK, SLOW = 600.0, 86_400.0
"""Seconds a point may take where nobody says: native fits take milliseconds, toys of pyhf days."""

GRACE = 10.0
"""Seconds for what is not computing: the way there and back, and a worker's start."""

BUDGET = 3.0
"""A chunk may take so many times what it should; its worker then answers with what it has."""


UNUSABLE = (RuntimeError, OSError, EOFError)
"""What submitting to an executor raises that is shut, or whose processes' parent is gone."""


@dataclass(frozen=True, slots=True)
class Computed:
    """The outcome of one fit task.

    Attributes:
        key: of the task.
        outcome: numbers, or why there are none.
        cached: it came from the store.
        warnings: what the user should know once.
    """

    key: str
    outcome: Outcome
    cached: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an answer may take.

    Attributes:
        deadline: seconds a point may take; None: by what is asked.
        queue: seconds until the first answer of an executor may come, on top: batch systems let
            jobs wait.
    """

    deadline: float | None = None
    queue: float = 0.0

    def for_point(self, chunk: Chunk) -> float:
        """Seconds that each of the chunk's points may take."""
        return self.deadline or (QUICK if all(task.quick for task in chunk.tasks) else SLOW)


def run_fits(
    tasks: Iterable[FitTask],
    pool: Pool,
    store: ResultStore,
    patience: Patience = Patience(),
    watch: Callable[[Traffic], None] = lambda _: None,
) -> Generator[Computed]:
    """Outcomes of fit tasks as they become known: stored ones first, then computed ones.

    Closing the iterator abandons the work in flight. Every outcome is in the store before it is
    yielded.

    Args:
        tasks: what to compute.
        pool: where.
        store: where outcomes are looked up and kept.
        patience: when an answer is taken for lost.
        watch: is told of what is under way.

    Raises:
        EndpointError: no more work can be done there; what is known by then has been yielded.
    """
    missing = []
    for task in tasks:
        stored = store.get(task.key)
        if stored is None:
            missing.append(task)
        else:
            yield Computed(task.key, stored, cached=True)
    backlog = Backlog(Costs())
    backlog.add(missing)
    run = _Run(pool, backlog, patience, watch)
    for key, outcome in run.outcomes():
        warnings = [*run.warnings]
        try:
            store.put(key, outcome)
        except OSError as error:
            reason = error.strerror or str(error)  # without the file's name, which differs by key
            warnings.append(f"the result store cannot be written: {reason}: {store.folder}")
        yield Computed(key, outcome, warnings=tuple(warnings))


Settled = Iterator[tuple[str, Outcome]]


@dataclass
class _Run:
    """The work of one run, over all executors that it takes."""

    pool: Pool
    backlog: Backlog
    patience: Patience
    watch: Callable[[Traffic], None]
    warnings: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._flights: dict[Future[Any], Chunk] = {}
        self._workers: set[str] = set()
        self._heard = 0.0  # when work was last sent into the silence, or an answer came
        self._answers = 0
        self._broken = 0
        self._resent = 0
        self._resume = 0.0  # when an endpoint that was away may be back

    def outcomes(self) -> Settled:
        while self.backlog:
            self._answers = 0
            with self.pool.open() as executor:
                yield from self._use(executor)

    def _use(self, executor: Executor) -> Settled:
        """Until all is done, or this executor is of no more use."""
        while self.backlog or self._flights:
            try:
                self._submit(executor)
            except UNUSABLE as refused:
                yield from self._executor_broke(refused)
                return
            if not self._flights:
                time.sleep(self._pause_left())
                continue
            silence = self._seconds_left()
            done, _ = wait(
                self._flights, min(silence, self._pause_left() or silence), FIRST_COMPLETED
            )
            if not done and self._seconds_left() > 0:
                continue
            if not done:
                yield from self._fell_silent()
                return
            self._heard = time.monotonic()
            broken: list[tuple[Chunk, BrokenExecutor]] = []
            in_order = [future for future in self._flights if future in done]
            # answers first: an error may end the run
            for future in sorted(in_order, key=lambda future: _error_of(future) is not None):
                chunk, error = self._flights.pop(future), _error_of(future)
                if error is None:
                    yield from self._settle(chunk, future.result())
                elif isinstance(error, BrokenExecutor):
                    broken.append((chunk, error))
                else:
                    yield from self._failed(chunk, self.pool.explain(error))
            if broken:
                self._flights.update({Future(): chunk for chunk, _ in broken})
                yield from self._executor_broke(broken[0][1])
                return

    def _submit(self, executor: Executor) -> None:
        habits = self.pool.habits
        while self.backlog and len(self._flights) < self._most_in_flight():
            if self._pause_left() > 0:
                break
            share = self.backlog.seconds() / (2 * self.pool.workers)
            chunk = self.backlog.take(min(habits.seconds, max(habits.at_least, share)))
            payload = chunk.payload(self._limits(chunk), habits.compression)
            size = len(payload["background"]) + len(payload["points"])
            if habits.max_bytes is not None and size > habits.max_bytes and len(chunk.tasks) > 1:
                self.backlog.again.extendleft(reversed(chunk.halves()))
                continue
            if not self._flights:
                self._heard = time.monotonic()
            try:
                self._flights[executor.submit(run_chunk, payload)] = chunk
            except BaseException:
                self.backlog.again.appendleft(chunk)
                raise
        self._tell()

    def _most_in_flight(self) -> float:
        habits, workers = self.pool.habits, self.pool.workers
        if any(chunk.alone for chunk in self._flights.values()):
            return 0
        if self.backlog.next_alone:
            return 1
        if habits.in_flight is not None:
            return workers * habits.in_flight
        # many and large ones only when it is known what they take
        return float("inf") if self.backlog.measured else workers

    def _limits(self, chunk: Chunk) -> Limits:
        habits, point = self.pool.habits, self.patience.for_point(chunk)
        return Limits(
            point=point, chunk=min(BUDGET * habits.seconds, point), bytes=habits.max_bytes
        )

    def _seconds_left(self) -> float:
        """Until the silence has lasted longer than any chunk in flight may take."""
        allowed = max(map(self._allowance, self._flights.values()))
        return max(0.0, self._heard + allowed - time.monotonic())

    def _pause_left(self) -> float:
        lost = self.backlog.again and self.backlog.again[0].lost
        return max(0.0, self._resume - time.monotonic()) if lost else 0.0

    def _allowance(self, chunk: Chunk) -> float:
        limits = self._limits(chunk)
        queue = 0.0 if self._answers else self.patience.queue
        return (limits["point"] or 0.0) + (limits["chunk"] or 0.0) + GRACE + queue

    def _settle(self, chunk: Chunk, answer: Any) -> Settled:
        self._answers += 1
        self._broken = 0
        try:
            outcomes = read_answer(answer, [task.order for task in chunk.tasks])
        except FitspecError as error:
            yield from _refused(chunk, error)
            return
        self._compare_libraries(answer["libraries"])
        for task, outcome in zip(chunk.tasks, outcomes, strict=False):
            self.backlog.costs.learn(task, outcome.seconds)
            self._workers.add(outcome.worker)
            yield task.key, outcome
        if rest := chunk.tasks[len(outcomes) :]:
            self.backlog.again.append(Chunk(rest))

    def _failed(self, chunk: Chunk, error: FitspecError) -> Settled:
        if isinstance(error, EndpointError):
            raise error
        if isinstance(error, EndpointAwayError):
            self._away(chunk, error)
        elif isinstance(error, WorkerLostError):
            yield from self._lost(chunk, error)
        elif isinstance(error, TooLargeError) and len(chunk.tasks) > 1:
            self.backlog.again.extend(chunk.halves())
        else:
            yield from _refused(chunk, error)

    def _away(self, chunk: Chunk, error: FitspecError) -> None:
        """Send it again after a pause, unless the endpoint has had its chances."""
        if chunk.lost >= MAX_LOST:
            raise EndpointError(str(error))
        self._resent += 1
        self._resume = time.monotonic() + self.pool.habits.pause
        self.backlog.again.append(replace(chunk, lost=chunk.lost + 1))

    def _lost(self, chunk: Chunk, error: FitspecError) -> Settled:
        """Send it again, unless it is a single point that has had its tries."""
        if len(chunk.tasks) == 1 and chunk.lost + 1 >= MAX_LOST:
            yield from _refused(chunk, error)
        else:
            self._resent += 1
            self.backlog.again.extendleft(reversed(chunk.after_loss()))

    def _executor_broke(self, error: Exception) -> Settled:
        self._broken += 1
        if self._broken >= MAX_BROKEN:
            problem = f"{counted(self._broken, 'executor')} in a row broke: {_brief(error)}"
            raise EndpointError(problem, "no worker can start there")
        chunks = list(self._flights.values())
        self._flights.clear()
        if self.pool.habits.isolate and len(chunks) > 1:
            # nobody can say which of them it was: each is tried alone
            self.backlog.again.extendleft(replace(chunk, alone=True) for chunk in reversed(chunks))
            return
        died = WorkerLostError("the worker died while computing this point (killed, or crashed)")
        for chunk in chunks:
            yield from self._lost(chunk, died)

    def _fell_silent(self) -> Settled:
        chunks = list(self._flights.values())
        silence = max(map(self._allowance, chunks))
        self._flights.clear()
        for chunk in chunks:
            yield from self._lost(chunk, WorkerLostError(f"no answer came for {silence:.0f} s"))

    def _compare_libraries(self, theirs: dict[str, str]) -> None:
        ours = versions.of_libraries()
        if differing := sorted(name for name in ours if theirs.get(name) != ours[name]):
            there = ", ".join(f"{name} {theirs.get(name)}" for name in differing)
            here = ", ".join(ours[name] for name in differing)
            self.warnings.add(f"the endpoint computes with {there}; here it is {here}")

    def _tell(self) -> None:
        self.watch(
            Traffic(
                waiting=len(self.backlog),
                in_flight=len(self._flights),
                workers=len(self._workers),
                resent=self._resent,
            )
        )


def _refused(chunk: Chunk, error: FitspecError) -> Settled:
    reason = f"{type(error).__name__}: {error}"
    for task in chunk.tasks:
        yield task.key, Outcome.failed(reason)


def _brief(error: Exception) -> str:
    return str(error) or type(error).__name__


def _error_of(future: Future[Any]) -> BaseException | None:
    if future.cancelled():
        return WorkerLostError("the endpoint cancelled it")
    return future.exception()
