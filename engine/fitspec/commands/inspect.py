"""``fitspec inspect``."""

from __future__ import annotations

from typing import Annotated

import typer

from fitspec.commands.options import Mirror, Offline
from fitspec.errors import ExitCode


def inspect(
    workspace: Annotated[
        str,
        typer.Argument(metavar="WORKSPACE", help="A JSON file, ARCHIVE:MEMBER, or a spec."),
    ],
    patch: Annotated[
        str | None,
        typer.Argument(metavar="PATCH", help="A JSON file, a member, or a point of the spec."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--patch", metavar="NAME", help="Which patch of a PatchSet.")
    ] = None,
    measurement: Annotated[
        str | None,
        typer.Option("--measurement", metavar="NAME", help="Instead of the first, or the spec's."),
    ] = None,
    mirror: Mirror = None,
    offline: Offline = False,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    verbose: Annotated[bool, typer.Option("-v", help="All parameters, samples, findings.")] = False,
) -> int:
    """Look at a workspace and a patch: contents, changes, warnings."""
    from dataclasses import replace

    from rich.console import Console

    from fitspec.inspection import inspect as look_at
    from fitspec.inspection import subjects_of
    from fitspec.report.inspection import inspections_json, show_inspection
    from fitspec.session import Settings

    access = Settings.from_config(mirror, offline=offline).access
    subjects = subjects_of(workspace, patch, access, name=name)
    if measurement is not None:
        subjects = [replace(subject, measurement=measurement) for subject in subjects]
    found = [look_at(subject) for subject in subjects]
    if json:
        typer.echo(inspections_json(found).decode(), nl=False)
        return ExitCode.OK
    console = Console(highlight=False)
    for index, inspection in enumerate(found):
        if index:
            console.print()
        show_inspection(console, inspection, everything=verbose)
    return ExitCode.OK
