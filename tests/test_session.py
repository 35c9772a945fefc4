"""A run from end to end, as its observer and its report tell it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyhf
import pytest

from fitspec.config import Config, NamedEndpoint
from fitspec.errors import (
    EndpointError,
    FitspecError,
    NothingCollectedError,
    SpecError,
    UsageError,
)
from fitspec.execute import choose, endpoints
from fitspec.execute.pool import Habits, Traffic, explain
from fitspec.results import CheckResult, PointResult, RunReport
from fitspec.session import Settings, run, stream
from fitspec.sources import Access
from fitspec.spec import find_specs

IDS = ["signal_100_1", "signal_100_2", "signal_200_1", "signal_200_2"]


@dataclass
class Recorder:
    """An observer that writes down what it is told, and may act on it."""

    interrupt_at: str = ""
    started_with: tuple[Any, ...] = ()
    points: list[str] = field(default_factory=list)
    checks: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    traffic: list[Traffic] = field(default_factory=list)

    def started(
        self, points: int, checks: int, deselected: int, specs: int, environment: Mapping[str, str]
    ) -> None:
        self.started_with = (points, checks, deselected, specs)

    def settled(self, points: Sequence[PointResult], checks: Sequence[CheckResult]) -> None:
        self.points += [point.id for point in points]
        self.checks += [(f"{check.id}::{check.quantity}", check.outcome) for check in checks]
        if self.interrupt_at in self.points:
            raise KeyboardInterrupt

    def progressed(self, traffic: Traffic) -> None:
        self.traffic.append(traffic)

    def warned(self, message: str) -> None:
        self.warnings.append(message)


class Here(Executor):
    """Computes in this process, at once."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*args, **kwargs))
        return future


@dataclass
class PoolHere:
    workers: int
    executor: type[Executor] = Here
    habits = Habits(seconds=0.0, at_least=0.0)

    @contextlib.contextmanager
    def open(self) -> Iterator[Executor]:
        yield self.executor()

    def explain(self, error: BaseException) -> FitspecError:
        return explain(error)


@pytest.fixture
def here(monkeypatch) -> None:
    """Fits run in this process: no pool to start."""
    monkeypatch.setattr(endpoints, "LocalPool", PoolHere)


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(access=Access(tmp_path / "sources"), results=tmp_path / "results")


def append(folder: Path, text: str) -> None:
    with (folder / "small.toml").open("a") as file:
        file.write(text)


def expect(point: str, value: float, more: str = "") -> str:
    return f'\n[[expect]]\npoint = "{point}"\nCLs_obs = {value}\n{more}\n'


def known(report: RunReport) -> dict[str, float]:
    return {point.id: point.outcome.tests[0].CLs_obs for point in report.points}


def test_toys_are_the_same_on_any_worker_and_are_kept_by_their_seed(analysis, settings, here):
    append(analysis, '[inference]\ncalculator = "toys"\ntoys = 40\nseed = 5\n')
    alone = run(["small.toml"], settings)
    anew = replace(settings, reuse=False, workers=2, keywords="200_1 or 100_2")

    among_others = run(["small.toml"], anew)
    again = run(["small.toml"], settings)
    text = (analysis / "small.toml").read_text()
    (analysis / "small.toml").write_text(text.replace("seed = 5", "seed = 6"))
    others = run(["small.toml"], settings)

    assert alone.ok
    for point in alone.points:
        [test] = point.outcome.tests
        assert test.toys.thrown == 40
        assert 0 < test.toys.obs_error < 0.2
    chosen = {point: known(alone)[point] for point in ("signal_100_2", "signal_200_1")}
    assert known(among_others) == chosen
    assert [point.cached for point in again.points] == [True] * 4
    assert [point.cached for point in others.points] == [False] * 4
    assert known(again) == known(alone) != known(others)


