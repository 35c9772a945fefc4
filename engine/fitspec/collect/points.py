"""From one specification to its points: cases, their workspaces, and the patches of each."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
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
from fitspec.spec.models import Range

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


@dataclass(frozen=True, eq=False)
class Point:
    """One signal hypothesis of one case: the unit that is computed and reported.

    Attributes:
        spec: the specification.
        case: workspace and patches.
        patch: the patch's name.
        labels: parametrize values and patch labels.
    """

    spec: SpecFile
    case: Case
    patch: str
    labels: Mapping[str, Label]

    @cached_property
    def id(self) -> str:
        """Parametrize values and patch name joined by ``::``."""
        return "::".join([*map(str, self.case.values.values()), self.patch])

    @property
    def node_id(self) -> str:
        """``spec::id``."""
        return f"{self.spec.name}::{self.id}"


@dataclass(frozen=True, eq=False)
class Combination:
    """The points of one signal hypothesis over the cases of a parametrize key.

    Attributes:
        spec: the specification.
        id: the points' common id, without that key's value.
        labels: the points' common labels.
        points: one a case.
    """

    spec: SpecFile
    id: str
    labels: Mapping[str, Label]
    points: tuple[Point, ...]

    @property
    def node_id(self) -> str:
        """``spec::id``."""
        return f"{self.spec.name}::{self.id}"


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


def points_of(spec: SpecFile, opener: Opener) -> list[Point]:
    """All points of a specification, before any selection.

    Raises:
        SpecError: a source is absent or not what the specification says, or two points have the
            same id.
    """
    points = []
    for case in _cases(spec, opener):
        for patch, labels in case.patches.labels.items():
            overlap = sorted(set(labels) & set(case.values))
            if overlap:
                raise spec.error(
                    ("parametrize", overlap[0]),
                    f"{overlap[0]!r} is also a label of the patches",
                    "rename one of them",
                )
            points.append(Point(spec, case, patch, {**case.values, **labels}))
    _require_distinct_ids(spec, points)
    return points


def selected(spec: SpecFile, points: Sequence[Point]) -> list[Point]:
    """Points that ``[patches] select`` keeps.

    Raises:
        SpecError: a label that no point has.
    """
    select = spec.spec.patches.select if spec.spec.patches else {}
    labels = list(dict.fromkeys(label for point in points for label in point.labels))
    for label in select:
        if points and label not in labels:
            remedy = nearest(label, labels) or f"labels are {', '.join(labels) or 'none'}"
            raise spec.error(("patches", "select", label), "no patch has this label", remedy)

    def kept(point: Point) -> bool:
        return all(
            label in point.labels and _holds(wanted, point.labels[label])
            for label, wanted in select.items()
        )

    return [point for point in points if kept(point)]


def _holds(wanted: Range | tuple[Label, ...], value: Label) -> bool:
    return wanted.holds(value) if isinstance(wanted, Range) else value in wanted


def combinations_of(spec: SpecFile, points: Sequence[Point]) -> list[Combination]:
    """Groups of points for ``[combine]``; none without it."""
    if spec.spec.combine is None:
        return []
    key = spec.spec.combine.best_expected
    groups: dict[str, list[Point]] = {}
    for point in points:
        others = [str(v) for k, v in point.case.values.items() if k != key]
        groups.setdefault("::".join([*others, point.patch]), []).append(point)
    return [
        Combination(
            spec,
            name,
            {label: value for label, value in group[0].labels.items() if label != key},
            tuple(group),
        )
        for name, group in groups.items()
    ]


def substitute(text: str, values: Mapping[str, Label]) -> str:
    """Text with ``{key}`` replaced for the keys of ``[parametrize]``; other braces stay."""
    return _PLACEHOLDER.sub(lambda m: str(values.get(m[1], m[0])), text)


def cases_of(spec: SpecFile) -> list[dict[str, Label]]:
    """The cartesian product of ``[parametrize]``; one empty case without it."""
    keys = spec.spec.parametrize
    return [dict(zip(keys, values, strict=True)) for values in itertools.product(*keys.values())]


def _cases(spec: SpecFile, opener: Opener) -> Iterator[Case]:
    workspace = spec.spec.workspace
    patches = spec.spec.patches
    for values in cases_of(spec):

        def fill(text: str | None, *key: str, values: Mapping[str, Label] = values) -> str | None:
            return None if text is None else _filled(spec, text, key, values)

        source = fill(workspace.archive, "workspace", "archive")
        path = str(PurePosixPath(fill(workspace.path, "workspace", "path") or ""))
        measurement_name = fill(workspace.measurement, "workspace", "measurement")
        with spec.at("workspace", "archive"):
            archive = opener.archive(source, spec.path.parent, workspace.sha256)
        with spec.at("workspace", "path"):
            raw = archive.read([path])[path]
        with spec.at("workspace", "path"), spec.at("workspace", "digest", kind=DigestError):
            background = load_background(raw, path, workspace.digest)
        with spec.at("workspace", "measurement"):
            measurement = background.measurement(measurement_name)
        _require_testable(spec, background.poi_bounds(measurement))

        with spec.at("patches", "files"):
            files = patches.files if patches else None
            pattern = FilePattern(substitute(files, values)) if files else None
        with spec.at("patches", "files" if pattern else "patchset"):
            source_of_patches = open_patches(
                archive,
                background,
                files=pattern,
                patchset=fill(patches.patchset if patches else None, "patches", "patchset"),
                relabel=patches.labels if patches else None,
            )
        if pattern and not source_of_patches.labels:
            raise spec.error(
                ("patches", "files"),
                f"no file matches {pattern.text!r}",
                "labels match within one path component; braces that name a label stand for it",
            )
        yield Case(values, background, measurement["name"], source_of_patches)


def _filled(spec: SpecFile, text: str, key: tuple[str, ...], values: Mapping[str, Label]) -> str:
    filled = substitute(text, values)
    if unknown := _PLACEHOLDER.search(filled):
        remedy = nearest(unknown[1], values) or "declare it in [parametrize]"
        raise spec.error(key, f"unknown placeholder {unknown[0]}", remedy)
    return filled


def _require_testable(spec: SpecFile, bounds: tuple[float, float]) -> None:
    low, high = bounds
    key = ("poi", "scan") if spec.spec.poi.scan else ("poi", "test")
    for mu in spec.spec.poi.values:
        if not low <= mu <= high:
            raise spec.error(
                key,
                f"mu = {mu:g} is outside the POI's bounds [{low:g}, {high:g}]",
                "test a value inside the bounds that the measurement gives",
            )


def _require_distinct_ids(spec: SpecFile, points: Sequence[Point]) -> None:
    seen: set[str] = set()
    for point in points:
        if point.id in seen:
            raise spec.error(("parametrize",), f"two points have the id {point.id!r}")
        seen.add(point.id)
