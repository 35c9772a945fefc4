"""A workspace, and what a patch makes of it, in one record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fitspec.histfactory import apply_patch
from fitspec.inspection.changes import Changes, changes_between
from fitspec.inspection.findings import Finding, findings_of
from fitspec.inspection.summary import Summary, summarise
from fitspec.results import Label
from fitspec.sources import Background
from fitspec.sources.workspace import require_schema


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be inspected.

    Attributes:
        background: the workspace.
        measurement: name of the measurement; None for the first.
        poi: name of the POI; None for the measurement's.
        patch: the patch's name; None without one.
        operations: its JSON.
        labels: of the patch, where they are known.
    """

    background: Background
    measurement: str | None = None
    poi: str | None = None
    patch: str | None = None
    operations: bytes | None = None
    labels: Mapping[str, Label] | None = None


@dataclass(frozen=True, slots=True)
class Inspection:
    """What an inspection finds.

    Attributes:
        workspace, digest: name and pyhf digest of the workspace.
        patch, labels: of the patch, if there is one.
        summary: of the workspace, patched if there is a patch.
        changes: what the patch does; None without one.
        findings: errors first.
    """

    workspace: str
    digest: str
    patch: str | None
    labels: Mapping[str, Label]
    summary: Summary
    changes: Changes | None
    findings: tuple[Finding, ...]


def inspect(subject: Subject) -> Inspection:
    """Look at a workspace, with its patch if there is one; nothing is fitted.

    Raises:
        WorkspaceError: there is no such measurement, or the patch leaves no workspace.
        PatchError: the patch cannot be applied.
    """
    background = subject.background
    before = after = background.content
    changes = None
    if subject.operations is not None:
        name = subject.patch or ""
        after = apply_patch(before, subject.operations, name, protect=False)
        require_schema(after, "workspace", f"{background.name} with patch {name!r}")
        changes = changes_between(before, after)
    chosen = background.measurement(subject.measurement)["name"]
    patched = Background(background.name, background.raw, background.digest, after)
    measurement = patched.measurement(chosen)
    poi = measurement["config"]["poi"] if subject.poi is None else subject.poi
    summary = summarise(after, measurement, poi)
    return Inspection(
        workspace=background.name,
        digest=background.digest,
        patch=subject.patch,
        labels=subject.labels or {},
        summary=summary,
        changes=changes,
        findings=tuple(findings_of(after, summary, before, changes)),
    )
