"""The cases of a specification: for each, its workspace and its patches, verified."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from fitspec.collect.poi import require_testable
from fitspec.errors import DigestError, nearest
from fitspec.results import Label
from fitspec.sources import (
    Access,
    Archive,
    Background,
    Discovery,
    FilePattern,
    PatchSource,
    Yields,
    inline_table,
    load_background,
    luminosity_modifiers,
    open_archive,
    open_patches,
    read_full_table,
    resolve,
    systematic_modifiers,
)
from fitspec.spec import SpecFile
from fitspec.spec.locate import KeyPath
from fitspec.spec.models import Patches

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, eq=False)
class Case:
    """One element of ``[parametrize]``: a workspace and its patches.

    Attributes:
        values: value by parametrize key.
        background: the verified workspace.
        measurement: name of the measurement.
        poi: name of the chosen POI; None for the measurement's.
        patches: the signal hypotheses.
        notes: what a careful reader should know about them all.
    """

    values: Mapping[str, Label]
    background: Background
    measurement: str
    poi: str | None
    patches: PatchSource
    notes: tuple[str, ...] = ()


@dataclass
class Opener:
    """Opens every archive once, however many cases and specifications use it."""

    access: Access
    _open: dict[tuple[Path, str | None], Archive] = field(default_factory=dict)

    def archive(self, spec: SpecFile, source: str | None) -> Archive:
        """The archive of a workspace; without a source, the specification's own folder."""
        path, sha256 = archive_path(spec, source, self.access), spec.spec.workspace.sha256
        key = (path.resolve(), sha256)
        if key not in self._open:
            self._open[key] = open_archive(path)
        return self._open[key]


def archive_path(spec: SpecFile, source: str | None, access: Access) -> Path:
    """Where the archive of a workspace is, verified."""
    folder, sha256 = spec.path.parent, spec.spec.workspace.sha256
    return resolve(source or ".", folder, access.within(spec.bundle), sha256)


def open_case(spec: SpecFile, values: Mapping[str, Label], opener: Opener) -> Case:
    """The workspace and patches of one case.

    Raises:
        SpecError: a source is absent, or not what the specification says.
    """
    source = filled(spec, values, "workspace", "archive", spec.spec.workspace.archive)
    with spec.at("workspace", "archive"):
        archive = opener.archive(spec, source)
    background = _background(spec, values, archive)
    name = filled(spec, values, "workspace", "measurement", spec.spec.workspace.measurement)
    with spec.at("workspace", "measurement"):
        measurement = background.measurement(name)
    poi = filled(spec, values, "poi", "name", spec.spec.poi.name)
    chosen = measurement["config"]["poi"] if poi is None else poi
    patches = _patches(spec, values, archive, background, measurement, chosen)
    require_testable(spec, poi, background, measurement, patches)
    gaps = patches.gaps if isinstance(patches, Yields) else None
    notes = () if gaps is None else (gaps,)
    return Case(values, background, measurement["name"], poi, patches, notes)


def substitute(text: str, values: Mapping[str, Label]) -> str:
    """Text with ``{key}`` replaced for the keys of ``[parametrize]``; other braces stay."""
    return _PLACEHOLDER.sub(lambda m: str(values.get(m[1], m[0])), text)


def tables(spec: SpecFile) -> Iterator[tuple[str, KeyPath]]:
    """Paths of all CSV tables of a specification, beside it, and the keys that name them."""
    asked = spec.spec
    named: list[tuple[str | None, KeyPath]] = [
        (block.table, ("expect", index, "table")) for index, block in enumerate(asked.expect)
    ]
    if asked.cross_section is not None:
        named.append((asked.cross_section.table, ("cross_section", "table")))
    yields = asked.patches.yields if asked.patches else None
    named.append((yields if isinstance(yields, str) else None, ("patches", "yields")))
    for name, key in named:
        if name is not None:
            for case in asked.cases:
                yield substitute(name, case), key


def _background(spec: SpecFile, values: Mapping[str, Label], archive: Archive) -> Background:
    path = str(filled(spec, values, "workspace", "path", spec.spec.workspace.path))
    path = str(PurePosixPath(path))
    with spec.at("workspace", "path"), spec.at("workspace", "digest", kind=DigestError):
        return load_background(archive.read([path])[path], path, spec.spec.workspace.digest)


def _patches(
    spec: SpecFile,
    values: Mapping[str, Label],
    archive: Archive,
    background: Background,
    measurement: Mapping[str, Any],
    poi: str,
) -> PatchSource:
    asked = spec.spec.patches
    if asked is None:
        return open_patches(archive, background)
    if asked.files is not None:
        return _loose_patches(spec, substitute(asked.files, values), archive, background)
    if asked.discovery is not None:
        names = [filled(spec, values, "patches", "discovery", name) for name in asked.discovery]
        with spec.at("patches", "discovery"):
            return Discovery(background, measurement, poi, [name for name in names if name])
    if asked.patchset is None:
        return _yields(spec, asked, values, background, poi)
    patchset = filled(spec, values, "patches", "patchset", asked.patchset)
    with spec.at("patches", "patchset"):
        return open_patches(archive, background, patchset=patchset, relabel=asked.labels)


def _loose_patches(
    spec: SpecFile, text: str, archive: Archive, background: Background
) -> PatchSource:
    with spec.at("patches", "files"):
        pattern = FilePattern(str(PurePosixPath(text)))
        found = open_patches(archive, background, files=pattern)
    if not found.labels:
        raise spec.error(
            ("patches", "files"),
            f"no file matches {pattern.text!r}",
            "a {label} stands for a part of one file or folder name",
        )
    return found


def _yields(
    spec: SpecFile,
    asked: Patches,
    values: Mapping[str, Label],
    background: Background,
    poi: str,
) -> Yields:
    with spec.at("patches", "luminosity"):
        luminosity = luminosity_modifiers(background, asked.luminosity)
    with spec.at("patches", "systematics"):
        systematics = systematic_modifiers(background, poi, asked.systematics)
    name = asked.yields if isinstance(asked.yields, str) else None
    path = filled(spec, values, "patches", "yields", name)
    with spec.at("patches", "yields"):
        rows = asked.yields if isinstance(asked.yields, tuple) else ()
        table = inline_table(rows) if path is None else read_full_table(spec.beside(path))
        return Yields(background, poi, table, asked.labels or (), [*luminosity, *systematics])


def filled(
    spec: SpecFile, values: Mapping[str, Label], table: str, key: str, text: str | None
) -> str | None:
    """A key's text with its placeholders filled; all of them must be keys of the case."""
    if text is None:
        return None
    filled = substitute(text, values)
    if unknown := _PLACEHOLDER.search(filled):
        remedy = nearest(unknown[1], values) or "declare it in [parametrize]"
        raise spec.error((table, key), f"unknown placeholder {unknown[0]}", remedy)
    return filled
