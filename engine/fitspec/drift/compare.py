"""Point by point through two runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from fitspec.drift.runs import Difference, PartChange, differences, part_changes
from fitspec.drift.shifts import Shift, Tolerance, numbers, shifts
from fitspec.results import CONFIDENCE, CheckResult, Label, PointResult, RunReport, SpecRecord


@dataclass(frozen=True, slots=True)
class Change:
    """What else changed in the results.

    Attributes:
        spec: the specification, as the newer run names it.
        id: the point, signal or check.
        what: ``point`` or ``quantity``, which came (old is None) or went (new is None); ``status``
            of a point; ``choice`` of a combination; outcome of a ``check`` that stayed the same.
        old: before.
        new: after.
    """

    spec: str
    id: str
    what: Literal["point", "quantity", "status", "choice", "check"]
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Drift:
    """From one run to another.

    Attributes:
        shifts: numbers that moved; point by point, what matters most first.
        changes: everything else in the results.
        differences: of the runs.
        parts: of workspaces and patches.
        points: compared.
    """

    shifts: tuple[Shift, ...]
    changes: tuple[Change, ...]
    differences: tuple[Difference, ...]
    parts: tuple[PartChange, ...]
    points: int

    @property
    def moved(self) -> bool:
        """The results are not what they were."""
        return bool(self.shifts or self.changes)

    @property
    def flips(self) -> tuple[Shift, ...]:
        """Numbers that now say otherwise of the signal."""
        return tuple(shift for shift in self.shifts if shift.flipped is not None)


def compare(
    old: RunReport,
    new: RunReport,
    tolerance: Tolerance,
    matches: Callable[[str, Mapping[str, Label]], bool] = lambda node, labels: True,  # noqa: ARG005
) -> Drift:
    """What changed from one run to another.

    Args:
        old: before.
        new: after.
        tolerance: of numbers.
        matches: which points count, by node id and labels.
    """
    pairs = _spec_pairs(old, new)
    old = _renamed(old, {before.path: after.path for before, after in pairs})
    was = {p.node_id: p for p in old.points if matches(p.node_id, p.labels)}
    now = {p.node_id: p for p in new.points if matches(p.node_id, p.labels)}
    both = [(was[node], point) for node, point in now.items() if node in was]
    confidence = {after.path: (before.confidence, after.confidence) for before, after in pairs}
    moved: list[list[Shift]] = []
    changes = [
        Change(point.spec, point.id, "point", *(("there", None) if gone else (None, "there")))
        for gone, points, others in ((True, was, now), (False, now, was))
        for node, point in points.items()
        if node not in others
    ]
    for a, b in both:
        levels = confidence.get(b.spec, (CONFIDENCE, CONFIDENCE))
        found = sorted(shifts(a, b, tolerance, levels), key=_order)
        moved += [found] if found else []
        changes += _changes(a, b)
    moved.sort(key=lambda found: found[0].weight, reverse=True)
    nodes = {point.node_id for _, point in both}
    nodes |= {f"{c.spec}::{c.id}" for c in new.combined if c.result.node_id in nodes}
    return Drift(
        shifts=tuple(shift for found in moved for shift in found),
        changes=(*changes, *_choices(old, new, nodes), *_checks(old, new, nodes)),
        differences=tuple(differences(old, new, pairs)),
        parts=tuple(part_changes(old, new, both)),
        points=len(both),
    )


def _order(shift: Shift) -> tuple[bool, float, float, str, float, int]:
    """What matters most first; the rest only makes it the same every time."""
    flip, sigmas, relative = shift.weight
    return not flip, -sigmas, -relative, shift.quantity, shift.mu or 0.0, shift.sigma or 0


def _spec_pairs(old: RunReport, new: RunReport) -> list[tuple[SpecRecord, SpecRecord]]:
    """Specifications of the same path; of the others, those alone with their analysis' name."""
    before = {spec.path: spec for spec in old.specs}
    pairs = [(before[spec.path], spec) for spec in new.specs if spec.path in before]
    paired = {spec.path for _, spec in pairs}
    rest_old = [spec for spec in old.specs if spec.path not in paired]
    rest_new = [spec for spec in new.specs if spec.path not in paired]
    for spec in rest_new:
        found = [other for other in rest_old if other.analysis == spec.analysis]
        if len(found) == 1 and sum(other.analysis == spec.analysis for other in rest_new) == 1:
            pairs.append((found[0], spec))
    return pairs


def _renamed(report: RunReport, paths: Mapping[str, str]) -> RunReport:
    """The report with the paths that the newer run has for its specifications."""

    def name(path: str) -> str:
        return paths.get(path, path)

    return replace(
        report,
        points=tuple(replace(p, spec=name(p.spec)) for p in report.points),
        combined=tuple(replace(c, spec=name(c.spec)) for c in report.combined),
        checks=tuple(replace(c, spec=name(c.spec)) for c in report.checks),
    )


def _changes(old: PointResult, new: PointResult) -> Iterator[Change]:
    if old.outcome.status != new.outcome.status:
        yield Change(new.spec, new.id, "status", _status(old), _status(new))
    if new.outcome.status == old.outcome.status == "ok":
        before, after = numbers(old, CONFIDENCE), numbers(new, CONFIDENCE)
        went = dict.fromkeys((quantity, mu) for quantity, mu, _ in before)
        came = dict.fromkeys((quantity, mu) for quantity, mu, _ in after)
        for key in [key for key in went if key not in came]:
            yield Change(new.spec, new.id, "quantity", _title(*key), None)
        for key in [key for key in came if key not in went]:
            yield Change(new.spec, new.id, "quantity", None, _title(*key))


def _title(quantity: str, mu: float | None) -> str:
    return quantity if mu is None else f"{quantity} at mu = {mu:g}"


def _status(point: PointResult) -> str:
    return f"error: {point.outcome.error}" if point.outcome.status == "error" else "ok"


def _choices(old: RunReport, new: RunReport, nodes: set[str]) -> Iterator[Change]:
    before = {(c.spec, c.id): c.chosen for c in old.combined}
    for combined in new.combined:
        was = before.get((combined.spec, combined.id), combined.chosen)
        if was != combined.chosen and f"{combined.spec}::{combined.id}" in nodes:
            yield Change(combined.spec, combined.id, "choice", was, combined.chosen)


def _checks(old: RunReport, new: RunReport, nodes: set[str]) -> Iterator[Change]:
    """Outcomes that changed of checks that did not."""
    before = {_identity(check): check.outcome for check in old.checks}
    for check in new.checks:
        was = before.get(_identity(check), check.outcome)
        if was != check.outcome and f"{check.spec}::{check.id}" in nodes:
            name = f"{check.id}::{check.quantity}"
            yield Change(check.spec, name, "check", was, check.outcome)


def _identity(check: CheckResult) -> tuple[object, ...]:
    return (
        check.spec, check.id, check.quantity, check.mu, check.expected, check.rtol, check.atol,
        check.source,
    )  # fmt: skip
