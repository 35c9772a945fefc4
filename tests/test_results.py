from __future__ import annotations

import dataclasses
import math
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitspec import results
from fitspec.errors import InferenceError
from fitspec.outcome import Discovery, FitResult, HypothesisTest, Outcome, Toys
from fitspec.results import NOT_COMPUTED, CheckResult, Combined, PointResult, RunReport, as_band

BAND = (0.1, 0.2, 0.3, 0.4, 0.5)
TEST = HypothesisTest(1.0, 0.05, BAND, 0.01, 0.2, 3.0, 4.0)
FIT = FitResult("free", "observed", None, 12.5, True, 6, 1e-9, ("mu",))
DISCOVERY = Discovery(0.02, BAND, 2.05, 4.2, 2.7)
OUTCOME = Outcome(
    "ok", tests=(TEST,), upper_limit_obs=1.5, upper_limit_exp=BAND, mu_hat=0.3,
    discovery=DISCOVERY, fits=(FIT,), notes=("a note",), seconds=0.1, worker="host:1",
)  # fmt: skip

FINITE = st.floats(allow_nan=False, allow_infinity=False)
BANDS = st.tuples(*[FINITE] * 5)
ERRORS = st.none() | FINITE
TOYS = st.none() | st.builds(
    Toys, st.integers(1, 10**6), st.integers(0, 99), FINITE, BANDS, ERRORS, ERRORS
)
OUTCOMES = st.builds(
    Outcome,
    status=st.sampled_from(["ok", "error"]),
    tests=st.lists(
        st.builds(HypothesisTest, FINITE, FINITE, BANDS, FINITE, FINITE, FINITE, FINITE, TOYS),
        max_size=2,
    ).map(tuple),
    upper_limit_obs=st.none() | FINITE,
    upper_limit_exp=st.none() | BANDS,
    mu_hat=st.none() | FINITE,
    discovery=st.none() | st.builds(Discovery, FINITE, BANDS, ERRORS, FINITE, FINITE, TOYS),
    fits=st.lists(
        st.builds(
            FitResult,
            st.sampled_from(["free", "conditional"]),
            st.sampled_from(["observed", "asimov"]),
            st.none() | FINITE,
            FINITE,
            st.booleans(),
            st.none() | st.integers(0, 10**6),
            st.none() | FINITE,
            st.lists(st.text(max_size=8), max_size=2).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    notes=st.lists(st.text(max_size=8), max_size=2).map(tuple),
    seconds=FINITE,
    worker=st.text(max_size=8),
    error=st.none() | st.text(max_size=8),
)

RECORDS = [
    item
    for item in vars(results).values()
    if dataclasses.is_dataclass(item) and item.__module__ == results.__name__
]


def check(outcome: Any) -> CheckResult:
    return CheckResult(
        spec="small.toml",
        id="signal_100_1",
        quantity="CLs_obs",
        mu=1.0,
        expected=0.05,
        actual=0.06,
        rtol=1e-3,
        atol=0.0,
        outcome=outcome,
        source=None,
    )


def report(points: tuple[PointResult, ...] = (), *outcomes: str) -> RunReport:
    checks = tuple(map(check, outcomes))
    return RunReport((), {}, points, (), checks, deselected=0, seconds=0.1)


def point(outcome: Outcome) -> PointResult:
    return PointResult("small.toml", "signal_100_1", {"m_1": 100}, outcome)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_results_are_frozen_and_have_slots(record: Any) -> None:
    assert record.__dataclass_params__.frozen
    assert "__slots__" in vars(record)


@settings(deadline=None)
@given(OUTCOMES)
def test_an_outcome_survives_the_result_store(outcome: Outcome) -> None:
    assert Outcome.from_json(outcome.to_json()) == outcome


@pytest.mark.parametrize(
    "key", ["status", "tests", "upper_limit_exp", "discovery", "fits", "notes"]
)
def test_an_outcome_without_a_key_is_refused(key: str) -> None:
    data = OUTCOME.to_dict()
    del data[key]
    with pytest.raises(ValueError, match=f"{key}|no outcome of this version"):
        Outcome.from_json(orjson.dumps(data))


def test_an_outcome_with_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValueError, match="no outcome of this version"):
        Outcome.from_json(orjson.dumps({**OUTCOME.to_dict(), "limit": 1.0}))


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'{"status": "ok"}'])
def test_what_is_no_outcome_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Outcome.from_json(content)


@pytest.mark.parametrize(
    ("key", "value"), [("status", "fine"), ("mu_hat", "many"), ("upper_limit_exp", [1.0, 2.0])]
)
def test_an_outcome_with_a_value_of_another_type_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=key):
        Outcome.from_json(orjson.dumps({**OUTCOME.to_dict(), key: value}))


def test_a_failed_outcome_has_a_reason_and_no_numbers() -> None:
    failed = Outcome.failed("did not converge", 0.5, "host:1")
    assert failed == Outcome("error", seconds=0.5, worker="host:1", error="did not converge")
    assert failed.tests == failed.fits == ()


@settings(deadline=None)
@given(OUTCOMES)
def test_finite_numbers_are_fine(outcome: Outcome) -> None:
    outcome.require_finite()