@pytest.mark.parametrize("backend", ["native", "pyhf"])
def test_a_run_on_real_workers_computes_then_reads_the_store(analysis, settings, backend):
    settings = replace(settings, backend=backend)
    first_seen, second_seen = Recorder(), Recorder()

    first = run(["small.toml"], settings, first_seen)
    second = run(["small.toml"], settings, second_seen)

    assert first.ok
    assert not first.interrupted
    assert [point.id for point in first.points] == IDS
    assert sorted(first_seen.points) == second_seen.points == IDS
    assert first_seen.started_with == (4, 0, 0, 1)
    assert [point.cached for point in first.points] == [False] * 4
    assert [point.cached for point in second.points] == [True] * 4
    assert [point.outcome for point in second.points] == [p.outcome for p in first.points]


def test_both_backends_give_the_same_numbers_and_each_its_own_results(analysis, settings, here):
    ours, theirs, again = (
        run(["small.toml"], replace(settings, backend=backend), Recorder())
        for backend in ("native", "pyhf", "native")
    )

    assert known(ours) == pytest.approx(known(theirs), rel=1e-5)
    assert [[p.cached for p in report.points] for report in (ours, theirs, again)] == [
        [False] * 4, [False] * 4, [True] * 4
    ]  # fmt: skip
    assert known(again) == known(ours)


def test_another_table_of_cross_sections_needs_no_new_fit(analysis, settings, here):
    table = analysis / "xsec.csv"
    append(analysis, '[poi]\nupper_limit = 0.95\n[cross_section]\ntable = "xsec.csv"\n')
    append(analysis, 'on = "mass"\n')

    found = []
    for xsec_pb in (0.25, 0.5):
        table.write_text(f"mass,xsec_pb\n100,{xsec_pb}\n200,{xsec_pb / 8}\n")
        found.append(run(["small.toml"], settings, Recorder()).points)

    for first, second in zip(*found, strict=True):
        limit = first.outcome.upper_limit_obs
        xsec_pb = {100: 0.25, 200: 0.25 / 8}[first.labels["mass"]]
        assert (first.cached, second.cached) == (False, True)
        assert first.outcome == second.outcome
        assert first.upper_limit_xsec_obs == pytest.approx(limit * xsec_pb)
        assert second.upper_limit_xsec_obs == pytest.approx(2 * limit * xsec_pb)


@pytest.mark.parametrize("backend", ["native", "pyhf"])
def test_p0_may_be_expected(analysis, settings, here, backend):
    workspace = pyhf.Workspace(json.loads((analysis / "background.json").read_text()))
    patch = json.loads((analysis / "patch.signal_100_2.json").read_text())
    model = workspace.model(patches=[patch])
    p0 = float(pyhf.infer.hypotest(0.0, workspace.data(model), model, test_stat="q0"))
    assert 0.1 < p0 < 0.4
    append(analysis, '[inference]\ntest_statistic = "q0"\n')
    for value in (p0, p0 * 1.01):
        append(analysis, f'[[expect]]\npoint = "{IDS[1]}"\np0 = {value}\nrtol = 1e-4\n')

    report = run(["small.toml"], replace(settings, backend=backend), Recorder())

    assert [check.outcome for check in report.checks] == ["passed", "failed"]
    assert [check.quantity for check in report.checks] == ["p0", "p0"]
    assert {point.outcome.tests for point in report.points} == {()}
    assert all(point.outcome.discovery for point in report.points)


def test_a_fit_alone_may_be_expected_and_its_tests_may_not(analysis, settings, here):
    append(analysis, f'[fit]\nyields = true\n[[expect]]\npoint = "{IDS[0]}"\nmu_hat = 0.4\n')

    report = run(["small.toml"], settings, Recorder())
    again = run(["small.toml"], settings, Recorder())

    [check] = report.checks
    assert check.quantity == "mu_hat"
    assert check.actual == report.points[0].outcome.fit.signal.value
    assert [point.outcome for point in again.points] == [p.outcome for p in report.points]
    assert all(point.cached for point in again.points)
    append(analysis, f'[[expect]]\npoint = "{IDS[0]}"\nCLs_obs = 0.4\n')
    with pytest.raises(SpecError, match="CLs_obs is expected but not asked for"):
        run(["small.toml"], settings, Recorder())


