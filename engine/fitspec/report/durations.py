"""The slowest points of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fitspec.results import PointResult


def durations(points: Sequence[PointResult], number: int) -> Iterator[str]:
    """A line for each of the slowest points: its own seconds on its worker, and its node id.

    Args:
        points: of a run; those not computed, and those from the store, took no time of it.
        number: of points; 0: all.
    """
    computed = [point for point in points if point.outcome.seconds and not point.cached]
    slowest = sorted(computed, key=lambda point: -point.outcome.seconds)
    for point in slowest[: number or None]:
        yield f"{point.outcome.seconds:.3f}s {point.node_id}"
    if stored := sum(point.cached for point in points):
        yield f"({stored} from the store took no time)"
