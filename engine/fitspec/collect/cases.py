"""The cases of a specification: for each, its workspace and its patches, verified."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from fitspec.errors import DigestError, nearest
from fitspec.results import Label
from fitspec.sources import (
    Access,
    Archive,
    Background,
    FilePattern,
    PatchSource,
    load_background,
    open_archive,
    open_patches,
    resolve,
)
from fitspec.spec import SpecFile

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, eq=False)
class Case:
    """One element of ``[parametrize]``: a workspace and its patches.

    Attributes:
        values: value by parametrize key.
        background: the verified workspace.
        measurement: name of the measurement.
        patches: the signal hypotheses.
    """

    values: Mapping[str, Label]
    background: Background
    measurement: str
    patches: PatchSource


@dataclass
class Opener:
    """Opens every archive once, however many cases and specifications use it."""

    access: Access
    _open: dict[tuple[Path, str | None], Archive] = field(default_factory=dict)

    def archive(self, source: str | None, folder: Path, sha256: str | None) -> Archive:
        """The archive of a workspace; without a source, the specification's own folder."""
        path = resolve(source or ".", folder, self.access, sha256)
        key = (path.resolve(), sha256)
        if key not in self._open:
            self._open[key] = open_archive(path)
        return self._open[key]


def cases_of(spec: SpecFile) -> list[dict[str, Label]]:
    """The cartesian product of ``[parametrize]``; one empty case without it."""
    keys = spec.spec.parametrize
    return [dict(zip(keys, values, strict=True)) for values in itertools.product(*keys.values())]


def open_case(spec: SpecFile, values: Mapping[str, Label], opener: Opener) -> Case:
    """The workspace and patches of one case.

    Raises:
        SpecError: a source is absent, or not what the specification says.
    """
    source = _filled(spec, values, "workspace", "archive", spec.spec.workspace.archive)
    with spec.at("workspace", "archive"):
        archive = opener.archive(source, spec.path.parent, spec.spec.workspace.sha256)
    background = _background(spec, values, archive)
    name = _filled(spec, values, "workspace", "measurement", spec.spec.workspace.measurement)
    with spec.at("workspace", "measurement"):
        measurement = background.measurement(name)
    _require_testable(spec, background.poi_bounds(measurement))
    return Case(
        values, background, measurement["name"], _patches(spec, values, archive, background)
    )


def substitute(text: str, values: Mapping[str, Label]) -> str:
    """Text with ``{key}`` replaced for the keys of ``[parametrize]``; other braces stay."""
    return _PLACEHOLDER.sub(lambda m: str(values.get(m[1], m[0])), text)


def _background(spec: SpecFile, values: Mapping[str, Label], archive: Archive) -> Background:
    path = str(_filled(spec, values, "workspace", "path", spec.spec.workspace.path))
    path = str(PurePosixPath(path))
    with spec.at("workspace", "path"), spec.at("workspace", "digest", kind=DigestError):
        return load_background(archive.read([path])[path], path, spec.spec.workspace.digest)


def _patches(
    spec: SpecFile, values: Mapping[str, Label], archive: Archive, background: Background
) -> PatchSource:
    patches = spec.spec.patches
    if patches is None:
        return open_patches(archive, background)
    if patches.files is None:
        patchset = _filled(spec, values, "patches", "patchset", patches.patchset)
        with spec.at("patches", "patchset"):
            return open_patches(archive, background, patchset=patchset, relabel=patches.labels)
    with spec.at("patches", "files"):
        pattern = FilePattern(str(PurePosixPath(substitute(patches.files, values))))
        found = open_patches(archive, background, files=pattern)
    if not found.labels:
        raise spec.error(
            ("patches", "files"),
            f"no file matches {pattern.text!r}",
            "a {label} stands for a part of one file or folder name",
        )
    return found


def _filled(
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


def _require_testable(spec: SpecFile, bounds: tuple[float, float]) -> None:
    low, high = bounds
    key = ("poi", "scan") if spec.spec.poi.scan else ("poi", "test")
    asked = [] if spec.spec.fit_alone else [(key, mu) for mu in spec.spec.poi.values]
    if spec.spec.fit is not None and spec.spec.fit.mu is not None:
        asked.append((("fit", "mu"), spec.spec.fit.mu))
    for key, mu in asked:
        if not low <= mu <= high:
            raise spec.error(
                key,
                f"mu = {mu:g} is outside the POI's bounds [{low:g}, {high:g}]",
                "test a value inside the bounds that the measurement gives",
            )