def test_a_background_is_fitted_without_patches(analysis, settings, here):
    path = analysis / "small.toml"
    path.write_text(path.read_text().split("[patches]")[0] + "[fit]\nyields = true\n")

    report = run(["small.toml"], settings, Recorder())

    [point] = report.points
    assert report.ok
    assert (point.outcome.mu_hat, point.outcome.fit.poi) == (None, None)
    assert {y.channel for y in point.outcome.fit.yields} == {"SR", "CR"}


def test_the_report_names_specifications_and_environment(analysis, settings, here):
    report = run(["small.toml"], settings, Recorder())

    [spec] = report.specs
    assert (spec.path, spec.analysis, len(spec.sha256)) == ("small.toml", "small", 64)
    assert report.environment["backend"] == "native"
    assert report.environment["endpoint"] == "local"
    versions = {"python", "platform", "fitspec", "numpy", "scipy", "pyhf"}
    assert report.environment.keys() >= versions
    assert all(isinstance(value, str) for value in report.environment.values())
    assert report.seconds > 0


def test_checks_are_settled_with_their_points(analysis, settings, here):
    values = known(run(["small.toml"], settings, Recorder()))
    append(
        analysis,
        expect(IDS[2], values[IDS[2]])
        + expect(IDS[0], values[IDS[0]] + 0.1)
        + expect(IDS[1], values[IDS[1]] + 0.1, 'xfail = "known"'),
    )
    seen = Recorder()

    report = run(["small.toml"], settings, seen)

    assert seen.started_with == (4, 3, 0, 1)
    assert seen.points == IDS
    assert seen.checks == [
        (f"{IDS[0]}::CLs_obs", "failed"),
        (f"{IDS[1]}::CLs_obs", "xfailed"),
        (f"{IDS[2]}::CLs_obs", "passed"),
    ]
    assert [check.id for check in report.checks] == [IDS[2], IDS[0], IDS[1]]  # as in the spec
    assert (report.count("passed"), report.count("failed")) == (1, 1)
    assert not report.ok


def test_without_reuse_everything_is_computed_anew(analysis, settings, here):
    run(["small.toml"], settings, Recorder())

    again = run(["small.toml"], replace(settings, reuse=False), Recorder())

    assert [point.cached for point in again.points] == [False] * 4


def test_keywords_deselect(analysis, settings, here):
    seen = Recorder()

    report = run(["small.toml"], replace(settings, keywords="mass=100"), seen)

    assert [point.id for point in report.points] == IDS[:2]
    assert report.deselected == 2
    assert seen.started_with == (2, 0, 2, 1)


def test_two_specifications_that_ask_the_same_are_computed_once(analysis, settings, here):
    (analysis / "other.toml").write_text((analysis / "small.toml").read_text())
    seen = Recorder()

    report = run(["small.toml", "other.toml"], settings, seen)

    assert seen.points == [name for name in IDS for _ in range(2)]
    assert [point.spec for point in report.points] == ["small.toml"] * 4 + ["other.toml"] * 4
    assert len(list((settings.results).rglob("*.json"))) == 4


def test_a_point_that_fails_is_an_error_and_costs_nothing_else(analysis, settings, here):
    (analysis / "patch.signal_100_2.json").write_text("[]")
    append(analysis, expect(IDS[1], 0.5))

    report = run(["small.toml"], settings, Recorder())

    assert [point.outcome.status for point in report.points] == ["ok", "error", "ok", "ok"]
    [check] = report.checks
    assert (check.outcome, check.reason) == ("error", report.points[1].outcome.error)
    assert not report.ok


