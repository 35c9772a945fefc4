"""The terminal: a header, progress while points come in, results, failures, one summary line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from fitspec.errors import counted
from fitspec.execute.pool import Traffic
from fitspec.outcome import Toys
from fitspec.report.comparison import comparison
from fitspec.report.counts import counts
from fitspec.report.durations import durations
from fitspec.report.fits import brief, fit_tables
from fitspec.report.limits import limits_table
from fitspec.report.tables import print_table
from fitspec.results import (
    NOT_COMPUTED,
    CheckResult,
    PointResult,
    RunReport,
    failures,
)

RESULTS_SHOWN = 20
"""More points, or tests, than this are listed only with -v."""


class TerminalReport:
    """Writes a run to a console; a live progress bar if that is a terminal, dots if not.

    Args:
        console: where to write.
        verbosity: -1 only failures and the summary, 0 normal, 1 every point as it comes.
        slowest: so many of the slowest points are listed; 0: all, None: none.
        selection: what was chosen, and why, where that is worth a line.
    """

    def __init__(
        self,
        console: Console,
        verbosity: int = 0,
        slowest: int | None = None,
        selection: str = "",
    ) -> None:
        self._console = console
        self._verbosity = verbosity
        self._slowest = slowest
        self._selection = selection
        self._progress: _Progress | None = None
        self._dots = 0
        self._column = 0
        self._total = 0
        self._news = (0, 0)

    def started(
        self, points: int, checks: int, deselected: int, specs: int, environment: Mapping[str, str]
    ) -> None:
        """Header, and the start of the progress display."""
        self._total = points
        if self._verbosity >= 0:
            env = environment
            self._rule("fitspec run")
            self._print(
                f"fitspec {env['fitspec']}, Python {env['python']}, numpy {env['numpy']}, "
                f"pyhf {env['pyhf']}"
            )
            workers = f"{env['workers']} worker{'s' * (env['workers'] != '1')}"
            self._print(f"backend: {env['backend']}; endpoint: {env['endpoint']}, {workers}")
            left_out = f", {counted(deselected, 'point')} deselected" if deselected else ""
            self._print(
                f"collected {counted(points, 'point')} and {counted(checks, 'check')} "
                f"from {counted(specs, 'specification')}{left_out}"
            )
            self._print(f"{self._selection}\n" if self._selection else "")
        if self._console.is_terminal and self._verbosity >= 0:
            self._progress = _progress(self._console)
            self._progress.add_task("fits", total=points)
            self._progress.start()

    def settled(self, points: Sequence[PointResult], checks: Sequence[CheckResult]) -> None:
        """Points are done: a dot each, a step of the bar, or a line."""
        marks = {(c.spec, c.id): "F" for c in checks if c.outcome in {"failed", "unstable"}}
        marks |= {(point.spec, point.id): "E" for point in failures(points, checks)}
        for point in points:
            if self._verbosity > 0:
                self._print(_line(point))
            elif self._progress is None and self._verbosity == 0:
                self._dot(marks.get((point.spec, point.id), "."))
            if self._progress is not None:
                self._progress.advance(self._progress.task_ids[0])

    def progressed(self, traffic: Traffic) -> None:
        """The bar tells what is under way; with -v, a line does where that is news."""
        if self._progress is not None:
            self._progress.under_way = _under_way(traffic)
        news = (traffic.workers, traffic.resent)
        if self._verbosity > 0 and news != self._news:
            waiting = counted(traffic.waiting, "point")
            self._print(f"{_under_way(traffic)}, {waiting} waiting")
        self._news = news

    def warned(self, message: str) -> None:
        """A warning, at once."""
        self._end_dots()
        self._print(Text(f"warning: {message}", style="yellow"))

    def finished(self, report: RunReport) -> None:
        """Results, failures and the summary line."""
        self._close()
        if self._verbosity >= 0 and len(report.points) <= RESULTS_SHOWN:
            self._results(report)
        if self._verbosity >= 0:
            for spec in report.specs:
                for note in spec.notes:
                    self._print(f"note: {spec.path}: {note}")
        if report.combined and self._verbosity >= 0:
            self._combined(report)
        self._failed_points(report)
        self._failed_checks(report)
        self._xfailed_checks(report)
        self._durations(report)
        self._summary(report)

    def aborted(self) -> None:
        """Give the terminal back after an error."""
        self._close()

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        self._end_dots()

    def _end_dots(self) -> None:
        if self._column:
            self._print("")
            self._column = 0

    def _dot(self, mark: str) -> None:
        self._dots += 1
        self._column += 1
        end = ""
        if self._column == _DOTS_PER_LINE or self._dots == self._total:
            pad = " " * (_DOTS_PER_LINE - self._column)
            end = f"{pad} [{100 * self._dots // self._total:3d}%]\n"
            self._column = 0
        self._console.print(Text(mark), end=end)

    def _results(self, report: RunReport) -> None:
        table = Table(box=None, pad_edge=False, header_style="bold")
        several = len(report.specs) > 1
        mus = {test.mu for point in report.points for test in point.outcome.tests}
        one_mu = len(mus) == 1
        at_mu = f"  (mu = {mus.pop():g})" if one_mu else ""
        table.add_column(f"point{at_mu}", no_wrap=True)
        for column in ("mu",) * (not one_mu) + ("CLs obs", "exp [-1, +1 sigma]", "mu_hat"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        tests = sum(len(point.outcome.tests) for point in report.points)
        for point in report.points if tests <= RESULTS_SHOWN else ():
            name = point.node_id if several else point.id
            for test in point.outcome.tests:
                low, median, high = map(_number, test.CLs_exp[1:4])
                excluded = "excluded" if test.excluded() else ""
                mu = [] if one_mu else [f"{test.mu:g}"]
                row = [name, *mu, _measured(test.CLs_obs, test.toys), f"{median} [{low}, {high}]"]
                table.add_row(*map(Text, [*row, f"{point.outcome.mu_hat:.3f}", excluded]))
        limits = limits_table(report.points, full_names=several)
        fits = fit_tables(report.points, self._verbosity)
        for listed in (table, limits, _discoveries(report.points), *fits):
            if listed.row_count:
                self._print("")
                self._print_table(listed)
        for point in report.points:
            fit_notes = point.outcome.fit.notes if point.outcome.fit else ()
            for note in (*point.outcome.notes, *fit_notes):
                self._print(f"note: {point.id}: {note}")

    def _combined(self, report: RunReport) -> None:
        counts: dict[str, int] = {}
        for combined in report.combined:
            case = combined.chosen.removesuffix(f"::{combined.id}")
            counts[case] = counts.get(case, 0) + 1
        listed = ", ".join(f"{case} {number}" for case, number in sorted(counts.items()))
        self._print(f"\nbest expected case of {counted(len(report.combined), 'signal')}: {listed}")

    def _failed_points(self, report: RunReport) -> None:
        if not report.failed_points:
            return
        self._rule("ERRORS")
        reasons: dict[str, list[PointResult]] = {}
        for point in report.failed_points:
            reasons.setdefault(point.outcome.error or "", []).append(point)
        for reason, points in reasons.items():
            if reason.startswith(NOT_COMPUTED) and len(points) > 1 and self._verbosity <= 0:
                self._print(f"{counted(len(points), 'point')} {reason}")
                continue
            shown = points if self._verbosity > 0 else points[:3]
            for point in shown:
                self._print(f"{point.node_id}: {reason}")
            if len(points) > len(shown):
                self._print(f"... and {counted(len(points) - len(shown), 'point')} more: {reason}")

    def _failed_checks(self, report: RunReport) -> None:
        failed = [check for check in report.checks if check.outcome in {"failed", "unstable"}]
        if failed:
            self._rule("FAILURES")
        for check in failed:
            at_mu = "" if check.mu is None else f" at mu = {check.mu:g}"
            verdict = ": unstable" if check.outcome == "unstable" else ""
            self._print(Text(f"{check.node_id}{at_mu}{verdict}", style="bold"))
            self._print_table(comparison(check))
            if check.source:
                self._print(f"  source: {check.source}")
            if check.outcome == "unstable" and check.reason:
                self._print(f"  {check.reason}")
        not_compared = [c for c in report.checks if c.outcome == "error" and c.expected is None]
        for check in not_compared:
            self._print(f"{check.node_id}: no cross-check: {check.reason}")

    def _xfailed_checks(self, report: RunReport) -> None:
        known = [c for c in report.checks if c.outcome in {"xfailed", "xpassed"}]
        if self._verbosity > 0:
            for check in known:
                self._print(f"{check.outcome}: {check.node_id}: {check.reason}")

    def _durations(self, report: RunReport) -> None:
        if self._slowest is not None:
            number = f"{self._slowest} " if self._slowest else ""
            self._rule(f"slowest {number}durations")
            for line in durations(report.points, self._slowest):
                self._print(line)

    def _summary(self, report: RunReport) -> None:
        style = "green" if report.ok and not report.interrupted else "red"
        self._rule(f"{counts(report)} in {report.seconds:.1f} s", style)

    def _rule(self, text: str, style: str = "") -> None:
        if len(text) + 4 > self._console.width:  # a rule would cut it off
            self._print(Text(text, style=style))
        else:
            self._console.print(Rule(Text(text, style=style), characters="=", style=style))

    def _print(self, text: str | Text) -> None:
        self._console.print(Text(text) if isinstance(text, str) else text, soft_wrap=True)

    def _print_table(self, table: Table) -> None:
        print_table(self._console, table)


_DOTS_PER_LINE = 72


class _Rate(ProgressColumn):
    """Points per second, or seconds per point where that reads better."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:.1f} points/s" if speed >= 1 else f"{1 / speed:.1f} s/point")


