"""``fitspec run``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from fitspec.commands.again import failed_again
from fitspec.commands.options import (
    EndpointName,
    Keywords,
    Mirror,
    NoCache,
    Offline,
    Specs,
    Workers,
)
from fitspec.commands.outputs import Outputs, tell_workflow
from fitspec.errors import ExitCode, UsageError


def run(
    specs: Specs,
    keywords: Keywords = "",
    workers: Workers = None,
    endpoint: EndpointName = None,
    backend: Annotated[
        str | None, typer.Option("--backend", metavar="NAME", help="Override backend.name.")
    ] = None,
    cross_check: Annotated[
        int,
        typer.Option("--cross-check", min=0, metavar="N", help="Fit N random points by pyhf, too."),
    ] = 0,
    mirror: Mirror = None,
    offline: Offline = False,
    no_cache: NoCache = False,
    first: Annotated[bool, typer.Option("-x", help="Stop at the first failure.")] = False,
    max_failures: Annotated[
        int, typer.Option("--maxfail", min=0, metavar="N", help="Stop after N failures.")
    ] = 0,
    last_failed: Annotated[
        bool, typer.Option("--lf", "--last-failed", help="Only what failed in the last run.")
    ] = False,
    slowest: Annotated[
        int | None,
        typer.Option("--durations", min=0, metavar="N", help="List the N slowest points; 0: all."),
    ] = None,
    locked: Annotated[
        bool, typer.Option("--locked", help="Refuse what differs from `fitspec lock`'s file.")
    ] = False,
    locked_inputs: Annotated[
        bool, typer.Option("--locked-inputs", help="The same, but in any environment.")
    ] = False,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write results.json here.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junitxml", metavar="FILE", help="Write JUnit XML here.")
    ] = None,
    plots: Annotated[
        Path | None, typer.Option("--plots", metavar="DIR", help="Draw plots into this folder.")
    ] = None,
    quiet: Annotated[
        int, typer.Option("-q", count=True, help="Only failures and the summary.")
    ] = 0,
    verbose: Annotated[int, typer.Option("-v", count=True, help="Every point as it comes.")] = 0,
) -> int:
    """Validate, expand, fit, check and report."""
    from rich.console import Console

    from fitspec import session
    from fitspec.report import LastFailed, TerminalReport
    from fitspec.report.github import no_commands

    if backend not in {None, "native", "pyhf"}:
        raise UsageError(f"--backend {backend}: there is none of this name", "native or pyhf")
    outputs = Outputs(json, junit, plots)
    outputs.require_writable(specs)
    settings = replace(
        session.Settings.from_config(mirror, offline=offline),
        keywords=keywords,
        workers=workers,
        endpoint=endpoint,
        backend=backend,
        reuse=not no_cache,
        max_failures=1 if first else max_failures,
        cross_check=cross_check,
        locked="all" if locked else "inputs" if locked_inputs else None,
    )
    memory, selection = LastFailed(settings.results.parent), ""
    if last_failed:
        settings, selection = failed_again(specs, settings, memory)
    terminal = TerminalReport(Console(highlight=False), verbose - quiet, slowest, selection)
    with no_commands(sys.stdout):
        try:
            report = session.run(specs, settings, terminal)
        finally:
            terminal.aborted()
        # the report is all that is left, and it is quick
        with _handling(signal.SIGINT, signal.SIG_IGN), _handling(signal.SIGTERM, signal.SIG_IGN):
            try:
                terminal.finished(report)
            finally:  # also where nobody can read the terminal
                outputs.write(report)
                memory.update(report, keywords)
    tell_workflow(report)
    outputs.draw(report)
    if report.interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.OK if report.ok else ExitCode.CHECKS_FAILED


@contextmanager
def _handling(number: signal.Signals, handler: Any) -> Iterator[None]:
    """Another handler for a signal, as long as the block lasts."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