@pytest.mark.parametrize(
    ("max_failures", "computed"), [(0, 4), (1, 1), (2, 3), (9, 4)], ids=lambda value: str(value)
)
def test_a_run_stops_at_so_many_failures(analysis, settings, here, max_failures, computed):
    append(analysis, expect(IDS[0], 9.0))  # fails
    (analysis / "patch.signal_200_1.json").write_text("[]")  # no numbers

    report = run(["small.toml"], replace(settings, max_failures=max_failures), Recorder())

    reasons = [point.outcome.error or "" for point in report.points]
    stopped = f"not computed: stopped at --maxfail {max_failures}"
    assert [reason == stopped for reason in reasons] == [n >= computed for n in range(4)]
    assert report.not_computed == 4 - computed
    assert not report.interrupted


def test_an_interrupted_run_reports_what_it_has(analysis, settings, here):
    append(analysis, expect(IDS[0], 9.0) + expect(IDS[3], 9.0))

    report = run(["small.toml"], settings, Recorder(interrupt_at=IDS[1]))

    assert report.interrupted
    assert [point.id for point in report.points] == IDS
    assert [point.outcome.error for point in report.points] == [
        None,
        None,
        "not computed: interrupted",
        "not computed: interrupted",
    ]
    assert [(check.outcome, check.reason) for check in report.checks] == [
        ("failed", None),
        ("error", "not computed: interrupted"),
    ]
    assert not report.ok


@dataclass
class Impatient(Recorder):
    """Is hit by Ctrl-C in the middle of what it does."""

    finished: int = 0

    def settled(self, points: Sequence[PointResult], checks: Sequence[CheckResult]) -> None:
        super().settled(points, checks)
        if len(self.points) == 2:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)
        self.finished += 1


def test_ctrl_c_waits_until_a_point_is_settled(analysis, settings, here):
    another_thread = threading.Event()  # as a pool has; it could take the signal
    threading.Thread(target=another_thread.wait, args=(10,), daemon=True).start()
    seen = Impatient()

    report = run(["small.toml"], settings, seen)

    another_thread.set()
    assert report.interrupted
    assert len(seen.points) == seen.finished == 2
    assert report.not_computed == 2


def test_an_interrupted_run_is_resumed(analysis, settings, here):
    run(["small.toml"], settings, Recorder(interrupt_at=IDS[1]))

    report = run(["small.toml"], settings, Recorder())

    assert [point.cached for point in report.points] == [True, True, False, False]
    assert report.ok


@pytest.fixture
def regions(analysis) -> Path:
    """Two regions that are combined; B has more background, so A is expected to be better."""
    content = json.loads((analysis / "background.json").read_text())
    (analysis / "A.json").write_text(json.dumps(content))
    content["channels"][0]["samples"][0]["data"] = [500.0, 300.0]
    content["observations"][0]["data"] = [500.0, 300.0]
    (analysis / "B.json").write_text(json.dumps(content))
    text = (analysis / "small.toml").read_text().replace("background.json", "{region}.json")
    combined = '[parametrize]\nregion = ["A", "B"]\n[combine]\nbest_expected = "region"\n'
    (analysis / "small.toml").write_text(text + combined)
    return analysis


def test_combinations_take_the_best_expected_case(regions, settings, here):
    report = run(["small.toml"], settings, Recorder())

    assert [combined.id for combined in report.combined] == IDS
    assert {combined.chosen for combined in report.combined} == {f"A::{name}" for name in IDS}
    assert report.combined[0].candidates == ("A::signal_100_1", "B::signal_100_1")


def test_a_check_of_a_combination_is_settled_with_its_last_case(regions, settings, here):
    append(regions, expect(IDS[0], 9.0) + expect(f"B::{IDS[0]}", 9.0))
    seen = Recorder()

    run(["small.toml"], settings, seen)

    assert [check for check, _ in seen.checks] == [f"B::{IDS[0]}::CLs_obs", f"{IDS[0]}::CLs_obs"]


