"""A run from end to end: load, collect, plan, execute, check, report.

Nothing here prints; an observer is told what happens, and the report is returned.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import fitspec
from fitspec.checks import check, combine
from fitspec.collect import Collection, collect
from fitspec.errors import NotYetError, UsageError
from fitspec.execute import Computed, LocalPool, ResultStore, run_fits
from fitspec.execute.local import available_cores
from fitspec.plan import Plan, make_plan
from fitspec.results import (
    NOT_COMPUTED,
    CheckResult,
    Combined,
    Outcome,
    PointResult,
    RunReport,
    SpecRecord,
)
from fitspec.sources import Access
from fitspec.spec import SpecFile, find_specs

LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the front end may set; None leaves the decision to the specification.

    Attributes:
        access: mirror, cache and network policy.
        results: folder of the result store.
        keywords: ``-k`` expression.
        workers: number of local workers.
        default_workers: the user configuration's number, after the specifications'.
        endpoint: kind or name of the endpoint.
        backend: name of the backend.
        reuse: read the result store.
        max_failures: stop after this many failed checks and points; 0 never stops.
    """

    access: Access
    results: Path
    keywords: str = ""
    workers: int | None = None
    default_workers: int | None = None
    endpoint: str | None = None
    backend: str | None = None
    reuse: bool = True
    max_failures: int = 0


class Observer(Protocol):
    """Is told what happens during a run."""

    def started(
        self, points: int, checks: int, deselected: int, specs: int, environment: Mapping[str, str]
    ) -> None:
        """So much is collected; fits are about to start."""

    def settled(self, point: PointResult, checks: Sequence[CheckResult]) -> None:
        """A point has its outcome, and these checks their verdicts."""

    def warned(self, message: str) -> None:
        """Something the user should know, once."""


def run(arguments: Sequence[str], settings: Settings, observer: Observer) -> RunReport:
    """Run specifications.

    Args:
        arguments: files, folders, or ``@name``.
        settings: see :class:`Settings`.
        observer: is told what happens.

    Returns:
        the report, also of an interrupted run: points not computed are errors that say so.

    Raises:
        FitspecError: before any fit: invalid specifications, sources or selections.
    """
    start = time.perf_counter()
    specs = find_specs(arguments)
    collection = collect(specs, settings.access, settings.keywords)
    workers = _local_workers(specs, settings)
    plan = make_plan(collection, settings.backend)
    environment = _environment(plan, workers)
    observer.started(
        len(collection.points),
        len(collection.expectations),
        collection.deselected,
        len(specs),
        environment,
    )
    ledger = _Ledger(plan)
    interrupted = _execute(plan, ledger, settings, workers, observer)
    return RunReport(
        specs=tuple(SpecRecord(s.name, s.sha256, s.spec.analysis.name) for s in specs),
        environment=environment,
        points=ledger.in_order(collection),
        combined=tuple(ledger.combined.values()),
        checks=tuple(ledger.checks[node] for node in plan.expectations),
        deselected=collection.deselected,
        seconds=time.perf_counter() - start,
        interrupted=interrupted,
    )


def _execute(
    plan: Plan, ledger: _Ledger, settings: Settings, workers: int, observer: Observer
) -> bool:
    """Compute and settle everything; True if it was interrupted."""
    store = ResultStore(settings.results, read=settings.reuse)
    warned: set[str] = set()
    failures = 0
    try:
        with closing(run_fits(plan.fits.values(), LocalPool(workers), store)) as computed:
            for fit in computed:
                if fit.warning and fit.warning not in warned:
                    warned.add(fit.warning)
                    observer.warned(fit.warning)
                for point, checks in ledger.settle(fit):
                    observer.settled(point, checks)
                    failures += point.outcome.status == "error"
                    failures += sum(c.outcome == "failed" for c in checks)
                if settings.max_failures and failures >= settings.max_failures:
                    break
    except KeyboardInterrupt:
        ledger.give_up(f"{NOT_COMPUTED}: interrupted")
        return True
    ledger.give_up(f"{NOT_COMPUTED}: stopped at --maxfail {settings.max_failures}")
    return False


