"""What a report of pytest (``--junitxml``) can tell of a point, beyond its outcome."""

from __future__ import annotations

from collections.abc import Sequence

from fitspec.pytesting.entries import Entry
from fitspec.results import XSEC_LIMITS, CheckResult, PointResult

_QUANTITIES = (
    "p0",
    "mu_hat",
    "upper_limit_obs",
    "upper_limit_exp",
    "upper_limit_xsec_obs",
    "upper_limit_xsec_exp",
)


def properties_of(
    entry: Entry, points: Sequence[PointResult], result: PointResult | CheckResult
) -> list[tuple[str, object]]:
    """Labels, numbers, and where they were computed.

    Args:
        entry: the item's.
        points: all that it needs, of those computed.
        result: the item's own.
    """
    found: dict[str, object] = dict(entry.labels)
    if len(points) == 1:
        found |= _numbers(points[0])
    elif isinstance(result, CheckResult):  # of a combination: it knows which point was chosen
        found |= {result.quantity: result.actual}
    workers = dict.fromkeys(point.outcome.worker for point in points)
    found["worker"] = ", ".join(filter(None, workers))
    told = {name: value for name, value in found.items() if value is not None and value != ""}
    return [(name, [*v] if isinstance(v, tuple) else v) for name, v in told.items()]


def _numbers(point: PointResult) -> dict[str, object]:
    outcome = point.outcome
    found: dict[str, object] = {}
    for test in outcome.tests:
        at_mu = f"[mu={test.mu:g}]" if len(outcome.tests) > 1 else ""
        found |= {f"CLs_obs{at_mu}": test.CLs_obs, f"CLs_exp{at_mu}": test.CLs_exp}
    for name in _QUANTITIES:
        found[name] = getattr(point if name in XSEC_LIMITS else outcome, name)
    return found | {"seconds": outcome.seconds, "cached": point.cached}