def test_a_combination_with_a_failed_case_is_not_made(regions, settings, here):
    append(regions, expect(IDS[0], 0.5))

    report = run(["small.toml"], settings, Recorder(interrupt_at=f"A::{IDS[3]}"))

    assert report.combined == ()
    [check] = report.checks
    assert check.reason == "a case of this combination has no numbers"


def test_a_store_that_cannot_be_written_is_one_warning(analysis, settings, here):
    settings.results.touch()
    seen = Recorder()

    report = run(["small.toml"], settings, seen)

    assert report.ok
    [warning] = seen.warnings
    assert warning.startswith("the result store cannot be written: ")


def test_an_endpoint_that_there_is_not_is_refused_before_anything_is_read(analysis, settings):
    append(analysis, '[endpoint]\nname = "river"\n')
    (analysis / "background.json").unlink()
    seen = Recorder()

    with pytest.raises(SpecError, match=r"^small.toml:12: endpoint.name: you have no endpoint"):
        run(["small.toml"], settings, seen)

    assert seen.started_with == ()


def test_an_endpoint_of_the_command_line_wins(analysis, settings, here):
    append(analysis, '[endpoint]\nname = "river"\n')

    report = run(["small.toml"], replace(settings, endpoint="local"), Recorder())

    assert report.ok
    assert report.environment["endpoint"] == "local"


def test_the_report_tells_name_kind_and_workers_of_the_endpoint(analysis, settings, here):
    mine = Config(endpoint="desk", endpoints={"desk": NamedEndpoint(kind="local", workers=3)})

    report = run(["small.toml"], replace(settings, config=mine), Recorder())

    assert report.environment["endpoint"] == "desk (local)"
    assert report.environment["workers"] == "3"


