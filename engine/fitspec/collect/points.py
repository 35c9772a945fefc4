"""From one specification to its points, the selection among them, and their combinations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fitspec.collect.cases import Case, Opener, open_case
from fitspec.errors import nearest
from fitspec.results import Label
from fitspec.sources.pattern import label_value
from fitspec.spec import SpecFile
from fitspec.spec.models import Range


@dataclass(frozen=True, eq=False)
class Point:
    """One signal hypothesis of one case: the unit that is computed and reported.

    Attributes:
        spec: the specification.
        case: workspace and patches.
        patch: the patch's name.
        labels: parametrize values and patch labels.
        xsec_pb: theory cross-section in pb, where `[cross_section]` gives one.
    """

    spec: SpecFile
    case: Case
    patch: str
    labels: Mapping[str, Label]
    xsec_pb: float | None = None

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


def points_of(spec: SpecFile, opener: Opener) -> list[Point]:
    """All points of a specification, before any selection.

    Raises:
        SpecError: a source is absent or not what the specification says, or two points have the
            same id.
    """
    points = []
    for values in spec.spec.cases:
        case = open_case(spec, values, opener)
        for patch, labels in case.patches.labels.items():
            overlap = sorted(set(labels) & set(case.values))
            if overlap:
                raise spec.error(
                    ("parametrize", overlap[0]),
                    f"{overlap[0]!r} is also a label of the patches",
                    "rename one of them",
                )
            every = {**case.values, **labels}
            every = {label: label_value(value) for label, value in every.items()}
            points.append(Point(spec, case, patch, every))
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
    return wanted.holds(value) if isinstance(wanted, Range) else value in map(label_value, wanted)


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


def _require_distinct_ids(spec: SpecFile, points: Sequence[Point]) -> None:
    seen: set[str] = set()
    for point in points:
        if point.id in seen:
            raise spec.error(("parametrize",), f"two points have the id {point.id!r}")
        seen.add(point.id)
