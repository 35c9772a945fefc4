"""From the name of a source to a verified local file: mirror, then local path, cache, network."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, urlsplit

from fitspec.errors import DigestError, DownloadError, SourceError, nearest
from fitspec.spec.files import inside

MIRROR_TABLE = "mirror.toml"
BUNDLED = "sources"
"""Folder of a bundle's remote sources: a mirror of its own."""
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
        bundle: folder of an unpacked bundle: sources are in there, or nowhere.
    """

    cache: Path
    mirror: Path | None = None
    offline: bool = False
    bundle: Path | None = None

    def __post_init__(self) -> None:
        if self.mirror is not None and not self.mirror.is_dir():
            problem = f"mirror {str(self.mirror)!r} is no folder"
            raise SourceError(problem, "check --mirror, FITSPEC_MIRROR or the configuration")

    def within(self, bundle: Path | None) -> Access:
        """The same for a specification of this bundle; as it is for one that is from none."""
        return self if bundle is None else replace(self, bundle=bundle)

    def unpack(self, bundle: Path) -> tuple[Path, Path]:
        """A bundle's folder and its specification; see :func:`~fitspec.sources.bundle.unpack`."""
        from fitspec.sources.bundle import unpack

        return unpack(bundle, self.cache / "bundles")


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
    if access.bundle is not None:
        return _verified(_bundled(source, url, base, access.bundle), source, sha256)
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


def _bundled(source: str, url: str | None, base: Path, bundle: Path) -> Path:
    """Where a bundle holds a source."""
    if url is None:
        found: Path | None = inside(bundle, base, source)
    else:
        found = _from_mirror(url, bundle / BUNDLED)
    if found is None or not found.exists():
        raise SourceError(f"the bundle does not hold {source!r}", "bundle the specification again")
    return found


def _names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def _from_mirror(source: str, mirror: Path | None) -> Path | None:
    if mirror is None:
        return None
    table = {remote_url(name) or name: file for name, file in mirror_table(mirror).items()}
    for file in (table.get(source), _file_name(source)):
        if file and (mirror / file).exists():
            return mirror / file
    return None


def mirror_table(mirror: Path) -> dict[str, str]:
    """File by source, as a mirror's ``mirror.toml`` has them; empty without it."""
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