@dataclass
class _Ledger:
    """What is known so far; follows the plan's graph as fits come in."""

    plan: Plan
    results: dict[str, PointResult] = field(default_factory=dict)
    combined: dict[str, Combined] = field(default_factory=dict)
    checks: dict[str, CheckResult] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sorter = TopologicalSorter(self.plan.graph)
        self._sorter.prepare()
        self._sorter.get_ready()  # the fits: they depend on nothing
        self._open = set(self.plan.fits)

    def settle(self, fit: Computed) -> Iterator[tuple[PointResult, list[CheckResult]]]:
        """Enter a fit's outcome; yields its points with all checks it decides."""
        self._open.discard(fit.key)
        points = [
            PointResult(p.spec.name, p.id, p.labels, fit.outcome, fit.cached)
            for p in self.plan.points[fit.key]
        ]
        for point in points:
            self.results[f"{point.spec}::{point.id}"] = point
        decided = self._follow(fit.key)
        for index, point in enumerate(points):
            last = index == len(points) - 1
            own = [c for c in decided if (c.spec, c.id) == (point.spec, point.id)]
            others = {(p.spec, p.id) for p in points}
            rest = [c for c in decided if (c.spec, c.id) not in others] if last else []
            yield point, own + rest

    def give_up(self, reason: str) -> None:
        """Settle what was not computed as errors with a reason."""
        for key in sorted(self._open):
            for _ in self.settle(Computed(key, Outcome.failed(reason))):
                pass

    def in_order(self, collection: Collection) -> tuple[PointResult, ...]:
        """Results in the order of collection."""
        return tuple(self.results[point.node_id] for point in collection.points)

    def _follow(self, done: str) -> list[CheckResult]:
        """Everything that follows from a node, combinations before their checks."""
        decided: list[CheckResult] = []
        finished = [done]
        while finished:
            self._sorter.done(*finished)
            finished = list(self._sorter.get_ready())
            for node in finished:
                if node in self.plan.combinations:
                    self._combine(node)
                else:
                    expectation = self.plan.expectations[node]
                    self.checks[node] = check(expectation, self._result(expectation.target.node_id))
                    decided.append(self.checks[node])
        return decided

    def _combine(self, node: str) -> None:
        combination = self.plan.combinations[node]
        results = [self.results[point.node_id] for point in combination.points]
        if (combined := combine(combination, results)) is not None:
            self.combined[node] = combined

    def _result(self, node: str) -> PointResult | None:
        if node in self.results:
            return self.results[node]
        return self.combined[node].result if node in self.combined else None


def _local_workers(specs: Sequence[SpecFile], settings: Settings) -> int:
    """Number of local workers: command line, specification, configuration, cores."""
    for spec in specs:
        kind = settings.endpoint or spec.spec.endpoint.kind
        if settings.endpoint is None and spec.spec.endpoint.name is not None:
            kind = spec.spec.endpoint.name
        if kind == LOCAL:
            continue
        if settings.endpoint is None:
            raise spec.error(
                ("endpoint",),
                f"not yet: this version of fitspec cannot run on {kind!r}",
                "run it here with --endpoint local",
                NotYetError,
            )
        raise UsageError(f"--endpoint {kind}: not yet: only {LOCAL!r} can be used", "")
    asked = [spec.spec.endpoint.workers for spec in specs]
    numbers = [number for number in asked if isinstance(number, int)]
    of_specs = max(numbers) if numbers else None
    return settings.workers or of_specs or settings.default_workers or available_cores()


def _environment(plan: Plan, workers: int) -> dict[str, str]:
    questions = [fit.order["question"] for fit in plan.fits.values()]
    backends = {f"{q['backend']} ({q['tensor']}, {q['optimizer']})" for q in questions}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "fitspec": fitspec.__version__,
        "numpy": version("numpy"),
        "scipy": version("scipy"),
        "pyhf": version("pyhf"),
        "backend": ", ".join(sorted(backends)),
        "endpoint": LOCAL,
        "workers": str(workers),
    }
