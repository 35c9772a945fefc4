"""Bundles: a specification and all that it reads, in one zip file that says what it holds.

A bundle may come from anyone. Nothing of it is used, or written to disk, before its members are
known to be those that its metadata lists, each with its digest.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import orjson

from fitspec.errors import ArchiveError, DigestError
from fitspec.sources.access import BUNDLED, MIRROR_TABLE, mirror_table
from fitspec.sources.archive import Limits, open_archive

METADATA = "ro-crate-metadata.json"
"""Name of the metadata of an RO-Crate."""

RESULTS = "results.json"
"""Where a bundle has the results of the run that it was made with."""

LIMITS = Limits(members=20_000, total_bytes=1 << 30)
"""What a bundle may hold; it is read into memory whole."""

_REMEDY = "`fitspec bundle` makes one"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says that it holds.

    Attributes:
        spec: path of the specification.
        digests: sha256 of every file, but the metadata itself, by path.
    """

    spec: str
    digests: Mapping[str, str]


def unpack(path: Path, cache: Path) -> tuple[Path, Path]:
    """The verified files of a bundle, in a folder of their own.

    Args:
        path: the bundle.
        cache: where bundles are unpacked, by the digest of their bytes.

    Returns:
        the folder, and the specification in it.

    Raises:
        ArchiveError: it is no bundle, damaged, hostile, or lacks a file.
        DigestError: a file is not the one that its metadata lists.
    """
    content = _content(path)
    manifest = _manifest(path.name, content.pop(METADATA))
    _require_listed(path.name, content, manifest)
    with path.open("rb") as file:
        folder = cache / hashlib.file_digest(file, "sha256").hexdigest()
    if not _intact(folder, manifest):
        _write(path.name, content, folder, manifest)
    _require_own_sources(path.name, folder)
    return folder, folder / manifest.spec


def _content(path: Path) -> dict[str, bytes]:
    if not path.is_file():  # reading it might never end
        raise ArchiveError(f"{path.name} is no regular file", "check the path")
    archive = open_archive(path, LIMITS)
    names = archive.names("*")
    if METADATA not in names:
        raise ArchiveError(f"{path.name} is no bundle: it has no {METADATA}", _REMEDY)
    return archive.read(names)


def _manifest(name: str, raw: bytes) -> Manifest:
    """What the metadata says, as far as it is needed to use the files."""
    try:
        graph = orjson.loads(raw)["@graph"]
        entities = {entity["@id"]: entity for entity in graph}
        root = entities[entities[METADATA]["about"]["@id"]]
        spec = _path(root["mainEntity"]["@id"])
        digests = {_path(key): _digest(e) for key, e in entities.items() if "File" in e["@type"]}
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError) as error:
        problem = f"{name} is no bundle: {METADATA} does not list a specification and its files"
        raise ArchiveError(problem, _REMEDY) from error
    if spec not in digests:
        raise ArchiveError(f"{name} is no bundle: {spec!r} is none of its files", _REMEDY)
    return Manifest(spec, digests)


def _path(identifier: str) -> str:
    return str(PurePosixPath(unquote(identifier)))


def _digest(entity: Mapping[str, Any]) -> str:
    digest = entity["sha256"]
    if not isinstance(digest, str):
        raise TypeError(digest)
    return digest


def _require_listed(name: str, content: Mapping[str, bytes], manifest: Manifest) -> None:
    """All members are listed, all that is listed is there, and everything is what it should be."""
    for member in sorted(content.keys() | manifest.digests.keys()):
        if member not in content:
            raise ArchiveError(f"{name} lacks {member!r}, which its metadata lists", _AGAIN)
        if member not in manifest.digests:
            raise ArchiveError(f"{name} holds {member!r}, which its metadata does not list", _AGAIN)
        found = hashlib.sha256(content[member]).hexdigest()
        if found != manifest.digests[member]:
            problem = f"{member!r} in {name} has sha256 {found}, listed {manifest.digests[member]}"
            raise DigestError(problem, _AGAIN)


_AGAIN = "it is not as it was written; fetch it again"


def _intact(folder: Path, manifest: Manifest) -> bool:
    """The folder holds all files as they are listed, and no others."""
    if sum(path.is_file() for path in folder.rglob("*")) != len(manifest.digests):
        return False
    for member, digest in manifest.digests.items():
        path = folder / member
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            return False
    return True


def _write(name: str, content: Mapping[str, bytes], folder: Path, manifest: Manifest) -> None:
    """All files or none."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        new = Path(temporary) / "new"
        for member, raw in content.items():
            path = new / member
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(raw)
            except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
                problem = f"{name} holds {member!r} and a file of the same name as its folder"
                raise ArchiveError(problem, _AGAIN) from error
        if folder.exists():  # somebody changed a file of it
            shutil.rmtree(folder)
        try:
            new.replace(folder)
        except OSError:  # another process was faster
            if not _intact(folder, manifest):
                raise


def _require_own_sources(name: str, folder: Path) -> None:
    """The bundle's mirror serves files of its own, and nothing else."""
    mirror = folder / BUNDLED
    for source, file in mirror_table(mirror).items():
        if file in {"", ".."} or PurePosixPath(file).name != file or not (mirror / file).exists():
            problem = f"{name}: {BUNDLED}/{MIRROR_TABLE} maps {source!r} to {file!r}"
            raise ArchiveError(problem, f"it may name files in {BUNDLED}/ alone")