class Closing(Here):
    """Computes three chunks, and closes for good."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        Closing.left -= 1
        if Closing.left >= 0:
            return super().submit(function, *args, **kwargs)
        future: Future[Any] = Future()
        future.set_exception(EndpointError("the allocation is used up", "ask for more"))
        return future


def test_an_endpoint_that_is_given_up_leaves_points_that_say_so(analysis, settings, monkeypatch):
    Closing.left = 3
    monkeypatch.setattr(endpoints, "LocalPool", lambda workers: PoolHere(workers, Closing))
    seen = Recorder()

    report = run(["small.toml"], replace(settings, workers=1), seen)

    assert not report.ok
    assert not report.interrupted
    reasons = [point.outcome.error for point in report.points]
    lost = "not computed: the allocation is used up; ask for more"
    assert sorted(reasons, key=str) == [None, None, None, lost]
    assert report.not_computed == 1
    assert seen.warnings == ["the endpoint is given up: the allocation is used up; ask for more"]
    monkeypatch.setattr(endpoints, "LocalPool", PoolHere)
    again = run(["small.toml"], settings, Recorder())
    assert again.ok
    assert sum(point.cached for point in again.points) == 3


def test_a_deadline_of_the_specification_reaches_the_worker(analysis, settings, here):
    append(analysis, "[endpoint]\ndeadline = 1e-6\n")

    report = run(["small.toml"], settings, Recorder())

    error = "ExecutionError: not done after 1e-06 s, the deadline"
    assert [point.outcome.error for point in report.points] == 4 * [error]


def test_the_observer_hears_what_is_under_way(analysis, settings, here):
    seen = Recorder()

    run(["small.toml"], replace(settings, workers=1), seen)

    first, *_, last = seen.traffic
    assert (first.workers, last.workers, last.waiting) == (0, 1, 0)
    assert all(traffic.in_flight > 0 for traffic in seen.traffic[:-1])
    assert all(traffic.resent == 0 for traffic in seen.traffic)


@pytest.mark.parametrize(
    ("command_line", "spec", "configuration", "expected"),
    [
        (3, 4, 5, "3"),
        (None, 4, 5, "4"),
        (None, '"auto"', 5, "5"),
        (None, None, 5, "5"),
        (None, None, None, "7"),
        (None, '"auto"', None, "7"),
    ],
)
def test_the_number_of_workers(
    analysis, settings, here, monkeypatch, command_line, spec, configuration, expected
):
    monkeypatch.setattr(endpoints, "available_cores", lambda: 7)
    monkeypatch.setattr(choose, "available_cores", lambda: 7)
    if spec is not None:
        append(analysis, f"[endpoint]\nworkers = {spec}\n")
    config = Config() if configuration is None else Config(workers=configuration)
    chosen = replace(settings, workers=command_line, config=config)

    assert run(["small.toml"], chosen, Recorder()).environment["workers"] == expected


def test_of_several_specifications_the_largest_number_of_workers_holds(
    analysis, settings, here, monkeypatch
):
    monkeypatch.setattr(choose, "available_cores", lambda: 7)
    text = (analysis / "small.toml").read_text()
    for number in (2, 5, 3):
        content = f"{text}[endpoint]\nworkers = {number}\n"
        (analysis / f"{number}.toml").write_text(content)

    report = run(["2.toml", "5.toml", "3.toml"], settings, Recorder())

    assert report.environment["workers"] == "5"


@pytest.mark.parametrize(
    ("arguments", "change", "error"),
    [
        (["small.tmol"], {}, UsageError),
        (["small.toml"], {"keywords": "a or"}, UsageError),
        (["small.toml"], {"keywords": "mass=300"}, NothingCollectedError),
        (["broken.toml"], {}, SpecError),
    ],
    ids=["no file", "selection", "nothing selected", "invalid"],
)
def test_what_is_wrong_before_any_fit_is_raised(analysis, settings, arguments, change, error):
    (analysis / "broken.toml").write_text("fitspec = 2\n")
    seen = Recorder()

    with pytest.raises(error):
        run(arguments, replace(settings, **change), seen)

    assert seen.started_with == ()
    assert not settings.results.exists()


@pytest.mark.parametrize(
    ("table", "chosen", "backend"),
    [
        ('name = "native"', "pyhf", "pyhf (numpy, scipy)"),
        ('name = "pyhf"\noptimizer = "minuit"', "pyhf", "pyhf (numpy, minuit)"),
        ('name = "pyhf"\noptimizer = "minuit"', "native", "native"),
        ('name = "pyhf"', None, "pyhf (numpy, scipy)"),
    ],
    ids=["another backend", "the same backend", "back to the default", "the specification's own"],
)
def test_the_backend_may_be_overridden(analysis, settings, here, table, chosen, backend):
    append(analysis, f"[backend]\n{table}\n")
    settings = replace(settings, backend=chosen, keywords="mass=100")

    assert run(["small.toml"], settings, Recorder()).environment["backend"] == backend


def test_a_run_can_be_followed_step_by_step(analysis, settings, here):
    append(analysis, expect(IDS[0], 0.5))
    reports = []

    def follow() -> Iterator[Any]:
        reports.append((yield from stream(find_specs(["small.toml"]), settings)))

    seen = list(follow())

    assert sorted(point.id for points, _ in seen for point in points) == IDS
    assert [check.quantity for _, checks in seen for check in checks] == ["CLs_obs"]
    assert [replace(point, cached=True) for point in reports[0].points] == list(
        run(["small.toml"], settings).points
    )


def test_what_was_followed_is_kept_when_nobody_follows_any_more(analysis, settings, here):
    steps = stream(find_specs(["small.toml"]), settings)
    [first], _ = next(steps)
    steps.close()

    report = run(["small.toml"], settings)

    assert [point.id for point in report.points if point.cached] == [first.id]


def test_an_interruption_between_two_steps_is_one_of_the_run(analysis, settings, here):
    steps = stream(find_specs(["small.toml"]), settings)
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.throw(KeyboardInterrupt)

    assert end.value.value.interrupted
    assert end.value.value.not_computed == 3
