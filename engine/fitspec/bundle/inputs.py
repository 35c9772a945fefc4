"""All files that a specification reads, as a bundle has them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fitspec.collect.cases import archive_path, filled, substitute, tables
from fitspec.errors import SourceError
from fitspec.lock import lock_path
from fitspec.results import Label
from fitspec.sources import Access, FilePattern, open_archive
from fitspec.sources.access import BUNDLED, MIRROR_TABLE, remote_url
from fitspec.spec import SpecFile, load_spec
from fitspec.spec.locate import KeyPath

FOLDER = "specification"
"""Folder of the specification and of what is beside it."""


@dataclass(frozen=True, slots=True)
class Input:
    """A file of a bundle.

    Attributes:
        role: what it is, for people.
        content: its bytes.
        url: where it is from, if it is a remote source.
    """

    role: str
    content: bytes
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a specification reads, and itself.

    Attributes:
        spec: path of the specification in the bundle.
        files: all of them by their paths in the bundle, sorted.
    """

    spec: str
    files: Mapping[str, Input]

    def staged(self, folder: Path, name: str) -> SpecFile:
        """The specification among its files in an empty folder, reading nothing else.

        Args:
            folder: where to write.
            name: what to call it.

        Raises:
            SpecError: it is not valid.
        """
        for member, file in self.files.items():
            path = folder / member
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
        return load_spec(folder / self.spec, name, folder)


def bundled_inputs(spec: SpecFile, access: Access) -> Inputs:
    """Everything that a run of the specification reads, whatever it selects.

    Paths stay as they are relative to each other, and so the specification stays as it is.

    Args:
        spec: the specification.
        access: how its sources may be reached.

    Raises:
        SpecError: a source cannot be read, or its path means nothing elsewhere.
    """
    named, archives = dict(tables(spec)), dict(_archives(spec))
    local = [*named.items(), *((a, key) for a, key in archives.items() if not remote_url(a))]
    folder = _folder(spec, local)
    files = {f"{folder}/{spec.path.name}": Input("specification", spec.text.encode())}
    lock = lock_path(spec)
    if lock.is_file():
        files[f"{folder}/{lock.name}"] = Input("lock of the inputs", lock.read_bytes())
    for table, key in named.items():
        with spec.at(*key):
            content = _read(spec.beside(table))
        files[_place(spec, folder, table, key)] = Input(_TABLES[str(key[0])], content)
    mirrored: dict[str, str] = {}
    for source, key in archives.items():
        url = remote_url(source)
        with spec.at(*key):
            path = archive_path(spec, source, access)
        if url is None:
            root = _place(spec, folder, source, key)
        else:
            mirrored[url] = _file_name(url, path)
            root = f"{BUNDLED}/{mirrored[url]}"
        files |= dict(_sources(spec, source, path, root, url))
    if mirrored:
        files[f"{BUNDLED}/{MIRROR_TABLE}"] = Input("sources by their URL", _mirror_text(mirrored))
    return Inputs(f"{folder}/{spec.path.name}", dict(sorted(files.items())))


_TABLES = {
    "expect": "expected values",
    "cross_section": "theory cross-sections",
    "patches": "expected signal events",
}
"""Roles by the table of the specification that names them."""


def _archives(spec: SpecFile) -> Iterator[tuple[str, KeyPath]]:
    """The archive of every case; ``.`` is the specification's own folder."""
    key = ("workspace", "archive")
    for case in spec.spec.cases:
        yield filled(spec, case, *key, spec.spec.workspace.archive) or ".", key


def _folder(spec: SpecFile, local: list[tuple[str, KeyPath]]) -> str:
    """The specification's folder in the bundle, so deep that no path leads out of it."""
    up = 0
    for name, key in local:
        if PurePosixPath(name).is_absolute():
            problem = f"{name!r} is an absolute path, which means nothing elsewhere"
            raise spec.error(key, problem, "make it relative to the specification")
        parts = PurePosixPath(os.path.normpath(name)).parts
        up = max(up, parts.count(".."))
    parents = spec.path.parent.parts[1:]
    return "/".join([FOLDER, *parents[len(parents) - min(up, len(parents)) :]])


def _place(spec: SpecFile, folder: str, name: str, key: KeyPath) -> str:
    path = os.path.normpath(f"{folder}/{name}")
    if not PurePosixPath(path).is_relative_to(FOLDER):
        raise spec.error(key, f"{name!r} leads out of all folders", "correct the path")
    return path


def _sources(
    spec: SpecFile, source: str, path: Path, root: str, url: str | None
) -> Iterator[tuple[str, Input]]:
    """A packed archive as it is; of a folder, what the specification may read of it."""
    key = ("workspace", "archive")
    if path.is_file():
        with spec.at(*key):
            yield root, Input("archive of workspace and patches", _read(path), url)
        return
    asked = spec.spec
    with spec.at(*key):
        archive = open_archive(path)
    for case in asked.cases:
        if (filled(spec, case, *key, asked.workspace.archive) or ".") != source:
            continue
        wanted = {_filled(spec, case, "workspace", "path", asked.workspace.path): "workspace"}
        if asked.patches is not None and asked.patches.patchset is not None:
            path_inside = _filled(spec, case, "patches", "patchset", asked.patches.patchset)
            wanted[path_inside] = "signal patches"
        if asked.patches is not None and asked.patches.files is not None:
            with spec.at("patches", "files"):
                pattern = FilePattern(str(PurePosixPath(substitute(asked.patches.files, case))))
                names = archive.names(pattern.glob)
            wanted |= {name: "signal patch" for name in names if pattern.match(name) is not None}
        with spec.at("workspace", "path"):
            content = archive.read(wanted)
        for name, role in wanted.items():
            yield str(PurePosixPath(root) / name), Input(role, content[name], url)


def _filled(spec: SpecFile, case: Mapping[str, Label], table: str, key: str, text: str) -> str:
    return str(PurePosixPath(str(filled(spec, case, table, key, text))))


def _file_name(url: str, path: Path) -> str:
    """Of a remote source: by its content, however it was reached, with the end of its URL."""
    last = PurePosixPath(url.split("?")[0]).name
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", last)[-60:]
    if path.is_dir():
        return f"{hashlib.sha256(url.encode()).hexdigest()[:12]}-{safe}"
    content = _read(path)
    suffix = "" if "." in safe else _suffix(content)  # the end of a DOI tells nothing
    return f"{hashlib.sha256(content).hexdigest()[:12]}-{safe}{suffix}"


def _suffix(content: bytes) -> str:
    """What an archive's file name would end with."""
    return next((end for start, end in _STARTS.items() if content.startswith(start)), "")


_STARTS = {b"\x1f\x8b": ".tar.gz", b"PK": ".zip", b"BZh": ".tar.bz2", b"\xfd7zXZ": ".tar.xz"}


def _mirror_text(mirrored: Mapping[str, str]) -> bytes:
    lines = [f"{_quoted(url)} = {_quoted(name)}\n" for url, name in sorted(mirrored.items())]
    return "".join(["# Sources by their URL, for `--mirror` with this folder.\n", *lines]).encode()


def _quoted(text: str) -> str:
    """A basic string of TOML; what a specification holds has no control characters."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path.name!r}: {error.strerror}", "check the path") from error
