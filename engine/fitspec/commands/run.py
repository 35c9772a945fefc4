"""``fitspec run``."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from fitspec.commands.options import Keywords, Mirror, Offline, Specs, require_writable
from fitspec.errors import ExitCode, UsageError


def run(
    specs: Specs,
    keywords: Keywords = "",
    workers: Annotated[
        int | None,
        typer.Option("-n", "--workers", min=1, max=1024, help="Workers."),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", metavar="NAME", help="Where: a name of yours, or a kind."),
    ] = None,
    backend: Annotated[
        str | None, typer.Option("--backend", metavar="NAME", help="Override backend.name.")
    ] = None,
    cross_check: Annotated[
        int,
        typer.Option("--cross-check", min=0, metavar="N", help="Fit N random points by pyhf, too."),
    ] = 0,
    mirror: Mirror = None,
    offline: Offline = False,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Compute everything anew; results are kept.")
    ] = False,
    first: Annotated[bool, typer.Option("-x", help="Stop at the first failure.")] = False,
    max_failures: Annotated[
        int, typer.Option("--maxfail", min=0, metavar="N", help="Stop after N failures.")
    ] = 0,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write results.json here.")
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", help="Only failures and the summary.")] = False,
    verbose: Annotated[bool, typer.Option("-v", help="Every point as it comes.")] = False,
) -> int:
    """Validate, expand, fit, check and report."""
    from rich.console import Console

    from fitspec import session
    from fitspec.report import TerminalReport, to_json

    if backend not in {None, "native", "pyhf"}:
        raise UsageError(f"--backend {backend}: there is none of this name", "native or pyhf")
    if json is not None:
        require_writable("--json", json)
    settings = replace(
        session.Settings.from_config(mirror, offline=offline),
        keywords=keywords,
        workers=workers,
        endpoint=endpoint,
        backend=backend,
        reuse=not no_cache,
        max_failures=1 if first else max_failures,
        cross_check=cross_check,
    )
    terminal = TerminalReport(Console(highlight=False), verbosity=verbose - quiet)
    try:
        with _handling(signal.SIGTERM, _interrupt):  # batch systems end a job with it
            report = session.run(specs, settings, terminal)
    finally:
        terminal.aborted()
    # the report is all that is left, and it is quick
    with _handling(signal.SIGINT, signal.SIG_IGN), _handling(signal.SIGTERM, signal.SIG_IGN):
        try:
            terminal.finished(report)
        finally:  # also where nobody can read the terminal
            if json is not None:
                json.write_bytes(to_json(report))
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


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
