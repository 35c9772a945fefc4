"""Archives and folders behind one verb: read named members.

Nothing is ever extracted to disk, so nothing can escape: members are read into memory, regular
files only, within limits on their number and size. An archive with a member whose name points
outside is refused whole.
"""

from __future__ import annotations

import fnmatch
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from fitspec.errors import ArchiveError, nearest


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may hold; more is taken for an attack."""

    members: int = 200_000
    member_bytes: int = 1 << 29
    total_bytes: int = 1 << 32


class Archive(Protocol):
    """A read-only set of named files."""

    def names(self, glob: str) -> list[str]:
        """Names of regular files that match a glob (``*`` and ``?``), sorted."""

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        """Content by name; raises :class:`ArchiveError` for a name that is not there."""


def open_archive(path: Path, limits: Limits | None = None) -> Archive:
    """A folder, tar (plain, gz, bz2, xz) or zip file.

    Raises:
        ArchiveError: not an archive, damaged, or hostile.
    """
    limits = limits or Limits()
    if path.is_dir():
        return Folder(path, limits)
    with _damage(path.name):
        is_zip = zipfile.is_zipfile(path) and not tarfile.is_tarfile(path)  # a tar may end in a zip
    return Zip(path, limits) if is_zip else Tar(path, limits)


class Folder:
    """A folder; links that lead out of it are refused."""

    def __init__(self, root: Path, limits: Limits) -> None:
        self._root = root.resolve()
        self._limits = limits

    def names(self, glob: str) -> list[str]:
        _require_safe(glob, str(self._root))
        if not PurePosixPath(glob).parts:  # pathlib cannot match the folder itself
            return []
        with _damage(str(self._root)):
            found = [p for p in self._root.glob(glob) if p.is_file()]
        return sorted(p.relative_to(self._root).as_posix() for p in found)

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        with _damage(str(self._root)):
            return {name: self._read(name) for name in names}

    def _read(self, name: str) -> bytes:
        _require_safe(name, str(self._root))
        path = self._root / name
        if not path.is_file():
            raise _absent(name, str(self._root), self._siblings(name))
        if not path.resolve().is_relative_to(self._root):
            raise ArchiveError(f"{name!r} is a link out of {str(self._root)!r}", "copy the file")
        if path.stat().st_size > self._limits.member_bytes:
            raise _too_large(name, str(self._root))
        return path.read_bytes()

    def _siblings(self, name: str) -> list[str]:
        folder = (self._root / name).parent
        return [p.relative_to(self._root).as_posix() for p in folder.glob("*") if p.is_file()]


class Tar:
    """A tar file, compressed or not; read in one pass however many members are asked for."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        with self._open() as tar:
            self._sizes = _index(path.name, limits, ((m.name, m.size, m.isreg()) for m in tar))

    def names(self, glob: str) -> list[str]:
        return sorted(fnmatch.filter(self._sizes, glob))

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        _require_present(names, self._sizes, self._path.name)
        wanted, found = set(names), {}
        with self._open() as tar:
            for member in tar:
                name = _clean(member.name)
                if name in wanted and member.isreg():
                    file = tar.extractfile(member)
                    found[name] = file.read() if file else b""
                    if len(found[name]) != member.size:
                        raise _damaged(self._path.name, f"{name!r} is cut short")
        return found

    @contextmanager
    def _open(self) -> Iterator[tarfile.TarFile]:
        with _damage(self._path.name), tarfile.open(self._path, "r:*") as tar:
            yield tar


class Zip:
    """A zip file."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        with self._open() as archive:
            members = ((i.filename, i.file_size, _is_file(i)) for i in archive.infolist())
            self._sizes = _index(path.name, limits, members)

    def names(self, glob: str) -> list[str]:
        return sorted(fnmatch.filter(self._sizes, glob))

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        _require_present(names, self._sizes, self._path.name)
        with self._open() as archive:
            infos = {_clean(i.filename): i for i in archive.infolist() if _is_file(i)}
            return {name: self._read(archive, infos[name]) for name in names}

    def _read(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
        with archive.open(info) as file:
            content = file.read(info.file_size)  # no more: its header may lie
        if len(content) != info.file_size:
            raise _damaged(self._path.name, f"{info.filename!r} is cut short")
        return content

    @contextmanager
    def _open(self) -> Iterator[zipfile.ZipFile]:
        with _damage(self._path.name), zipfile.ZipFile(self._path) as archive:
            yield archive


def _index(
    archive: str, limits: Limits, members: Iterator[tuple[str, int, bool]]
) -> dict[str, int]:
    """Sizes of the regular files by name, checked while the headers are read."""
    sizes: dict[str, int] = {}
    total = 0
    for count, (raw_name, size, is_file) in enumerate(members, start=1):
        _require_safe(raw_name, archive)
        if size < 0:
            raise _damaged(archive, f"{raw_name!r} has a negative size")
        total += size
        if count > limits.members:
            raise ArchiveError(f"{archive} holds more than {limits.members} members", _HOSTILE)
        if size > limits.member_bytes:
            raise _too_large(raw_name, archive)
        if total > limits.total_bytes:
            raise ArchiveError(f"{archive} unpacks to over {limits.total_bytes} bytes", _HOSTILE)
        if is_file:
            sizes[_clean(raw_name)] = size
    return sizes


_HOSTILE = "it looks hostile; unpack what is needed by hand and name the folder"


def _require_safe(name: str, archive: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not name.isprintable():
        raise ArchiveError(f"{archive} has a member {name!r} that points outside", _HOSTILE)


def _is_file(info: zipfile.ZipInfo) -> bool:
    return not info.filename.endswith("/") and not stat.S_ISLNK(info.external_attr >> 16)


def _clean(name: str) -> str:
    return str(PurePosixPath(name))


def _require_present(names: Collection[str], present: Collection[str], archive: str) -> None:
    for name in names:
        if name not in present:
            raise _absent(name, archive, list(present))


def _absent(name: str, archive: str, present: list[str]) -> ArchiveError:
    remedy = nearest(name, present) or "list its content and correct the path"
    return ArchiveError(f"{archive} has no file {name!r}", remedy)


def _too_large(name: str, archive: str) -> ArchiveError:
    return ArchiveError(f"{name!r} in {archive} is larger than fitspec reads", _HOSTILE)


def _damaged(archive: str, reason: str) -> ArchiveError:
    return ArchiveError(f"{archive} is no readable archive: {reason}", "fetch it again")


@contextmanager
def _damage(archive: str) -> Iterator[None]:
    """Every way a broken archive can fail, as one error."""
    broken: tuple[type[Exception], ...] = (
        tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
        EOFError, OSError, NotImplementedError, RuntimeError, ValueError,
        OverflowError, MemoryError,
    )  # fmt: skip
    try:
        yield
    except broken as error:
        reason = str(error).partition(":\n")[0] or type(error).__name__
        raise _damaged(archive, " ".join(reason.split())) from error
