"""What a specification has to check, each with its name as pytest spells it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fitspec.collect import Collection, Combination, Expectation, Point
from fitspec.results import Label


@dataclass(frozen=True, slots=True)
class Entry:
    """A check, or a point without one.

    Attributes:
        names: from below the file; joined by ``::`` they are the rest of pytest's node id.
        node: node id of the check or point; several checks may share it.
        title: what a failure is headed by.
        labels: of the point or combination.
        points: node ids of the points that it needs.
        number: which of the checks of this node id; None for a point.
        xfail: why the check is known to fail.
    """

    names: tuple[str, ...]
    node: str
    title: str
    labels: Mapping[str, Label]
    points: tuple[str, ...]
    number: int | None = None
    xfail: str | None = None


def entries_of(collection: Collection) -> Iterator[Entry]:
    """Checks, and points without one, in the order of `fitspec collect`."""
    checks: dict[str, list[Expectation]] = {}
    for expectation in collection.expectations:
        checks.setdefault(expectation.target.node_id, []).append(expectation)
    targets: list[Point | Combination] = [*collection.points, *collection.combinations]
    for target in targets:
        points = (target,) if isinstance(target, Point) else target.points
        nodes = tuple(point.node_id for point in points)
        found = checks.get(target.node_id, [])
        if not found and isinstance(target, Point):
            names, title = names_of(target.id), f"point {target.id}"
            yield Entry(names, target.node_id, title, target.labels, nodes)
        yield from _of_checks(target, found, nodes)


def _of_checks(
    target: Point | Combination, checks: Sequence[Expectation], points: tuple[str, ...]
) -> Iterator[Entry]:
    numbers: Counter[str] = Counter()
    for check, suffix in zip(checks, _suffixes(checks), strict=True):
        yield Entry(
            names=names_of(f"{target.id}::{check.quantity}{suffix}"),
            node=check.node_id,
            title=f"{target.id} {check.quantity}{suffix}",
            labels=target.labels,
            points=points,
            number=numbers[check.quantity],
            xfail=check.xfail,
        )
        numbers[check.quantity] += 1


def _suffixes(checks: Sequence[Expectation]) -> Iterator[str]:
    """What tells checks of one quantity apart: ``[mu=0.5]``, and ``#2`` for a second opinion."""
    mus: dict[str, set[float | None]] = {}
    for check in checks:
        mus.setdefault(check.quantity, set()).add(check.mu)
    seen: Counter[tuple[str, float | None]] = Counter()
    for check in checks:
        seen[check.quantity, check.mu] += 1
        at_mu = f"mu={check.mu:g}" if len(mus[check.quantity]) > 1 else ""
        again = f"#{seen[check.quantity, check.mu]}" if seen[check.quantity, check.mu] > 1 else ""
        yield f"[{at_mu}{again}]" if at_mu or again else ""


def names_of(name: str) -> tuple[str, ...]:
    """A name in the parts in which pytest takes it from the command line.

    From the first bracket on, all is one part: it could be the parameters of a test.
    """
    plain, bracket, rest = name.partition("[")
    *above, last = plain.split("::")
    return (*above, f"{last}{bracket}{rest}")
