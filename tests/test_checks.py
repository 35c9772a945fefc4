"""Verdicts: tolerances, bands, known differences, and the best expected case."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fitspec.checks import check, combine
from fitspec.collect import Combination, Expectation, Point
from fitspec.outcome import Discovery, HypothesisTest, Outcome
from fitspec.results import NOT_COMPUTED, PointResult, failures
from fitspec.spec import load_spec

BAND = (0.1, 0.2, 0.3, 0.4, 0.5)


@pytest.fixture
def spec(analysis):
    return load_spec(analysis / "small.toml", "small.toml")


@pytest.fixture
def expected(spec):
    """Makes an expectation of one point: ``expected("CLs_obs", 0.25)``."""
    return lambda quantity, value, **changes: expectation(spec, quantity, value, **changes)


def expectation(spec, quantity, value, mu=1.0, **changes) -> Expectation:
    target = Combination(spec, "signal_100_1", {}, ())
    whole = {"rtol": 1e-3, "atol": 0.0, "source": "Table 5", "xfail": None} | changes
    return Expectation(target, quantity, value, mu, **whole, file="small.toml", line=12)


def hypothesis_test(CLs_obs: float = 0.25, mu: float = 1.0, **changes) -> HypothesisTest:
    return replace(HypothesisTest(mu, CLs_obs, BAND, 0.1, 0.6, 1.5, 2.5), **changes)


def result(*tests: HypothesisTest, name: str = "signal_100_1", **changes) -> PointResult:
    return PointResult("small.toml", name, {}, Outcome("ok", tests=tests, **changes))


numbers = st.floats(-1e6, 1e6)
tolerances = st.floats(0, 1)


@pytest.fixture(scope="module")
def any_spec(tmp_path_factory):
    """A specification that needs no sources, once for all examples."""
    path = tmp_path_factory.mktemp("spec") / "small.toml"
    path.write_text('fitspec = 1\n[analysis]\nname = "x"\n[workspace]\npath = "x.json"\n')
    return load_spec(Path(path), "small.toml")


@settings(deadline=None)
@given(actual=numbers, expected=numbers, rtol=tolerances, atol=tolerances)
def test_a_number_passes_within_its_tolerances(any_spec, actual, expected, rtol, atol):
    asked = expectation(any_spec, "mu_hat", expected, mu=None, rtol=rtol, atol=atol)

    verdict = check(asked, result(mu_hat=actual)).outcome

    assert verdict == (
        "passed" if abs(actual - expected) <= atol + rtol * abs(expected) else "failed"
    )


@settings(deadline=None)
@given(expected=numbers, rtol=st.floats(1e-6, 1), side=st.sampled_from([-1, 1]))
def test_the_edge_itself_passes_and_just_beyond_it_fails(any_spec, expected, rtol, side):
    allowed = rtol * abs(expected)
    actual = expected + side * allowed
    assume(abs(actual - expected) == allowed)  # the sum was exact
    beyond = math.nextafter(actual, side * math.inf)
    assume(abs(beyond - expected) > allowed)
    asked = expectation(any_spec, "mu_hat", expected, mu=None, rtol=rtol)

    assert check(asked, result(mu_hat=actual)).outcome == "passed"
    assert check(asked, result(mu_hat=beyond)).outcome == "failed"


@settings(deadline=None)
@given(band=st.tuples(*[numbers] * 5), index=st.integers(0, 4), rtol=st.floats(1e-6, 0.1))
def test_a_band_fails_where_one_number_fails(any_spec, band, index, rtol):
    asked = expectation(any_spec, "upper_limit_exp", band, mu=None, rtol=rtol, atol=1.0)
    off = list(band)
    off[index] += 2 * (1.0 + rtol * abs(band[index]))

    assert check(asked, result(upper_limit_exp=band)).outcome == "passed"
    assert check(asked, result(upper_limit_exp=tuple(off))).outcome == "failed"


@pytest.mark.parametrize(("median", "outcome"), [(3.0, "passed"), (3.1, "failed")])
def test_of_a_band_that_is_known_in_part_the_rest_is_not_compared(any_spec, median, outcome):
    asked = expectation(any_spec, "upper_limit_exp", (None, 2.0, 3.0, None, None), mu=None)

    found = check(asked, result(upper_limit_exp=(9.0, 2.0, median, 9.0, 9.0)))

    assert found.outcome == outcome


def test_a_check_tells_what_was_expected_found_and_allowed(expected):
    found = check(expected("CLs_obs", 0.26, atol=1e-4), result(hypothesis_test(0.25)))

    assert found.node_id == "small.toml::signal_100_1::CLs_obs"
    assert (found.expected, found.actual, found.mu) == (0.26, 0.25, 1.0)
    assert (found.rtol, found.atol, found.source) == (1e-3, 1e-4, "Table 5")
    assert (found.outcome, found.reason) == ("failed", None)
    assert (found.file, found.line) == ("small.toml", 12)


@pytest.mark.parametrize(
    ("quantity", "value"), [("CLs_obs", 0.25), ("CLs_exp", BAND), ("p_b", 0.6)]
)
def test_a_quantity_of_a_test_is_that_of_its_mu(expected, quantity, value):
    other = hypothesis_test(0.9, mu=0.5, p_b=0.9, CLs_exp=(0.9,) * 5)
    both = result(other, hypothesis_test(0.25, mu=2.0))

    assert check(expected(quantity, value, mu=2.0), both).outcome == "passed"
    assert check(expected(quantity, value, mu=0.5), both).outcome == "failed"


@pytest.mark.parametrize(
    ("CLs", "confidence", "excluded"),
    [
        (0.0499, None, True),
        (0.0501, None, False),
        (0.07, 0.9, True),
        (0.03, 0.99, False),
    ],
)
def test_excluded_is_CLs_below_one_minus_the_confidence_level(analysis, CLs, confidence, excluded):
    text = (analysis / "small.toml").read_text()
    limit = "" if confidence is None else f"[poi]\ntest = 1\nupper_limit = {confidence}\n"
    (analysis / "small.toml").write_text(text + limit)
    spec = load_spec(analysis / "small.toml", "small.toml")

    for value in (True, False):
        found = check(expectation(spec, "excluded", value), result(hypothesis_test(CLs)))
        assert found.outcome == ("passed" if value is excluded else "failed")
        assert found.actual is excluded


@pytest.mark.parametrize(("CLs", "outcome"), [(0.9, "xfailed"), (0.25, "xpassed")])
def test_a_known_difference_is_expected_to_fail(expected, CLs, outcome):
    found = check(expected("CLs_obs", 0.25, xfail="one digit"), result(hypothesis_test(CLs)))

    assert (found.outcome, found.reason) == (outcome, "one digit")


def test_a_check_of_a_point_without_numbers_is_an_error_with_its_reason(expected):
    failed = PointResult("small.toml", "signal_100_1", {}, Outcome.failed("did not converge"))

    found = check(expected("CLs_obs", 0.25), failed)

    assert (found.outcome, found.actual, found.reason) == ("error", None, "did not converge")


@pytest.mark.parametrize(
    ("reason", "outcome", "told"),
    [
        ("no signal", "xfailed", "as published (no signal)"),
        (f"{NOT_COMPUTED}: interrupted", "error", f"{NOT_COMPUTED}: interrupted"),
    ],
    ids=["tried", "not tried"],
)
def test_an_expected_failure_covers_a_point_that_was_tried(expected, reason, outcome, told):
    failed = PointResult("small.toml", "signal_100_1", {}, Outcome.failed(reason))

    found = check(expected("CLs_obs", 0.25, xfail="as published"), failed)

    assert (found.outcome, found.actual, found.reason) == (outcome, None, told)
    assert failures([failed], [found]) == (() if outcome == "xfailed" else (failed,))


@pytest.mark.parametrize(("value", "outcome"), [(0.02, "passed"), (0.021, "failed")])
def test_p0_is_that_of_the_discovery(expected, value, outcome):
    found = result(discovery=Discovery(0.02, BAND, 2.05, 4.2, 2.5))

    checked = check(expected("p0", value, mu=None), found)

    assert (checked.outcome, checked.actual) == (outcome, 0.02)


def test_p0_where_no_discovery_was_asked_for_is_an_error(expected):
    checked = check(expected("p0", 0.02, mu=None), result(hypothesis_test()))

    assert (checked.outcome, checked.actual, checked.reason) == ("error", None, "not computed")


def test_a_quantity_that_was_not_computed_is_an_error(expected):
    found = check(expected("upper_limit_obs", 1.0, mu=None), result(hypothesis_test()))

    assert (found.outcome, found.actual, found.reason) == ("error", None, "not computed")


def test_a_check_of_a_combination_that_could_not_be_made_is_an_error(expected):
    found = check(expected("CLs_obs", 0.25), None)

    assert found.outcome == "error"
    assert found.reason == "a case of this combination has no numbers"


def with_median(median: float, name: str, *earlier: HypothesisTest) -> PointResult:
    band = (0.01, 0.02, median, 0.8, 0.9)
    return result(*earlier, hypothesis_test(CLs_exp=band), name=name)


def test_the_best_case_has_the_lowest_median_expected_CLs(spec):
    cases = [with_median(0.3, "A::x"), with_median(0.1, "B::x"), with_median(0.2, "C::x")]

    best = combine(Combination(spec, "x", {}, ()), cases)

    assert best.chosen == "B::x"
    assert best.candidates == ("A::x", "B::x", "C::x")
    assert best.result is cases[1]
    assert (best.spec, best.id) == ("small.toml", "x")


def test_of_several_tested_values_the_last_decides(spec):
    low = hypothesis_test(mu=0.5, CLs_exp=(0.01, 0.01, 0.01, 0.01, 0.01))
    cases = [with_median(0.3, "A::x", low), with_median(0.1, "B::x")]

    assert combine(Combination(spec, "x", {}, ()), cases).chosen == "B::x"


def test_of_equal_cases_the_first_is_chosen(spec):
    cases = [with_median(0.3, "A::x"), with_median(0.3, "B::x")]

    assert combine(Combination(spec, "x", {}, ()), cases).chosen == "A::x"


def test_a_case_without_numbers_might_have_been_the_best(spec):
    failed = PointResult("small.toml", "B::x", {}, Outcome.failed("did not converge"))

    assert combine(Combination(spec, "x", {}, ()), [with_median(0.3, "A::x"), failed]) is None


def test_where_only_limits_were_asked_for_the_lowest_expected_one_is_the_best(spec):
    limits = {"A::x": 3.0, "B::x": 2.0, "C::x": 2.5}
    cases = [
        PointResult(
            "small.toml", name, {}, Outcome("ok", upper_limit_exp=(0.1, 0.2, median, 4.0, 5.0))
        )
        for name, median in limits.items()
    ]

    assert combine(Combination(spec, "x", {}, ()), cases).chosen == "B::x"


@pytest.mark.parametrize(
    ("quantity", "value", "verdict"),
    [
        ("upper_limit_obs", 1.5, "passed"),
        ("upper_limit_xsec_obs", 0.3, "passed"),
        ("upper_limit_xsec_obs", 0.31, "failed"),
        ("upper_limit_xsec_exp", (0.02, 0.04, 0.06, 0.08, 0.1), "passed"),
        ("upper_limit_xsec_exp", (0.02, 0.04, 0.07, 0.08, 0.1), "failed"),
    ],
)
def test_limits_in_pb_are_those_of_the_points_cross_section(expected, quantity, value, verdict):
    limited = replace(result(upper_limit_obs=1.5, upper_limit_exp=BAND), xsec_pb=0.2)

    assert check(expected(quantity, value, mu=None), limited).outcome == verdict


def test_a_limit_in_pb_of_a_point_without_numbers_is_an_error(expected):
    failed = PointResult("small.toml", "x", {}, Outcome.failed("did not converge"), xsec_pb=0.2)

    verdict = check(expected("upper_limit_xsec_obs", 0.3, mu=None), failed)

    assert (verdict.outcome, verdict.reason) == ("error", "did not converge")


def test_a_point_is_a_target_like_a_combination(spec):
    point = Point(spec, case=FakeCase(), patch="signal_100_1", labels={})
    asked = replace(expectation(spec, "CLs_obs", 0.25), target=point)

    assert check(asked, result(hypothesis_test())).node_id == "small.toml::A::signal_100_1::CLs_obs"


class FakeCase:
    """All of a case that an id needs."""

    values = {"region": "A"}  # noqa: RUF012
