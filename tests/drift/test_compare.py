"""Two runs, point by point."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fitspec.drift import Change, Tolerance, compare
from fitspec.outcome import HypothesisTest, Outcome
from fitspec.results import CheckResult, Combined, PointResult, RunReport, SpecRecord

BAND = (0.05, 0.1, 0.2, 0.4, 0.7)


def point(name: str, CLs_obs: float = 0.2, **changes) -> PointResult:
    test = HypothesisTest(1.0, CLs_obs, BAND, 0.1, 0.5, 1.0, 2.0)
    outcome = Outcome("ok", tests=(test,), mu_hat=0.5)
    return PointResult("a.toml", name, {"name": name}, replace(outcome, **changes))


def report(*points: PointResult, path: str = "a.toml", **changes) -> RunReport:
    spec = SpecRecord(path, "ab" * 32, "small")
    points = tuple(replace(p, spec=path) for p in points)
    return replace(RunReport((spec,), {}, points, (), (), 0, 1.0), **changes)


def test_the_same_run_has_not_moved():
    drift = compare(report(point("a")), report(point("a")), Tolerance())

    assert (drift.moved, drift.points) == (False, 1)
    assert drift.shifts == drift.changes == drift.differences == drift.parts == ()


def test_what_matters_most_comes_first():
    old = report(point("tiny"), point("large"), point("flipped", 0.0501), point("still"))
    new = report(
        point("tiny", 0.201), point("large", 0.4), point("flipped", 0.0499), point("still")
    )

    drift = compare(old, new, Tolerance())

    assert [shift.id for shift in drift.shifts] == ["flipped", "large", "tiny"]
    assert [flip.id for flip in drift.flips] == ["flipped"]
    assert drift.shifts[1].sigmas == pytest.approx(1.0)
    assert (drift.moved, drift.points) == (True, 4)


def test_points_that_come_go_or_fail_are_told():
    failed = replace(point("b"), outcome=Outcome.failed("did not converge"))
    old, new = report(point("a"), point("b")), report(failed, point("c"))

    assert compare(old, new, Tolerance()).changes == (
        Change("a.toml", "a", "point", "there", None),
        Change("a.toml", "c", "point", None, "there"),
        Change("a.toml", "b", "status", "ok", "error: did not converge"),
    )


def test_quantities_that_come_and_go_are_told():
    new = point("a", upper_limit_obs=1.0, upper_limit_exp=BAND, mu_hat=None)

    assert compare(report(point("a")), report(new), Tolerance()).changes == (
        Change("a.toml", "a", "quantity", "mu_hat", None),
        Change("a.toml", "a", "quantity", None, "upper_limit_obs"),
        Change("a.toml", "a", "quantity", None, "upper_limit_exp"),
    )


def test_another_mu_is_another_quantity():
    test = replace(point("a").outcome.tests[0], mu=2.0)

    changes = compare(report(point("a")), report(point("a", tests=(test,))), Tolerance()).changes

    assert changes[0] == Change("a.toml", "a", "quantity", "CLs_obs at mu = 1", None)
    assert len(changes) == 6


def test_a_file_that_moved_is_the_same_specification():
    drift = compare(report(point("a"), path="old/a.toml"), report(point("a", 0.3)), Tolerance())

    assert [(shift.spec, shift.id) for shift in drift.shifts] == [("a.toml", "a")]
    assert [(d.key, d.old) for d in drift.differences] == [("path", "old/a.toml")]
    assert drift.changes == ()


def test_two_of_one_analysis_are_not_guessed():
    old = report(point("a"), path="old/a.toml")
    twice = replace(old, specs=(*old.specs, replace(old.specs[0], path="old/b.toml")))

    assert [c.what for c in compare(twice, report(point("a")), Tolerance()).changes] == [
        "point", "point"
    ]  # fmt: skip


def test_only_what_matches_is_compared():
    drift = compare(
        report(point("a"), point("b")),
        report(point("a", 0.3), point("b", 0.3)),
        Tolerance(),
        lambda node, labels: labels["name"] == "b",
    )

    assert ({shift.id for shift in drift.shifts}, drift.points) == ({"b"}, 1)


def test_a_choice_and_a_check_that_changed_are_told():
    def checked(outcome, chosen, rtol=1e-3):
        check = CheckResult("a.toml", "x", "CLs_obs", 1.0, 0.2, 0.2, rtol, 0.0, outcome, "paper")
        combined = Combined("a.toml", "x", chosen, ("a", "b"), point(chosen))
        return report(point("a"), point("b"), combined=(combined,), checks=(check,))

    drift = compare(checked("passed", "a"), checked("failed", "b"), Tolerance())
    assert drift.changes == (
        Change("a.toml", "x", "choice", "a", "b"),
        Change("a.toml", "x::CLs_obs", "check", "passed", "failed"),
    )
    # another tolerance makes it another check
    assert not compare(checked("passed", "a"), checked("failed", "a", 1e-4), Tolerance()).moved


def test_the_confidence_level_is_that_of_each_run():
    def at(level):
        spec = SpecRecord("a.toml", "ab" * 32, "small", settings={"poi.upper_limit": level})
        return report(point("a", 0.07), specs=(spec,))

    assert [flip.flipped for flip in compare(at(0.95), at(0.9), Tolerance()).flips] == ["excluded"]
