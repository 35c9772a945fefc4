"""What a lock pins, and how it is found out."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from fitspec.collect import Case
from fitspec.collect.cases import archive_path, filled, tables
from fitspec.errors import SourceError
from fitspec.plan import Plan
from fitspec.results import Label
from fitspec.sources import Access
from fitspec.spec import SpecFile
from fitspec.spec.settings import settings_of
from fitspec.spec.types import Model, Name, Sha256, WorkspaceDigest, to_tuple
from fitspec.versions import of_libraries, of_program


class LockedSpec(Model):
    """The specification's own text."""

    name: Name
    """Of its file."""
    sha256: Sha256


class LockedArchive(Model):
    """An archive."""

    source: Name
    """As the specification names it; `.` for its own folder."""
    origin: Literal["mirror", "cache", "local"]
    """Where it was read from: a mirror, a download, or a path of the specification. For people."""
    sha256: Sha256 | None = None
    """Of its bytes as read; a folder has none."""


class LockedTable(Model):
    """A CSV table beside the specification."""

    path: Name
    sha256: Sha256


class LockedWorkspace(Model):
    """A workspace and its patches, of one case of `[parametrize]`."""

    case: dict[str, Label] = {}  # noqa: RUF012 (pydantic copies defaults)
    """Values by key."""
    path: Name
    digest: WorkspaceDigest
    measurement: str
    patches: dict[str, WorkspaceDigest]
    """Digest of each patch by its name."""


class Lock(Model):
    """The content of a lock file."""

    lock: Literal[1] = 1
    """Version of the format."""
    spec: LockedSpec
    environment: dict[str, str]
    """Versions and machine."""
    settings: dict[str, Any]
    """By dotted key."""
    archive: Annotated[tuple[LockedArchive, ...], BeforeValidator(to_tuple)] = ()
    table: Annotated[tuple[LockedTable, ...], BeforeValidator(to_tuple)] = ()
    workspace: Annotated[tuple[LockedWorkspace, ...], BeforeValidator(to_tuple)] = ()

    @property
    def hypotheses(self) -> int:
        """How many there are: patched workspaces, or those that hold their signal."""
        return sum(len(workspace.patches) for workspace in self.workspace)


def lock_of(spec: SpecFile, plan: Plan, access: Access) -> Lock:
    """What a specification depends on, here and now.

    Args:
        spec: the specification.
        plan: of its points; of others' points, too, as may be.
        access: how its sources may be reached.

    Raises:
        SpecError: a source can no longer be read.
    """
    patches = {
        (id(point.case), point.patch): fit.patch
        for key, fit in plan.fits.items()
        for point in plan.points[key]
        if point.spec is spec
    }
    own = {id(p.case): p.case for group in plan.points.values() for p in group if p.spec is spec}
    # in the specification's order, whatever else the plan holds
    cases = sorted(own.values(), key=lambda case: spec.spec.cases.index(dict(case.values)))
    return Lock(
        spec=LockedSpec(name=spec.path.name, sha256=spec.sha256),
        environment=_environment(spec),
        settings=settings_of(spec.spec),
        archive=tuple(_archives(spec, cases, access)),
        table=tuple(_tables(spec)),
        workspace=tuple(_workspace(case, patches) for case in cases),
    )


def _environment(spec: SpecFile) -> dict[str, str]:
    """What may change the last digits of a number."""
    libc = " ".join(platform.libc_ver())
    found = {
        **of_program(),
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "libc": libc.strip() or "unknown",
        **of_libraries(),
        "iminuit": _version("iminuit"),  # the second opinion, whatever the backend
    }
    return found | ({"jax": _version("jax")} if spec.spec.backend.tensor == "jax" else {})


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "none"


def _archives(spec: SpecFile, cases: Sequence[Case], access: Access) -> Iterator[LockedArchive]:
    asked = spec.spec.workspace
    sources = [filled(spec, case.values, "workspace", "archive", asked.archive) for case in cases]
    for source in dict.fromkeys(sources):
        with spec.at("workspace", "archive"):
            path = archive_path(spec, source, access)
        yield LockedArchive(
            source=source or ".",
            origin=_origin(path, access),
            sha256=None if path.is_dir() else _sha256(path),
        )


def _origin(path: Path, access: Access) -> Literal["mirror", "cache", "local"]:
    if access.mirror is not None and path.is_relative_to(access.mirror):
        return "mirror"
    return "cache" if path.is_relative_to(access.cache) else "local"


def _tables(spec: SpecFile) -> Iterator[LockedTable]:
    """Of expectations, cross-sections and yields."""
    for path in sorted({path for path, _ in tables(spec)}):
        yield LockedTable(path=path, sha256=_sha256(spec.beside(path)))


def _workspace(case: Case, patches: Mapping[tuple[int, str], str]) -> LockedWorkspace:
    named = ((name, patches.get((id(case), name))) for name in case.patches.labels)
    return LockedWorkspace(
        case=dict(case.values),
        path=case.background.name,
        digest=case.background.digest,
        measurement=case.measurement,
        patches={name: digest for name, digest in named if digest is not None},
    )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SourceError(f"{path.name!r}: {error.strerror}", "check the path") from error


def described(case: Mapping[str, Label]) -> str:
    """A case in words; nothing without `[parametrize]`."""
    return ", ".join(f"{key} = {value}" for key, value in case.items())
