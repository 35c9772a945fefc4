"""What a run yields: points with their outcomes, checks, and the whole report."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fitspec.outcome import Band, KnownBand, Outcome

Label = str | int | float


NOT_COMPUTED = "not computed"
"""How the reason of a point begins that nobody tried to compute."""

STOPPED = f"{NOT_COMPUTED}: stopped at --maxfail"
"""How it begins where so many failures came before."""


CONFIDENCE = 0.95
"""Of an exclusion, where nothing says another level."""

XSEC_LIMITS = ("upper_limit_xsec_obs", "upper_limit_xsec_exp")
"""The numbers of a point that need its cross-section; all others are its outcome's."""


@dataclass(frozen=True, slots=True)
class PointResult:
    """A point of a specification and its outcome.

    Attributes:
        spec: the specification as the user named it.
        id: parametrize values and patch name joined by ``::``.
        labels: parametrize values and patch labels.
        outcome: the numbers, or the reason why there are none.
        cached: the outcome came from the result store.
        xsec_pb: theory cross-section in pb, or None. It is the point's and not the outcome's: a
            new table of cross-sections needs no new fit.
        workspace: digest of the background-only workspace; None where nobody knows it.
        patch: digest of the patch; None where nobody knows it.
    """

    spec: str
    id: str
    labels: Mapping[str, Label]
    outcome: Outcome
    cached: bool = False
    xsec_pb: float | None = None
    workspace: str | None = None
    patch: str | None = None

    @property
    def node_id(self) -> str:
        """``spec::id``."""
        return f"{self.spec}::{self.id}"

    @property
    def upper_limit_xsec_obs(self) -> float | None:
        """Observed upper limit on the POI times the theory cross-section, in pb."""
        limit = self.outcome.upper_limit_obs
        return None if limit is None or self.xsec_pb is None else limit * self.xsec_pb

    @property
    def upper_limit_xsec_exp(self) -> Band | None:
        """Expected upper limits at -2..+2 sigma, in pb."""
        limits = self.outcome.upper_limit_exp
        if limits is None or self.xsec_pb is None:
            return None
        m2, m1, median, p1, p2 = (limit * self.xsec_pb for limit in limits)
        return m2, m1, median, p1, p2

    def to_dict(self) -> dict[str, Any]:
        """One flat record of results.json."""
        record = {"spec": self.spec, "id": self.id, "labels": dict(self.labels)}
        own = ("xsec_pb", *XSEC_LIMITS, "workspace", "patch", "cached")
        return record | self.outcome.to_dict() | {name: getattr(self, name) for name in own}


@dataclass(frozen=True, slots=True)
class Combined:
    """A signal point's best case: the one with the lowest median expected CLs.

    Attributes:
        spec: the specification as the user named it.
        id: the signal point, without the combined label.
        chosen: id of the chosen point.
        candidates: ids of all points it was chosen from.
        result: the chosen point's result.
    """

    spec: str
    id: str
    chosen: str
    candidates: tuple[str, ...]
    result: PointResult

    def to_dict(self) -> dict[str, Any]:
        """One flat record of results.json."""
        return {
            "spec": self.spec,
            "id": self.id,
            "labels": dict(self.result.labels),
            "chosen": self.chosen,
            "candidates": list(self.candidates),
        }


