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
)
from fitspec.results import CheckResult, PointResult

CHECK = CheckResult(
    "small.toml", "one", "CLs_obs", 1.0, 0.25, 0.24444, 1e-3, 0.0, "failed", "Table 5"
)


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
