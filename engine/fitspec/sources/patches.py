"""Signal patches: loose files with labels in their names, a pyhf PatchSet, or none."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Protocol

import orjson

from fitspec.errors import WorkspaceError
from fitspec.histfactory import NO_OPERATIONS
from fitspec.results import Label
from fitspec.sources.archive import Archive
from fitspec.sources.pattern import FilePattern
from fitspec.sources.workspace import Background, canonical_digest, parse_json, require_schema


class PatchSource(Protocol):
    """Named patches of one workspace; their content is read only when asked for."""

    @property
    def labels(self) -> Mapping[str, Mapping[str, Label]]:
        """Labels by patch name, in the source's order."""

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        """JSON of the patches' operations by name."""


def open_patches(
    archive: Archive,
    background: Background,
    *,
    files: FilePattern | None = None,
    patchset: str | None = None,
    relabel: Sequence[str] | None = None,
) -> PatchSource:
    """The patches of a workspace.

    Args:
        archive: where they are.
        background: the workspace they were made for.
        files: pattern of loose patch files.
        patchset: path of a PatchSet.
        relabel: new names for a PatchSet's labels.

    Raises:
        ArchiveError, WorkspaceError: they are absent, malformed, or made for another workspace.
    """
    if files is not None:
        return LoosePatches(archive, files)
    if patchset is not None:
        raw = archive.read([patchset])[patchset]
        return PatchSet(raw, patchset, background, relabel)
    return NoPatches(background)


class LoosePatches:
    """Files of an archive whose names match a pattern; ``patch.x_1.json`` is called ``x_1``."""

    def __init__(self, archive: Archive, pattern: FilePattern) -> None:
        self._archive = archive
        matches = {member: pattern.match(member) for member in archive.names(pattern.glob)}
        found = [(member, labels) for member, labels in matches.items() if labels is not None]
        found.sort(key=lambda item: [_natural(value) for value in item[1].values()])
        names = [patch_name(member) for member, _ in found]
        require_distinct(names, pattern.text)
        self.labels = {name: labels for name, (_, labels) in zip(names, found, strict=True)}
        self._members = {name: member for name, (member, _) in zip(names, found, strict=True)}

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        content = self._archive.read([self._members[name] for name in names])
        return {name: content[self._members[name]] for name in names}


class PatchSet:
    """A pyhf PatchSet, verified against its schema and its workspace's digests."""

    def __init__(
        self, raw: bytes, name: str, background: Background, relabel: Sequence[str] | None
    ) -> None:
        content = parse_json(raw, name)
        require_schema(content, "patchset", name)
        metadata = content["metadata"]
        _require_made_for(background, metadata["digests"], name)
        labels = metadata["labels"]
        if relabel is not None and len(relabel) != len(labels):
            raise WorkspaceError(
                f"{name} has {len(labels)} labels ({', '.join(labels)}), not {len(relabel)}",
                "give one new name for each",
            )
        labels = relabel or labels
        if len(set(labels)) < len(labels):
            raise WorkspaceError(f"{name}: two labels share a name: {', '.join(labels)}")
        self.labels: dict[str, dict[str, Label]] = {}
        self._operations = {}
        for patch in content["patches"]:
            title, values = patch["metadata"]["name"], patch["metadata"]["values"]
            if len(values) != len(labels):
                raise WorkspaceError(f"{name}: patch {title!r} has {len(values)} label values")
            self.labels[title] = dict(zip(labels, values, strict=True))
            self._operations[title] = orjson.dumps(
                patch["patch"]
            )  # a tenth of what parsed ones take
        require_distinct([patch["metadata"]["name"] for patch in content["patches"]], name)

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        return {name: self._operations[name] for name in names}


class NoPatches:
    """The workspace holds its signal: one hypothesis, named after the workspace's file."""

    def __init__(self, background: Background) -> None:
        self.labels: dict[str, dict[str, Label]] = {PurePosixPath(background.name).stem: {}}

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        return dict.fromkeys(names, NO_OPERATIONS)


def patch_name(member: str) -> str:
    """What a loose patch is called: its file's stem, without a leading ``patch.``."""
    return re.sub(r"^patch[._]", "", PurePosixPath(member).stem)


def _natural(value: Label) -> tuple[bool, float, str]:
    """Numbers by size, before text by spelling."""
    if isinstance(value, str):
        return (True, 0.0, value)
    return (False, float(value), "")


def require_distinct(names: Iterable[str], where: str) -> None:
    """Raise :class:`WorkspaceError` unless names of patches differ and can be printed."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise WorkspaceError(f"{where}: two patches are called {name!r}", "names must differ")
        if not name.isprintable() or not name:
            raise WorkspaceError(f"{where}: {name!r} is no printable patch name")
        seen.add(name)


def _require_made_for(background: Background, digests: Mapping[str, str], name: str) -> None:
    for algorithm, expected in digests.items():
        found = canonical_digest(background.content, algorithm, background.name)
        if found != expected:
            raise WorkspaceError(
                f"{name} was made for the workspace with {algorithm} digest {expected}, "
                f"but {background.name} has {found}",
                "the workspace was changed after publication (numbers rounded, keys added or "
                "renamed); white space and key order do not matter. Use the published file",
            )