def _under_way(traffic: Traffic) -> str:
    resent = f", {traffic.resent} sent again" if traffic.resent else ""
    chunks = f"{counted(traffic.in_flight, 'chunk')} in flight{resent}"
    return f"{counted(traffic.workers, 'worker')}, {chunks}"


class _Progress(Progress):
    """The bar, and a line on what is under way below it."""

    under_way = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        if self.under_way:
            yield Text(f"  {self.under_way}", style="dim")


def _progress(console: Console) -> _Progress:
    return _Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def _discoveries(points: Sequence[PointResult]) -> Table:
    """p0 and significance of the points that q0 was asked for."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("point  (mu = 0)", "p0", "exp [+1, -1 sigma]", "significance", "mu_hat"):
        table.add_column(column, justify="left" if table.columns == [] else "right", no_wrap=True)
    for point in points:
        if (found := point.outcome.discovery) is not None:
            low, median, high = map(_number, found.p0_exp[1:4])
            row = [point.id, _measured(found.p0, found.toys), f"{median} [{low}, {high}]"]
            significance = "" if found.significance is None else f"{found.significance:.2f}"
            row += [significance, f"{point.outcome.mu_hat:.3f}"]
            table.add_row(*map(Text, row))
    return table


def _line(point: PointResult) -> str:
    outcome = point.outcome
    if outcome.status == "error":
        return f"{point.node_id} ERROR {outcome.error}"
    tests = "; ".join(
        f"mu = {t.mu:g}: CLs obs {_measured(t.CLs_obs, t.toys)}, exp {_number(t.CLs_exp[2])}"
        for t in outcome.tests
    )
    if outcome.discovery is not None:
        tests = f"p0 {_measured(outcome.discovery.p0, outcome.discovery.toys)}"
    if outcome.upper_limit_exp is not None:
        median = _number(outcome.upper_limit_exp[2])
        limit = f"limit obs {_number(outcome.upper_limit_obs)}, exp {median}"
        tests = "; ".join(filter(None, (tests, limit)))
    if outcome.fit is not None and not tests:
        tests = brief(outcome.fit)
    how = "stored" if point.cached else f"{outcome.seconds:.1f} s"
    return f"{point.node_id} {tests} ({how})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _measured(value: float, toys: Toys | None) -> str:
    """A number with its statistical uncertainty, if it has one: 0.0456(12) is 0.0456 +- 0.0012."""
    if toys is None:
        return _number(value)
    decimals = max(0, 1 - math.floor(math.log10(toys.obs_error)))
    return f"{value:.{decimals}f}({toys.obs_error * 10**decimals:.0f})"
