"""What pytest shows of a check that does not hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fitspec.outcome import Outcome
from fitspec.pytesting.failures import (
    Differs,
    Invalid,
    NoNumbers,
    NotComputed,
    require_agreement,
    require_numbers,
    told,
)
from fitspec.results import CheckResult, PointResult

CHECK = CheckResult(
    "small.toml", "one", "CLs_obs", 1.0, 0.25, 0.24444, 1e-3, 0.0, "failed", "Table 5"
)


def test_a_number_is_told_with_its_difference_tolerance_and_source() -> None:
    assert told(CHECK).splitlines() == [
        "CLs_obs at mu = 1: expected 0.25, found 0.24444",
        "    expected   actual  rel. diff.  allowed",
        "        0.25  0.24444       0.022    0.001",
        "  source: Table 5",
    ]


def test_of_a_band_the_worst_number_is_the_headline() -> None:
    expected = (0.1, 0.2, None, 0.6, 0.9)
    actual = (0.1, 0.2001, 0.4, 0.63, 0.91)
    band = replace(CHECK, quantity="CLs_exp", expected=expected, actual=actual, source=None)

    headline, _, *rows = told(band).splitlines()

    assert headline == "CLs_exp at mu = 1: expected 0.6, found 0.63"
    assert [row.split()[0] for row in rows] == ["-2", "-1", "+1", "+2"]


def test_an_absolute_tolerance_counts_for_the_headline() -> None:
    band = replace(
        CHECK,
        expected=(0.0, 0.2, 0.4, 0.6, 0.9),
        actual=(1e-9, 0.3, 0.4, 0.6, 0.9),
        atol=1e-6,
    )
    assert told(band).startswith("CLs_obs at mu = 1: expected 0.2, found 0.3")


def test_a_verdict_and_a_missing_number_need_no_table() -> None:
    verdict = replace(CHECK, quantity="excluded", expected=True, actual=False, source=None)
    missing = replace(CHECK, actual=None, outcome="error", reason="InferenceError: CLs_obs is nan")

    assert told(verdict).splitlines()[0] == "excluded at mu = 1: expected True, found False"
    assert told(missing) == "CLs_obs at mu = 1: InferenceError: CLs_obs is nan"


@pytest.mark.parametrize("outcome", ["passed", "xpassed"])
def test_a_check_that_holds_raises_nothing(outcome) -> None:
    require_agreement(replace(CHECK, outcome=outcome))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, Differs),
        ({"outcome": "xfailed", "reason": "known"}, Differs),
        ({"outcome": "xfailed", "actual": None, "reason": "known (no minimum)"}, NoNumbers),
        ({"outcome": "error", "actual": None, "reason": "PatchError: no path"}, NoNumbers),
        ({"outcome": "error", "actual": None, "reason": "not computed: gone"}, NotComputed),
    ],
)
def test_a_failure_says_of_which_kind_it_is(changes, kind) -> None:
    with pytest.raises(kind):
        require_agreement(replace(CHECK, **changes))


def test_a_point_must_have_numbers() -> None:
    require_numbers(PointResult("small.toml", "one", {}, Outcome("ok")))
    for reason, kind in (("PatchError: no path", NoNumbers), ("not computed: gone", NotComputed)):
        with pytest.raises(kind, match=reason):
            require_numbers(PointResult("small.toml", "one", {}, Outcome.failed(reason)))


def test_options_have_the_names_that_they_have_here() -> None:
    text = "x is not in the mirror, and --offline is set; give --mirror, or --endpoint local"
    assert Invalid(text).msg == (
        "x is not in the mirror, and --fitspec-offline is set; "
        "give --fitspec-mirror, or --fitspec-endpoint local"
    )
