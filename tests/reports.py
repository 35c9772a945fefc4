"""Reports by hand: points, checks, and what a run makes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fitspec.outcome import HypothesisTest, Outcome
from fitspec.results import CheckResult, PointResult, RunReport, SpecRecord

ENVIRONMENT = {"fitspec": "0.1.0", "python": "3.11.7", "backend": "native", "endpoint": "local"}
TEST = HypothesisTest(1.0, 0.24444, (0.09, 0.1938, 0.3843, 0.6558, 0.89), 0.1, 0.6, 1.5, 2.5)


def point(
    name: str, spec: str = "small.toml", seconds: float = 0.25, **changes: Any
) -> PointResult:
    outcome = Outcome("ok", tests=(TEST,), mu_hat=0.1234, seconds=seconds)
    return replace(PointResult(spec, name, {}, outcome), **changes)


def failed(name: str, reason: str, spec: str = "small.toml") -> PointResult:
    return PointResult(spec, name, {}, Outcome.failed(reason))


def check(outcome: Any = "passed", name: str = "one", **changes: Any) -> CheckResult:
    plain = CheckResult(
        "small.toml", name, "CLs_obs", 1.0, 0.25, 0.24444, 1e-3, 0.0, outcome, "Table 5",
        file="small.toml", line=12,
    )  # fmt: skip
    return replace(plain, **changes)


def missing(name: str, reason: str, **changes: Any) -> CheckResult:
    """A check of a point without numbers."""
    return check("error", name, actual=None, reason=reason, **changes)


def report(*points: PointResult, checks: tuple[CheckResult, ...] = (), **changes: Any) -> RunReport:
    specs = (SpecRecord("small.toml", "0" * 64, "small"),)
    plain = RunReport(specs, ENVIRONMENT, points, (), checks, deselected=0, seconds=1.25)
    return replace(plain, **changes)
