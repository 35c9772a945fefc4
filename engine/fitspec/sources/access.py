"""From the name of a source to a verified local file: mirror, then local path, cache, network."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, urlsplit

from fitspec.errors import DigestError, DownloadError, SourceError, nearest

MIRROR_TABLE = "mirror.toml"
_DOI = re.compile(
    r"^(?:doi:\s*|https?://(?:dx\.)?doi\.org/)?(?P<doi>10\.\d{4,9}/\S+)$", re.IGNORECASE
)
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Access:
    """How sources may be reached.

    Attributes:
        cache: folder for downloads.
        mirror: folder that is asked first; its ``mirror.toml`` maps sources to files.
        offline: never touch the network.
    """

    cache: Path
    mirror: Path | None = None
    offline: bool = False

    def __post_init__(self) -> None:
        if self.mirror is not None and not self.mirror.is_dir():
            problem = f"mirror {str(self.mirror)!r} is no folder"
            raise SourceError(problem, "check --mirror, FITSPEC_MIRROR or the configuration")


def resolve(source: str, base: Path, access: Access, sha256: str | None = None) -> Path:
    """A local file or folder that holds the source.

    Args:
        source: URL, DOI, or a path relative to ``base``.
        base: folder of the specification.
        access: mirror, cache and network policy.
        sha256: expected digest of the file's bytes; verified wherever the file came from.

    Raises:
        SourceError: there is no such source, or its URL is not acceptable.
        DownloadError: it is remote and cannot be fetched.
        DigestError: its bytes are not the expected ones.
    """
    url = remote_url(source)
    mirrored = _from_mirror(url or source, access.mirror)
    if url is None:
        path = base / source
        if not path.exists() and mirrored is None:
            remedy = nearest(path.name, _names_in(path.parent)) or "check the path"
            raise SourceError(f"{source!r} does not exist beside the specification", remedy)
        path = path if path.exists() else mirrored or path
        return _verified(path, source, sha256)
    if mirrored is not None:
        return _verified(mirrored, source, sha256)
    _require_acceptable(url)
    return _cached(url, access, sha256)


def remote_url(source: str) -> str | None:
    """The URL of a remote source, DOIs as ``https://doi.org/...``; None for a local path."""
    if found := _DOI.match(source):
        return f"https://doi.org/{found['doi']}"
    return source if "://" in source else None


def _names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def _from_mirror(source: str, mirror: Path | None) -> Path | None:
    if mirror is None:
        return None
    table = {remote_url(name) or name: file for name, file in _mirror_table(mirror).items()}
    for file in (table.get(source), _file_name(source)):
        if file and (mirror / file).exists():
            return mirror / file
    return None


def _mirror_table(mirror: Path) -> dict[str, str]:
    path = mirror / MIRROR_TABLE
    if not path.exists():
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: not valid TOML: {error}", "map sources to files") from error
    for source, file in table.items():
        if not isinstance(file, str):
            raise SourceError(f"{path}: {source!r} is mapped to no file name", "quote both")
    return table


def _file_name(source: str) -> str:
    """The last component of a URL or path; empty where it names no file."""
    name = PurePosixPath(_split(source).path).name
    return "" if name == ".." else name


def _split(source: str) -> SplitResult:
    try:
        return urlsplit(source)
    except ValueError as error:
        raise SourceError(f"{source!r} is no valid URL: {error}", "check its spelling") from error


def _require_acceptable(url: str) -> None:
    """Only https leaves this machine; http is for a server on it."""
    parts = _split(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return
    raise SourceError(f"{url!r} is not an https URL", "use https, a DOI, or a local path")


def _cached(url: str, access: Access, sha256: str | None) -> Path:
    name = _file_name(url) or "source"
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)[-80:]
    path = access.cache / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{safe}"
    fresh = not path.exists()
    if fresh:
        if access.offline:
            raise DownloadError(
                f"{url} is neither in the mirror nor in the cache, and --offline is set",
                "run `fitspec fetch` with a network first, or give --mirror",
            )
        from fitspec.sources.download import download

        download(url, path)
    try:
        return _verified(path, url, sha256)
    except DigestError:
        if fresh:  # the next run may find the right bytes
            path.unlink(missing_ok=True)
        raise


def _verified(path: Path, source: str, sha256: str | None) -> Path:
    if sha256 is None:
        return path
    if path.is_dir():
        raise DigestError(f"{source!r} is a folder and has no sha256", "remove workspace.sha256")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise DigestError(
            f"{source!r} has sha256 {found}, expected {sha256}",
            "it is not the file the specification was written for",
        )
    return path
