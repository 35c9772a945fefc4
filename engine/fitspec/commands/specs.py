"""Commands that look at specifications and fit nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fitspec.commands.options import Keywords, Mirror, Offline, Specs, collected, unpack
from fitspec.errors import ExitCode, counted


def collect(
    specs: Specs, keywords: Keywords = "", mirror: Mirror = None, offline: Offline = False
) -> int:
    """List the node ids of points and checks."""
    found = collected(specs, keywords, mirror, offline)
    for node in found.node_ids:
        typer.echo(node)
    left_out = f", {counted(found.deselected, 'point')} deselected" if found.deselected else ""
    typer.echo(
        f"\n{counted(len(found.points), 'point')}, "
        f"{counted(len(found.combinations), 'combination')} and "
        f"{counted(len(found.expectations), 'check')} "
        f"in {counted(len(found.specs), 'specification')}{left_out}"
    )
    return ExitCode.OK


def validate(
    specs: Specs,
    skip_others: Annotated[
        bool, typer.Option("--skip-others", help="Pass over named files that are no specification.")
    ] = False,
) -> int:
    """Check specifications against the language; fetch and fit nothing."""
    from fitspec.spec import find_specs

    if skip_others:  # names come from another program
        specs = [name for name in specs if not _is_other(Path(name))]
        if not specs:
            return ExitCode.OK
    for spec in find_specs(specs, unpack):
        typer.echo(f"{spec.name}: valid")
    return ExitCode.OK


def _is_other(path: Path) -> bool:
    from fitspec.recognise import is_spec

    return path.is_file() and not is_spec(path)


def fetch(specs: Specs, mirror: Mirror = None, offline: Offline = False) -> int:
    """Fetch and verify all sources, so that later runs need no network."""
    found = collected(specs, "", mirror, offline)
    for spec in found.specs:
        backgrounds = {p.case.background for p in found.points if p.spec is spec}
        for background in sorted(backgrounds, key=lambda b: b.name):
            typer.echo(f"{spec.name}: {background.name} {background.digest}")
    return ExitCode.OK


def schema() -> int:
    """Print the JSON Schema of the specification language."""
    import orjson

    from fitspec.spec import json_schema

    typer.echo(orjson.dumps(json_schema(), option=orjson.OPT_INDENT_2).decode())
    return ExitCode.OK
