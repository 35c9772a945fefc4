"""From the name of an archive to a specification of it."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from fitspec.errors import SourceError, nearest
from fitspec.sources import Access, open_archive, resolve
from fitspec.sources.access import remote_url
from fitspec.starter.choose import choose
from fitspec.starter.compose import Origin, compose
from fitspec.starter.survey import survey

_HEPDATA = re.compile(r"10\.17182/hepdata\.\d+", re.IGNORECASE)
_SUFFIX = re.compile(r"(\.tar|\.tgz|\.zip)?(\.gz|\.bz2|\.xz)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Draft:
    """A specification to be.

    Attributes:
        text: the TOML.
        notes: what the user should decide.
        points: number of points that it should have.
    """

    text: str
    notes: tuple[str, ...]
    points: int


def default_name(source: str) -> str:
    """A name for the analysis in an archive: that of its file, or of its HEPData record."""
    if found := _HEPDATA.search(source):
        return found[0].split("/")[1].replace(".", "-").lower()
    path = urlsplit(source).path if remote_url(source) else str(Path(source).resolve())
    name = _SUFFIX.sub("", PurePosixPath(path).name)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "analysis"


def draft(source: str, folder: Path, access: Access) -> Draft:
    """Look through an archive, and write a specification of what it holds.

    Args:
        source: DOI, URL, or path of an archive or folder, from the working directory.
        folder: where the specification will be.
        access: how sources may be reached.

    Raises:
        SourceError: there is no such archive, or no workspace in it.
    """
    path = _located(source, access)
    choice = choose(survey(open_archive(path), source))
    hepdata = _HEPDATA.search(source) if remote_url(source) else None
    origin = Origin(
        analysis=default_name(source),
        archive=remote_url(source) or _from(folder, path),
        sha256=None if path.is_dir() else _sha256(path),
        hepdata=None if hepdata is None else hepdata[0],
    )
    return Draft(compose(choice, origin), choice.notes, len(choice.points))


def _located(source: str, access: Access) -> Path:
    path = Path(source)
    if remote_url(source) is not None:
        return resolve(source, Path.cwd(), access)
    if not path.exists():
        names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        remedy = nearest(path.name, names, str(path.parent / "{}"))
        raise SourceError(f"{source}: no such archive or folder", remedy)
    if path.suffix.lower() == ".json":
        raise SourceError(f"{source} is no archive", f"name its folder: {path.parent}")
    return path.resolve()


def _from(folder: Path, path: Path) -> str | None:
    """The archive's path as seen from the specification."""
    relative = Path(os.path.relpath(path, folder.resolve())).as_posix()
    return None if relative == "." else relative


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
