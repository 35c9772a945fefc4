"""What reports of pytest can tell of a point."""

from __future__ import annotations

from dataclasses import replace

from fitspec.outcome import HypothesisTest, Outcome
from fitspec.pytesting.entries import Entry
from fitspec.pytesting.properties import properties_of
from fitspec.results import CheckResult, PointResult

BAND = (0.1, 0.2, 0.3, 0.4, 0.5)
TEST = HypothesisTest(1.0, 0.25, BAND, 0.1, 0.6, 1.5, 2.5)
OUTCOME = Outcome("ok", (TEST,), mu_hat=0.5, seconds=0.25, worker="there:7")
POINT = PointResult("small.toml", "one", {"mass": 100}, OUTCOME)
ENTRY = Entry(("one",), "small.toml::one", "point one", {"mass": 100}, ("small.toml::one",))
CHECK = CheckResult("small.toml", "one", "p_b", 1.0, 0.5, 0.6, 1e-3, 0.0, "failed", None)


def test_a_point_has_labels_numbers_and_a_worker() -> None:
    assert properties_of(ENTRY, [POINT], POINT) == [
        ("mass", 100),
        ("CLs_obs", 0.25),
        ("CLs_exp", list(BAND)),
        ("mu_hat", 0.5),
        ("seconds", 0.25),
        ("cached", False),
        ("worker", "there:7"),
    ]


def test_limits_are_told_in_pb_too() -> None:
    outcome = replace(OUTCOME, upper_limit_obs=2.0, upper_limit_exp=BAND)
    told = dict(properties_of(ENTRY, [replace(POINT, outcome=outcome, xsec_pb=0.5)], CHECK))
    assert (told["upper_limit_obs"], told["upper_limit_xsec_obs"]) == (2.0, 1.0)
    assert told["upper_limit_xsec_exp"] == [0.05, 0.1, 0.15, 0.2, 0.25]


def test_several_tested_values_are_told_apart() -> None:
    outcome = replace(OUTCOME, tests=(replace(TEST, mu=0.5), TEST))
    told = dict(properties_of(ENTRY, [replace(POINT, outcome=outcome)], CHECK))
    assert {"CLs_obs[mu=0.5]", "CLs_exp[mu=0.5]", "CLs_obs[mu=1]", "CLs_exp[mu=1]"} < told.keys()


def test_of_a_combination_its_check_knows_the_chosen_number() -> None:
    other = replace(POINT, id="two", outcome=replace(OUTCOME, worker="elsewhere:8"))
    assert properties_of(ENTRY, [POINT, other], CHECK) == [
        ("mass", 100),
        ("p_b", 0.6),
        ("worker", "there:7, elsewhere:8"),
    ]


def test_of_a_point_without_numbers_there_are_none() -> None:
    failed = replace(POINT, outcome=Outcome.failed("no minimum"))
    assert properties_of(ENTRY, [failed], failed) == [
        ("mass", 100),
        ("seconds", 0.0),
        ("cached", False),
    ]
