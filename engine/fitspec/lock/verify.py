"""What is found against what is locked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fitspec.errors import LockError
from fitspec.lock.contents import Lock, LockedWorkspace, described, lock_of
from fitspec.lock.document import lock_path, read_lock
from fitspec.plan import Plan
from fitspec.sources import Access
from fitspec.spec import SpecFile

Level = Literal["all", "inputs"]
"""What must be as it was locked: everything, or everything but the environment."""

Kind = Literal["spec", "environment", "settings", "archive", "table", "workspace", "patch"]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Something that is not as it was locked.

    Attributes:
        kind: what it is.
        name: which one.
        locked: as it was; None where there was none.
        found: as it is; None where there is none any more.
    """

    kind: Kind
    name: str
    locked: Any
    found: Any

    def __str__(self) -> str:
        what = f"{self.kind} {self.name}"
        if self.locked is None:
            return f"{what} was not there"
        if self.found is None:
            return f"{what} is gone"
        return f"{what} is {self.found}, locked {self.locked}"


def require_locked(
    specs: Sequence[SpecFile], plan: Plan, access: Access, level: Level, *, whole: bool
) -> None:
    """Raise :class:`LockError` unless all is as it was locked.

    Args:
        specs: the specifications.
        plan: of their points.
        access: how their sources may be reached.
        level: what counts.
        whole: all points are selected; otherwise the lock may know more than the plan.

    Raises:
        UsageError: a specification has no lock, or one that cannot be read.
    """
    locks = [read_lock(lock_path(spec), spec.name) for spec in specs]
    found = [
        f"{spec.name}: {mismatch}"
        for spec, lock in zip(specs, locks, strict=True)
        for mismatch in mismatches(lock, lock_of(spec, plan, access), whole=whole)
        if level == "all" or mismatch.kind != "environment"
    ]
    if found:
        names = " ".join(spec.name for spec in specs)
        raise LockError(
            "\n".join(found),
            f"restore it, or accept it with `fitspec lock {names}`",
        )


def mismatches(lock: Lock, found: Lock, *, whole: bool) -> list[Mismatch]:
    """All that differs between two locks of a specification.

    Args:
        lock: as it was.
        found: as it is.
        whole: False leaves out archives, workspaces and patches that ``found`` lacks.
    """
    differing = [
        *_unequal(
            "spec",
            _shas(lock.spec.name, lock.spec.sha256),
            _shas(lock.spec.name, found.spec.sha256),
        ),
        *_unequal("settings", lock.settings, found.settings),
        *_unequal("table", _by_path(lock), _by_path(found)),
    ]
    selected = [
        *_unequal("archive", _by_source(lock), _by_source(found)),
        *_of_workspaces(lock, found),
    ]
    if not whole:
        selected = [mismatch for mismatch in selected if mismatch.found is not None]
    environment = _unequal("environment", lock.environment, found.environment)
    return [*differing, *selected, *environment]


def _shas(name: str, sha256: str | None) -> dict[str, str]:
    return {name: "a folder" if sha256 is None else f"sha256 {sha256}"}


def _by_path(lock: Lock) -> dict[str, str]:
    return {k: v for t in lock.table for k, v in _shas(t.path, t.sha256).items()}


def _by_source(lock: Lock) -> dict[str, str]:
    return {k: v for a in lock.archive for k, v in _shas(a.source, a.sha256).items()}


def _of_workspaces(lock: Lock, found: Lock) -> Iterator[Mismatch]:
    before, after = _by_case(lock), _by_case(found)
    for case in dict.fromkeys((*before, *after)):
        old, new = before.get(case), after.get(case)
        yield from _unequal("workspace", _content(old, case), _content(new, case))
        if old is not None and new is not None:
            suffix = f" ({case})" if case else ""
            yield from _unequal("patch", _named(old, suffix), _named(new, suffix))


def _by_case(lock: Lock) -> dict[str, LockedWorkspace]:
    return {described(workspace.case): workspace for workspace in lock.workspace}


def _content(workspace: LockedWorkspace | None, case: str) -> dict[str, str]:
    if workspace is None:
        return {}
    name = f"{workspace.path} ({case})" if case else workspace.path
    return {name: workspace.digest, f"{name}, its measurement": repr(workspace.measurement)}


def _named(workspace: LockedWorkspace, suffix: str) -> dict[str, str]:
    return {f"{name}{suffix}": digest for name, digest in workspace.patches.items()}


def _unequal(kind: Kind, locked: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Mismatch]:
    for name in dict.fromkeys((*locked, *found)):
        if locked.get(name) != found.get(name):
            yield Mismatch(kind, name, locked.get(name), found.get(name))
