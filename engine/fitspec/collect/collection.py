"""Everything a run is about: the selected points, their combinations and expectations."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from fitspec.collect.cases import Opener
from fitspec.collect.cross_sections import with_cross_sections
from fitspec.collect.expectations import Expectation, expectations_of
from fitspec.collect.keywords import Matcher, compile_keywords
from fitspec.collect.points import Combination, Point, combinations_of, points_of, selected
from fitspec.collect.support import require_supported
from fitspec.errors import NothingCollectedError
from fitspec.sources import Access
from fitspec.spec import SpecFile


@dataclass(frozen=True)
class Collection:
    """The selected part of some specifications.

    Attributes:
        specs: the specifications.
        points: to compute.
        combinations: whose points are all selected.
        expectations: to check.
        deselected: number of points left out by ``-k``.
    """

    specs: tuple[SpecFile, ...]
    points: tuple[Point, ...]
    combinations: tuple[Combination, ...]
    expectations: tuple[Expectation, ...]
    deselected: int

    @property
    def node_ids(self) -> list[str]:
        """Checks, and points without a check."""
        checks: dict[str, list[str]] = {}
        for expectation in self.expectations:
            checks.setdefault(expectation.target.node_id, []).append(expectation.node_id)
        nodes = [node for p in self.points for node in checks.get(p.node_id, [p.node_id])]
        return nodes + [node for c in self.combinations for node in checks.get(c.node_id, [])]


def collect(
    specs: Sequence[SpecFile],
    access: Access,
    keywords: str = "",
    only: AbstractSet[str] | None = None,
) -> Collection:
    """The points of specifications that ``[patches] select`` and ``-k`` keep.

    Args:
        specs: validated specifications.
        access: how their sources may be reached.
        keywords: a ``-k`` expression.
        only: node ids to keep, of those that match; None: all.

    Raises:
        SpecError: a source is not what a specification says.
        UsageError: the expression is malformed.
        NothingCollectedError: no point is left.
    """
    matches = _among(only, compile_keywords(keywords))
    opener = Opener(access)
    for spec in specs:
        require_supported(spec)
    parts = [_collect_one(spec, opener, matches) for spec in specs]
    collection = Collection(
        specs=tuple(specs),
        points=tuple(point for part in parts for point in part.points),
        combinations=tuple(c for part in parts for c in part.combinations),
        expectations=tuple(e for part in parts for e in part.expectations),
        deselected=sum(part.deselected for part in parts),
    )
    if not collection.points:
        raise _nothing(collection, keywords)
    return collection


def _among(only: AbstractSet[str] | None, matches: Matcher) -> Matcher:
    if only is None:
        return matches
    return lambda node_id, labels: node_id in only and matches(node_id, labels)


def _collect_one(spec: SpecFile, opener: Opener, matches: Matcher) -> Collection:
    everything = points_of(spec, opener)
    points = with_cross_sections(spec, selected(spec, everything))
    combinations = combinations_of(spec, points)
    kept = {point.id for point in points} | {c.id for c in combinations}
    expectations = expectations_of(spec, everything, combinations_of(spec, everything), kept)
    return _select_nodes(spec, points, combinations, expectations, matches)


def _select_nodes(
    spec: SpecFile,
    points: Sequence[Point],
    combinations: Sequence[Combination],
    expectations: Sequence[Expectation],
    matches: Matcher,
) -> Collection:
    """Keep the matching nodes, and every point that a kept node needs."""
    by_id: dict[str, Point | Combination] = {p.id: p for p in points}
    by_id |= {c.id: c for c in combinations}
    kept = [
        replace(expectation, target=by_id[expectation.target.id])
        for expectation in expectations
        if expectation.target.id in by_id
        and matches(expectation.node_id, expectation.target.labels)
    ]
    needed = {expectation.target.id for expectation in kept}
    for combination in combinations:
        if combination.id in needed:
            needed |= {point.id for point in combination.points}
    kept_points = [p for p in points if p.id in needed or matches(p.node_id, p.labels)]
    computed = {point.id for point in kept_points}
    return Collection(
        specs=(spec,),
        points=tuple(kept_points),
        combinations=tuple(
            c for c in combinations if all(point.id in computed for point in c.points)
        ),
        expectations=tuple(kept),
        deselected=len(points) - len(kept_points),
    )


def _nothing(collection: Collection, keywords: str) -> NothingCollectedError:
    names = ", ".join(spec.name for spec in collection.specs) or "no specification"
    if collection.deselected and keywords:
        problem = f"-k {keywords!r} selects none of the {collection.deselected} points"
        return NothingCollectedError(f"{names}: {problem}", "`fitspec collect` lists them")
    if collection.deselected:
        return NothingCollectedError(f"{names}: none of the chosen points is there any more")
    return NothingCollectedError(f"{names}: no points", "loosen [patches] select")
