"""``fitspec record``."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from fitspec.commands.options import EndpointName, Keywords, Mirror, NoCache, Offline, Workers
from fitspec.errors import ExitCode, UsageError, counted

if TYPE_CHECKING:
    from fitspec.spec import SpecFile


def record(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="The specification.")],
    keywords: Keywords = "",
    table: Annotated[
        str | None,
        typer.Option("--table", metavar="FILE.csv", help="Write into a table beside it."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Change expectations without asking.")
    ] = False,
    workers: Workers = None,
    endpoint: EndpointName = None,
    mirror: Mirror = None,
    offline: Offline = False,
    no_cache: NoCache = False,
) -> int:
    """Run, and write what is measured into the specification as its expectations."""
    from rich.console import Console

    from fitspec import session
    from fitspec.collect import collect
    from fitspec.record import make_recording, provenance, require_table, write
    from fitspec.report import TerminalReport
    from fitspec.report.recording import print_obstacles, print_replacements

    file = _own(spec)
    if table is not None:
        require_table(file, table)
    settings = replace(
        session.Settings.from_config(mirror, offline=offline),
        keywords=keywords,
        workers=workers,
        endpoint=endpoint,
        reuse=not no_cache,
    )
    console = Console(highlight=False, soft_wrap=True)
    terminal = TerminalReport(console)
    try:
        report = session.run([spec], settings, terminal)
    finally:
        terminal.aborted()
    if report.interrupted:
        typer.echo("interrupted: nothing is recorded")
        return ExitCode.INTERRUPTED
    expectations = collect([file], settings.access, keywords).expectations
    recording = make_recording(file, expectations, report)
    print_obstacles(console, recording)
    whole = not (recording.failed or recording.left)
    if recording.replacements:
        print_replacements(console, recording.replacements)
        if not yes and not _agreed(len(recording.replacements)):
            typer.echo(f"{file.name} is left as it is")
            return ExitCode.CHECKS_FAILED
    if not recording.empty:
        day = datetime.now(UTC).date().isoformat()
        source = provenance(report.environment, day)
        write(file, recording, table, source, settings.access)
    typer.echo(
        f"{file.name}: {len(recording.additions)} added, {len(recording.replacements)} changed"
    )
    return ExitCode.OK if whole else ExitCode.CHECKS_FAILED


def _own(name: str) -> SpecFile:
    """The one specification, which must be the user's to change."""
    from fitspec.spec import find_specs

    if name.startswith("@"):
        raise UsageError(
            f"{name}: a curated specification is not recorded into", "copy it, and record into that"
        )
    found = find_specs([name])
    if len(found) > 1:
        problem = f"{name} holds {counted(len(found), 'specification')}"
        raise UsageError(problem, "record into one at a time")
    return found[0]


def _agreed(changes: int) -> bool:
    if not sys.stdin.isatty():
        raise UsageError(
            f"{counted(changes, 'expectation')} would change, and there is no terminal to ask at",
            "give --yes to change them all, or -k to leave some out",
        )
    return typer.confirm(f"Change {counted(changes, 'expectation')}?")