def with_band(number: float) -> tuple[float, ...]:
    return (*BAND[:2], number, *BAND[3:])


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        pytest.param("mu_hat", lambda x: {"mu_hat": x}, id="a number"),
        pytest.param(
            "upper_limit_exp[2]", lambda x: {"upper_limit_exp": with_band(x)}, id="a band"
        ),
        pytest.param(
            "tests[1].p_b",
            lambda x: {"tests": (TEST, dataclasses.replace(TEST, p_b=x))},
            id="a number of a test",
        ),
        pytest.param(
            "tests[0].CLs_exp[2]",
            lambda x: {"tests": (dataclasses.replace(TEST, CLs_exp=with_band(x)),)},
            id="a band of a test",
        ),
        pytest.param(
            "fits[0].edm", lambda x: {"fits": (dataclasses.replace(FIT, edm=x),)}, id="a fit"
        ),
        pytest.param(
            "discovery.p0_exp[2]",
            lambda x: {"discovery": dataclasses.replace(DISCOVERY, p0_exp=with_band(x))},
            id="a band of a discovery",
        ),
    ],
)
def test_a_number_that_is_not_finite_is_named(name: str, changes: Any, number: float) -> None:
    outcome = dataclasses.replace(OUTCOME, **changes(number))
    with pytest.raises(InferenceError) as caught:
        outcome.require_finite()
    assert caught.value.problem == f"{name} is {number}"


def test_p0_is_that_of_the_discovery() -> None:
    assert OUTCOME.p0 == 0.02
    assert dataclasses.replace(OUTCOME, discovery=None).p0 is None


def test_a_point_is_one_flat_record() -> None:
    assert point(OUTCOME).to_dict() == {
        "spec": "small.toml",
        "id": "signal_100_1",
        "labels": {"m_1": 100},
        **OUTCOME.to_dict(),
        "xsec_pb": None,
        "upper_limit_xsec_obs": None,
        "upper_limit_xsec_exp": None,
        "workspace": None,
        "patch": None,
        "cached": False,
    }


def test_a_limit_in_pb_is_the_limit_times_the_cross_section() -> None:
    limited = dataclasses.replace(point(OUTCOME), xsec_pb=0.2)

    assert limited.upper_limit_xsec_obs == pytest.approx(0.3)
    assert limited.upper_limit_xsec_exp == pytest.approx((0.02, 0.04, 0.06, 0.08, 0.1))
    record = limited.to_dict()
    assert record["upper_limit_xsec_obs"] == limited.upper_limit_xsec_obs
    assert record["upper_limit_xsec_exp"] == limited.upper_limit_xsec_exp
    assert (record["upper_limit_obs"], record["upper_limit_exp"]) == (1.5, BAND)
    assert record["xsec_pb"] == 0.2


@pytest.mark.parametrize(
    ("outcome", "xsec_pb"),
    [(OUTCOME, None), (Outcome("ok"), 0.2), (Outcome.failed("did not converge"), 0.2)],
    ids=["no cross-section", "no limit", "no numbers"],
)
def test_without_limit_or_cross_section_there_is_no_limit_in_pb(
    outcome: Outcome, xsec_pb: float | None
) -> None:
    limited = dataclasses.replace(point(outcome), xsec_pb=xsec_pb)

    assert (limited.upper_limit_xsec_obs, limited.upper_limit_xsec_exp) == (None, None)


def test_an_outcome_knows_no_cross_section() -> None:
    assert not set(results.XSEC_LIMITS) & set(OUTCOME.to_dict())


def test_a_combined_point_is_one_flat_record() -> None:
    combined = Combined(
        "small.toml", "signal", "A::signal", ("A::signal", "B::signal"), point(OUTCOME)
    )
    assert combined.to_dict() == {
        "spec": "small.toml",
        "id": "signal",
        "labels": {"m_1": 100},
        "chosen": "A::signal",
        "candidates": ["A::signal", "B::signal"],
    }


def test_a_check_has_the_node_id_of_its_quantity() -> None:
    assert check("failed").node_id == "small.toml::signal_100_1::CLs_obs"


@pytest.mark.parametrize(
    ("value", "band"),
    [pytest.param(0.5, (0.5,), id="a number"), pytest.param(BAND, BAND, id="a band")],
)
def test_numbers_and_bands_can_be_treated_alike(value: Any, band: tuple[float, ...]) -> None:
    assert as_band(value) == band


def test_a_report_counts_its_checks() -> None:
    counted = report((), "passed", "failed", "passed", "xfailed")
    counts = {name: counted.count(name) for name in ("passed", "failed", "xfailed", "xpassed")}
    assert counts == {"passed": 2, "failed": 1, "xfailed": 1, "xpassed": 0}


def test_a_report_knows_its_failed_points() -> None:
    bad = point(Outcome.failed("did not converge"))
    assert report((point(OUTCOME), bad)).failed_points == (bad,)


def test_a_report_counts_the_points_it_did_not_come_to() -> None:
    skipped = point(Outcome.failed(f"{NOT_COMPUTED}: interrupted"))
    assert report((point(OUTCOME), skipped, point(Outcome.failed("lost")))).not_computed == 1


@pytest.mark.parametrize(
    ("tested", "ok"),
    [
        pytest.param(report(), True, id="nothing"),
        pytest.param(report((point(OUTCOME),), "passed", "xfailed"), True, id="all as expected"),
        pytest.param(report((), "xpassed"), True, id="a known difference that is gone"),
        pytest.param(report((), "passed", "failed"), False, id="a failed check"),
        pytest.param(report((), "error"), False, id="a check without its value"),
        pytest.param(report((point(Outcome.failed("x")),)), False, id="a failed point"),
    ],
)
def test_a_report_is_ok_if_every_point_and_check_is(tested: RunReport, ok: bool) -> None:
    assert tested.ok is ok
