"""``fitspec init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fitspec.commands.options import Mirror, Offline
from fitspec.errors import ExitCode, FitspecError, UsageError, counted


def init(
    source: Annotated[
        str, typer.Argument(metavar="ARCHIVE", help="A DOI, URL, archive or folder.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Default: NAME.toml, here."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    mirror: Mirror = None,
    offline: Offline = False,
) -> int:
    """Write a specification of what an archive holds."""
    from fitspec.collect import collect
    from fitspec.files import write_file
    from fitspec.session import Settings
    from fitspec.sources.bins import printable
    from fitspec.spec import find_specs
    from fitspec.starter import default_name, draft

    output = output or Path(f"{default_name(source)}.toml")
    _require_free(output, force=force)
    access = Settings.from_config(mirror, offline=offline).access
    found = draft(source, output.absolute().parent, access)
    write_file(output, found.text.encode())
    for note in found.notes:
        typer.echo(f"note: {printable(note)}")
    try:
        collection = collect(find_specs([str(output)]), access)
    except FitspecError:
        typer.echo(f"{output} is written, and does not run as it is:")
        raise
    typer.echo(
        f"{output}: {counted(len(collection.points), 'point')}; look at it, then "
        f"`fitspec run {output}`"
    )
    return ExitCode.OK


def _require_free(output: Path, *, force: bool) -> None:
    if output.is_dir():
        raise UsageError(f"{output} is a folder", "name a file with -o")
    if output.suffix != ".toml":
        raise UsageError(f"{output}: a specification is a .toml file", "name one with -o")
    if output.exists() and not force:
        raise UsageError(f"{output} is there already", "overwrite it with --force, or use -o")
    if not output.absolute().parent.is_dir():
        raise UsageError(f"{output}: there is no such folder", "make it first")
