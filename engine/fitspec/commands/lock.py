"""``fitspec lock``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from fitspec.commands.options import Mirror, Offline, Specs
from fitspec.errors import ExitCode, UsageError, counted

if TYPE_CHECKING:
    from fitspec.lock import Lock
    from fitspec.spec import SpecFile


def lock(specs: Specs, mirror: Mirror = None, offline: Offline = False) -> int:
    """Pin what specifications depend on, each in a file beside it; `run --locked` checks it."""
    from fitspec.collect import collect
    from fitspec.files import write_file
    from fitspec.lock import lock_of, lock_path, lock_text
    from fitspec.plan import make_plan
    from fitspec.session import Settings
    from fitspec.spec import find_specs

    found = find_specs(specs)
    for spec in found:
        if spec.name.startswith("@"):
            remedy = "copy it with its tables, and lock that"
            raise UsageError(f"{spec.name}: a curated specification is not locked", remedy)
    access = Settings.from_config(mirror, offline=offline).access
    plan = make_plan(collect(found, access))
    for spec in found:
        lock, path = lock_of(spec, plan, access), lock_path(spec)
        if path.exists():
            _tell(spec, lock)
        write_file(path, lock_text(lock).encode())
        typer.echo(
            f"{spec.name} locked: {counted(len(lock.workspace), 'workspace')}, "
            f"{counted(lock.hypotheses, 'point')}, {counted(len(lock.table), 'table')}"
        )
    return ExitCode.OK


def _tell(spec: SpecFile, lock: Lock) -> None:
    """What is no longer as it was locked."""
    from fitspec.lock import lock_path, mismatches, read_lock

    try:
        before = read_lock(lock_path(spec), spec.name)
    except UsageError as error:
        typer.echo(f"{error.problem}; it is written anew")
        return
    for mismatch in mismatches(before, lock, whole=True):
        typer.echo(f"{spec.name}: {mismatch}")