CheckOutcome = Literal["passed", "failed", "xfailed", "xpassed", "error", "unstable"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One quantity of one point against its expectation; ``outcome`` is pytest's word.

    A cross-check is one, too: what pyhf finds is then the expectation, and where the two disagree
    the outcome is ``unstable``.

    ``expected`` and ``actual`` are numbers, five-element bands, or booleans (``excluded``).
    ``reason`` is the xfail reason, why there is no value, or what an unstable one may come from.
    ``file`` and ``line`` (1-based) are where the expectation is written: in the specification, or
    in a table beside it; None for a cross-check.
    """

    spec: str
    id: str
    quantity: str
    mu: float | None
    expected: float | bool | KnownBand | None
    actual: float | bool | Band | None
    rtol: float
    atol: float
    outcome: CheckOutcome
    source: str | None
    reason: str | None = None
    file: str | None = None
    line: int | None = None

    @property
    def node_id(self) -> str:
        """``spec::point::quantity``."""
        return f"{self.spec}::{self.id}::{self.quantity}"


def as_band(value: float | KnownBand) -> tuple[float | None, ...]:
    """A number as a tuple of one; a band as it is."""
    return value if isinstance(value, tuple) else (value,)


def failures(
    points: Iterable[PointResult], checks: Iterable[CheckResult]
) -> tuple[PointResult, ...]:
    """Points without numbers, but for those whose checks expected that."""
    expected = {(c.spec, c.id) for c in checks if c.outcome == "xfailed" and c.actual is None}
    failed = (point for point in points if point.outcome.status == "error")
    return tuple(point for point in failed if (point.spec, point.id) not in expected)


@dataclass(frozen=True, slots=True)
class SpecRecord:
    """A specification that took part in a run.

    Attributes:
        path: as the user named it.
        sha256: digest of its text.
        analysis: its name.
        notes: what a careful reader should know about all its points.
        settings: how its numbers are made, by dotted key, defaults and overrides included.
    """

    path: str
    sha256: str
    analysis: str
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def confidence(self) -> float:
        """Level of its exclusions: that of its upper limits, if it asks for some."""
        level = self.settings.get("poi.upper_limit")
        return level if isinstance(level, float) else CONFIDENCE


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """A part of a workspace, or what a patch makes of it; digests tell whether two are the same.

    Attributes:
        workspace: digest of the background-only workspace.
        patch: digest of the patch; None for a part of the background itself.
        channel: its name; None for the workspace's measurements.
        sample: its name; None for the observed data, and the measurements.
        events: nominal, or observed, events over all bins; None for the measurements, and for a
            sample that the patch removes.
        bins: digest of the events by bin; of the measurements; None for what is removed.
        modifiers: digest of the sample's modifiers; None for all else.
    """

    workspace: str
    patch: str | None
    channel: str | None
    sample: str | None
    events: float | None
    bins: str | None
    modifiers: str | None


@dataclass(frozen=True, slots=True)
class RunReport:
    """All of a run; what every report is made from.

    Attributes:
        specs: the specifications.
        environment: versions, backend and endpoint, as strings.
        points: one a selected point; not computed ones are errors that say so.
        combined: best-expected choices.
        checks: one a quantity and point.
        deselected: points left out by the selection.
        seconds: wall time.
        interrupted: the run was stopped before its end.
        samples: finds out what workspaces and patches hold; not every reader wants to wait for it.
    """

    specs: tuple[SpecRecord, ...]
    environment: Mapping[str, str]
    points: tuple[PointResult, ...]
    combined: tuple[Combined, ...]
    checks: tuple[CheckResult, ...]
    deselected: int
    seconds: float
    interrupted: bool = False
    samples: Callable[[], tuple[SampleRecord, ...]] = tuple

    def count(self, outcome: CheckOutcome) -> int:
        """Checks with this outcome."""
        return sum(check.outcome == outcome for check in self.checks)

    @property
    def failed_points(self) -> tuple[PointResult, ...]:
        """Points without numbers that no expected failure speaks of."""
        return failures(self.points, self.checks)

    @property
    def silent_points(self) -> tuple[PointResult, ...]:
        """Points whose state no check tells: they have none, or failed though those hold."""
        checked = {(check.spec, check.id) for check in self.checks}
        told = {(check.spec, check.id) for check in self.checks if check.outcome == "error"}
        failed = {(point.spec, point.id) for point in self.failed_points} - told
        keys = [(point.spec, point.id) for point in self.points]
        silent = [key not in checked or key in failed for key in keys]
        return tuple(itertools.compress(self.points, silent))

    @property
    def not_computed(self) -> int:
        """Points that the run did not come to."""
        return sum((p.outcome.error or "").startswith(NOT_COMPUTED) for p in self.points)

    @property
    def ok(self) -> bool:
        """Every point has its numbers and every check holds."""
        bad: tuple[CheckOutcome, ...] = ("failed", "error", "unstable")
        return not (self.failed_points or any(self.count(outcome) for outcome in bad))
