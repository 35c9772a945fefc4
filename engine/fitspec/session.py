"""A run from end to end: load, collect, plan, execute, check, report.

Nothing here prints; an observer is told what happens, and the report is returned.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from graphlib import TopologicalSorter
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import fitspec
from fitspec.checks import check, combine, cross_check
from fitspec.collect import Collection, collect
from fitspec.config import Config, cache_folder, load_config
from fitspec.errors import EndpointError
from fitspec.execute import Computed, Patience, ResultStore, prepare, run_fits
from fitspec.execute.choose import choose_endpoint
from fitspec.execute.endpoints import pool_of
from fitspec.execute.pool import Endpoint, Pool, Traffic
from fitspec.inventory import samples_of
from fitspec.lock import Level, require_locked
from fitspec.outcome import Outcome
from fitspec.plan import Plan, make_plan, with_cross_checks
from fitspec.results import (
    NOT_COMPUTED,
    STOPPED,
    CheckResult,
    Combined,
    PointResult,
    RunReport,
    SpecRecord,
    failures,
)
from fitspec.signals import uninterrupted
from fitspec.sources import Access
from fitspec.spec import SpecFile, find_specs
from fitspec.spec.endpoint import LOCAL
from fitspec.spec.models import Backend
from fitspec.spec.settings import settings_of
from fitspec.versions import code_digest


@dataclass(frozen=True, slots=True)
class Settings:
    """What the front end may set; None leaves the decision to the specification.

    Attributes:
        access: mirror, cache and network policy.
        results: folder of the result store.
        keywords: ``-k`` expression.
        only: node ids to keep; None: all.
        workers: number of workers.
        endpoint: name or kind of the endpoint.
        config: the user's configuration, after the specifications: endpoints and their workers.
        backend: name of the backend.
        reuse: read the result store.
        max_failures: stop after this many failed checks and points; 0 never stops.
        cross_check: number of random points to be fitted again by pyhf.
        locked: refuse what differs from the locks: in everything, or in all but the environment;
            None asks for no lock.
    """

    access: Access
    results: Path
    keywords: str = ""
    only: frozenset[str] | None = None
    workers: int | None = None
    endpoint: str | None = None
    config: Config = field(default_factory=Config)
    backend: str | None = None
    reuse: bool = True
    max_failures: int = 0
    cross_check: int = 0
    locked: Level | None = None

    @classmethod
    def from_config(cls, mirror: Path | None = None, *, offline: bool = False) -> Settings:
        """What the user's configuration and environment say; change it with `dataclasses.replace`.

        Args:
            mirror: instead of the configured one.
            offline: never touch the network.

        Raises:
            UsageError: the configuration is not understood.
        """
        config = load_config()
        cache = cache_folder(config)
        return cls(
            access=Access(cache / "sources", mirror or config.mirror, offline),
            results=cache / "results",
            config=config,
        )


class Observer(Protocol):
    """Is told what happens during a run."""

    def started(
        self, points: int, checks: int, deselected: int, specs: int, environment: Mapping[str, str]
    ) -> None:
        """So much is collected; fits are about to start."""

    def settled(self, points: Sequence[PointResult], checks: Sequence[CheckResult]) -> None:
        """A fit is done: the points it serves, and all checks that it decides."""

    def progressed(self, traffic: Traffic) -> None:
        """Chunks were submitted or came back."""

    def warned(self, message: str) -> None:
        """Something the user should know, once."""


class _Silence:
    """An observer that does nothing."""

    def started(self, *_: object) -> None: ...
    def settled(self, *_: object) -> None: ...
    def progressed(self, *_: object) -> None: ...
    def warned(self, *_: object) -> None: ...


Settled = tuple[Sequence[PointResult], Sequence[CheckResult]]
"""What one fit settles: the points it serves, and all checks that it decides."""


def run(
    arguments: Sequence[str], settings: Settings, observer: Observer | None = None
) -> RunReport:
    """Run specifications.

    Args:
        arguments: files, folders, bundles, or ``@name``.
        settings: see :class:`Settings`.
        observer: is told what happens; default: nobody is.

    Returns:
        the report, also of an interrupted run: points not computed are errors that say so.

    Raises:
        FitspecError: before any fit: invalid specifications, sources or selections.
    """
    return run_specs(find_specs(arguments, settings.access.unpack), settings, observer)


def run_specs(
    specs: Sequence[SpecFile], settings: Settings, observer: Observer | None = None
) -> RunReport:
    """The same as :func:`run` of specifications that are found already."""
    steps = stream(specs, settings, observer)
    try:
        while True:
            try:
                next(steps)
            except KeyboardInterrupt:  # in between two steps, or before the first
                steps.throw(KeyboardInterrupt)
    except StopIteration as end:
        report: RunReport = end.value
        return report


def stream(
    specs: Sequence[SpecFile], settings: Settings, observer: Observer | None = None
) -> Generator[Settled, None, RunReport]:
    """A run step by step: what is settled, as it is settled, and the report in the end.

    Closing the generator abandons the work in flight; what was yielded is in the result store.

    Args:
        specs: validated specifications.
        settings: see :class:`Settings`.
        observer: is told what happens, before it is yielded; default: nobody is.

    Raises:
        FitspecError: before any fit: sources or selections are wrong.
    """
    start = time.perf_counter()
    observer = observer or _Silence()
    specs = [with_backend(spec, settings.backend) for spec in specs]
    endpoint = choose_endpoint(specs, settings.config, settings.endpoint, settings.workers)
    pool = pool_of(endpoint)
    if endpoint.kind == LOCAL:
        prepare()
    collection = collect(specs, settings.access, settings.keywords, settings.only)
    plan = make_plan(collection)
    if settings.locked is not None:
        whole = collection.deselected == 0
        require_locked(specs, plan, settings.access, settings.locked, whole=whole)
    plan = with_cross_checks(plan, settings.cross_check)
    environment = _environment(plan, endpoint, pool)
    observer.started(
        len(collection.points),
        len(collection.expectations),
        collection.deselected,
        len(specs),
        environment,
    )
    ledger = _Ledger(plan)
    store = ResultStore(settings.results, read=settings.reuse)
    patience = Patience(endpoint.deadline, endpoint.queue)
    fits = run_fits(plan.fits.values(), pool, store, patience, observer.progressed)
    interrupted = yield from _execute(fits, ledger, settings, observer)
    return RunReport(
        specs=tuple(_record(spec, collection) for spec in specs),
        environment=environment,
        points=ledger.in_order(collection),
        combined=tuple(ledger.combined[c] for c in plan.combinations if c in ledger.combined),
        checks=ledger.checks_in_order(),
        deselected=collection.deselected,
        seconds=time.perf_counter() - start,
        interrupted=interrupted,
        samples=partial(samples_of, tuple(plan.fits.values())),
    )


def _record(spec: SpecFile, collection: Collection) -> SpecRecord:
    cases = [point.case for point in collection.points if point.spec is spec]
    notes = dict.fromkeys(note for case in cases for note in case.notes)
    name, settings = spec.spec.analysis.name, settings_of(spec.spec)
    return SpecRecord(spec.name, spec.sha256, name, tuple(notes), settings)


def _execute(
    fits: Generator[Computed], ledger: _Ledger, settings: Settings, observer: Observer
) -> Generator[Settled, None, bool]:
    """Compute and settle everything; True if it was interrupted."""
    warned: set[str] = set()
    failed = 0
    try:
        with closing(fits) as computed:
            for fit in computed:
                with uninterrupted():
                    points, checks = ledger.settle(fit)
                    observer.settled(points, checks)
                    for warning in fit.warnings:
                        if warning not in warned:
                            warned.add(warning)
                            observer.warned(warning)
                yield points, checks
                failed += len(failures(points, checks))
                failed += sum(check.outcome in {"failed", "unstable"} for check in checks)
                if settings.max_failures and failed >= settings.max_failures:
                    break
    except KeyboardInterrupt:
        ledger.give_up(f"{NOT_COMPUTED}: interrupted")
        return True
    except EndpointError as error:
        ledger.give_up(f"{NOT_COMPUTED}: {error}")
        observer.warned(f"the endpoint is given up: {error}")
        return False
    ledger.give_up(f"{STOPPED} {settings.max_failures}")
    return False


@dataclass
class _Ledger:
    """What is known so far; follows the plan's graph as fits come in."""

    plan: Plan
    results: dict[str, PointResult] = field(default_factory=dict)
    combined: dict[str, Combined] = field(default_factory=dict)
    checks: dict[str, list[CheckResult]] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sorter = TopologicalSorter(self.plan.graph)
        self._sorter.prepare()
        self._sorter.get_ready()  # the fits: they depend on nothing
        self._open = set(self.plan.fits)

    def settle(self, fit: Computed) -> tuple[list[PointResult], list[CheckResult]]:
        """Enter a fit's outcome; returns the points it serves and the checks it decides."""
        self._open.discard(fit.key)
        self.outcomes[fit.key] = fit.outcome
        task = self.plan.fits[fit.key]
        inputs = (task.background.digest, task.patch)
        points = [
            PointResult(p.spec.name, p.id, p.labels, fit.outcome, fit.cached, p.xsec_pb, *inputs)
            for p in self.plan.points[fit.key]
        ]
        self.results.update({point.node_id: point for point in points})
        return points, self._follow(fit.key)

    def give_up(self, reason: str) -> None:
        """Settle what was not computed as errors with a reason."""
        for key in sorted(self._open):
            self.settle(Computed(key, Outcome.failed(reason)))

    def in_order(self, collection: Collection) -> tuple[PointResult, ...]:
        """Results in the order of collection."""
        return tuple(self.results[point.node_id] for point in collection.points)

    def checks_in_order(self) -> tuple[CheckResult, ...]:
        """Checks in the order of collection, then cross-checks."""
        nodes = (*self.plan.expectations, *self.plan.cross_checks)
        return tuple(result for node in nodes for result in self.checks[node])

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
                    self.checks[node] = self._check(node)
                    decided += self.checks[node]
        return decided

    def _check(self, node: str) -> list[CheckResult]:
        if node in self.plan.expectations:
            expectation = self.plan.expectations[node]
            return [check(expectation, self._result(expectation.target.node_id))]
        pair = self.plan.cross_checks[node]
        point = self.plan.points[pair.key][0]
        return cross_check(self.results[point.node_id], self.outcomes[pair.reference])

    def _combine(self, node: str) -> None:
        combination = self.plan.combinations[node]
        results = [self.results[point.node_id] for point in combination.points]
        if (combined := combine(combination, results)) is not None:
            self.combined[node] = combined

    def _result(self, node: str) -> PointResult | None:
        if node in self.results:
            return self.results[node]
        return self.combined[node].result if node in self.combined else None


def with_backend(spec: SpecFile, name: str | None) -> SpecFile:
    """The specification with another backend; its own settings stay if it asks for that one."""
    if name is None or name == spec.spec.backend.name:
        return spec
    backend = Backend.model_validate({"name": name})
    return replace(spec, spec=spec.spec.model_copy(update={"backend": backend}))


def _environment(plan: Plan, endpoint: Endpoint, pool: Pool) -> dict[str, str]:
    questions = [fit.order["question"] for fit in plan.fits.values()]
    backends = {
        f"pyhf ({q['tensor']}, {q['optimizer']})" if q["backend"] == "pyhf" else q["backend"]
        for q in questions
    }
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "fitspec": fitspec.__version__,
        "code": code_digest()[:12],
        "numpy": version("numpy"),
        "scipy": version("scipy"),
        "pyhf": version("pyhf"),
        "backend": ", ".join(sorted(backends)),
        "endpoint": endpoint.title,
        "workers": str(pool.workers),
    }
