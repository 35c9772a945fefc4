"""Results of an earlier run, which must be those of the specification."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from fitspec.errors import UsageError, nearest
from fitspec.results import RunReport
from fitspec.spec import SpecFile


def require_belongs(report: RunReport, path: Path, spec: SpecFile, points: Collection[str]) -> None:
    """Raise :class:`UsageError` unless these are the whole results of this specification.

    Args:
        report: the results.
        path: where they are from, for messages.
        spec: the specification.
        points: ids of its points.
    """
    if len(report.specs) != 1:
        problem = f"{path} has results of {len(report.specs)} specifications"
        raise UsageError(problem, f"run {spec.name} alone")
    found = report.specs[0]
    if found.sha256 != spec.sha256:
        problem = (
            f"{path} is of {found.path} with sha256 {found.sha256}; {spec.name} has {spec.sha256}"
        )
        raise UsageError(problem, "run it again")
    for point in report.points:
        if point.id not in points:
            problem = f"{path} has a point {point.id!r}, and {spec.name} has none of this id"
            raise UsageError(problem, nearest(point.id, points) or "run it again")
    if report.interrupted or report.not_computed or not report.points:
        raise UsageError(f"{path} is of a run that did not come to its end", "run it again")
