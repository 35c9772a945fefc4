"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fitspec.errors import UsageError

if TYPE_CHECKING:
    from fitspec.collect import Collection

Specs = Annotated[
    list[str],
    typer.Argument(metavar="SPEC...", help="Files, folders, bundles, or @name of a curated one."),
]
Keywords = Annotated[
    str,
    typer.Option("-k", metavar="EXPR", help="Select by node id or label=value, as pytest's -k."),
]
Mirror = Annotated[
    Path | None,
    typer.Option("--mirror", metavar="DIR", help="Look for every source here first."),
]
Offline = Annotated[bool, typer.Option("--offline", help="Never touch the network.")]
Workers = Annotated[int | None, typer.Option("-n", "--workers", min=1, max=1024, help="Workers.")]
EndpointName = Annotated[
    str | None,
    typer.Option("--endpoint", metavar="NAME", help="Where: a name of yours, or a kind."),
]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Compute everything anew; results are kept.")
]


def collected(specs: list[str], keywords: str, mirror: Path | None, offline: bool) -> Collection:
    """What specifications hold, found as the options say."""
    from fitspec.collect import collect as collect_points
    from fitspec.session import Settings
    from fitspec.spec import find_specs

    access = Settings.from_config(mirror, offline=offline).access
    return collect_points(find_specs(specs, access.unpack), access, keywords)


def unpack(bundle: Path) -> tuple[Path, Path]:
    """A bundle's folder and its specification; the configuration is read for bundles alone."""
    from fitspec.session import Settings

    return Settings.from_config().access.unpack(bundle)


def results_in(path: Path) -> Path:
    """Of a bundle, its results.json; any other path is as it is."""
    from fitspec.sources.bundle import RESULTS
    from fitspec.spec.files import BUNDLE_SUFFIX

    if path.suffix.lower() != BUNDLE_SUFFIX or not path.exists():
        return path
    folder, _ = unpack(path)
    return folder / RESULTS


def require_writable(option: str, path: Path) -> None:
    """Raise :class:`UsageError` for what cannot be written: better before an hour of fits."""
    target = Path(os.path.realpath(path))  # of a link
    if target.is_symlink():
        raise UsageError(f"{option} {path}: is a link to itself", "name a file")
    if not target.parent.is_dir():
        raise UsageError(f"{option} {path}: there is no such folder", "make it first")
    if path.is_dir():
        raise UsageError(f"{option} {path}: is a folder", "name a file")
    _require_access(option, path)


def require_writable_folder(option: str, path: Path) -> None:
    """The same for a folder, which is made with its parents if it is not there."""
    there = next(part for part in (path, *path.absolute().parents) if part.exists())
    if not there.is_dir():
        raise UsageError(f"{option} {path}: {there} is no folder", "name one")
    _require_access(option, there)


def _require_access(option: str, path: Path) -> None:
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise UsageError(f"{option} {path}: may not be written", "choose another place")
