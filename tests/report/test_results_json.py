"""results.json: schema 1, flat lists, valid JSON."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

import fitspec
from fitspec.outcome import Discovery, FitResult, HypothesisTest, Outcome, Toys
from fitspec.report import to_json
from fitspec.results import XSEC_LIMITS, CheckResult, Combined, PointResult, RunReport, SpecRecord

BAND = (0.09, 0.19, 0.38, 0.66, 0.89)
TEST = HypothesisTest(1.0, 0.24, BAND, 0.1, 0.5, 1.5, 2.5)
FIT = FitResult("free", "observed", None, 12.5, True, 6, 1e-9, ("mu", "gamma[1]"))
OK = PointResult(
    "analyses/sbottom.toml",
    "A::sbottom_1300_205_60",
    {"region": "A", "m_sbottom": 1300, "width": 0.5},
    Outcome(
        "ok", tests=(TEST,), mu_hat=0.1, fits=(FIT,), notes=("a note",), seconds=0.03, worker="h:1"
    ),
    cached=True,
)
FAILED = PointResult(
    "analyses/sbottom.toml", "B::sbottom_1300_205_60", {"region": "B"}, Outcome.failed("lost")
)
CHECK = CheckResult(
    "analyses/sbottom.toml", OK.id, "CLs_obs", 1.0, 0.2444418, 0.24, 1e-3, 0.0, "failed", "Table 5"
)
REPORT = RunReport(
    specs=(
        SpecRecord(
            "analyses/sbottom.toml",
            "ab" * 32,
            "ATLAS-SUSY-2018-31",
            ("no signal in 1 of 3 channels: CR",),
        ),
    ),
    environment={"python": "3.11.7", "backend": "pyhf (numpy, scipy)"},
    points=(OK, FAILED),
    combined=(Combined(OK.spec, "sbottom_1300_205_60", OK.id, (OK.id, FAILED.id), OK),),
    checks=(
        CHECK,
        replace(CHECK, quantity="CLs_exp", expected=BAND, actual=BAND, outcome="passed"),
        replace(CHECK, quantity="excluded", expected=True, actual=False, outcome="xfailed"),
        replace(CHECK, actual=None, outcome="error", source=None, reason="lost"),
    ),
    deselected=3,
    seconds=1.5,
)


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    return json.loads(to_json(REPORT), parse_constant=lambda name: pytest.fail(name))


def test_the_top_level_is_that_of_schema_1(content):
    assert list(content) == [
        "schema", "fitspec", "specs", "environment", "points", "combined", "checks",
        "samples", "summary",
    ]  # fmt: skip
    assert content["schema"] == 1
    assert content["fitspec"] == fitspec.__version__
    assert content["environment"] == REPORT.environment
    assert content["specs"] == [
        {
            "path": "analyses/sbottom.toml",
            "sha256": "ab" * 32,
            "analysis": "ATLAS-SUSY-2018-31",
            "notes": ["no signal in 1 of 3 channels: CR"],
            "settings": {},
        }
    ]


def test_a_point_is_one_flat_record(content):
    point = content["points"][0]

    assert list(point)[:3] == ["spec", "id", "labels"]
    own = {"spec", "id", "labels", "cached", "xsec_pb", *XSEC_LIMITS, "workspace", "patch"}
    assert set(point) == own | {f.name for f in fields(Outcome)}
    assert (point["spec"], point["id"]) == (OK.spec, OK.id)
    assert point["labels"] == {"region": "A", "m_sbottom": 1300, "width": 0.5}
    assert (point["status"], point["error"], point["cached"]) == ("ok", None, True)
    assert point["tests"] == [
        {
            "mu": 1.0, "CLs_obs": 0.24, "CLs_exp": list(BAND), "p_sb": 0.1, "p_b": 0.5,
            "q": 1.5, "q_asimov": 2.5, "toys": None,
        }
    ]  # fmt: skip
    assert point["fits"] == [
        {
            "kind": "free", "data": "observed", "mu": None, "twice_nll": 12.5, "converged": True,
            "iterations": 6, "edm": 1e-9, "at_bounds": ["mu", "gamma[1]"],
        }
    ]  # fmt: skip
    assert point["upper_limit_obs"] is point["upper_limit_exp"] is point["discovery"] is None
    assert (point["seconds"], point["worker"], point["notes"]) == (0.03, "h:1", ["a note"])


def test_a_discovery_is_a_record_of_its_own():
    found = Discovery(0.02, (0.001, 0.01, 0.05, 0.2, 0.4), 2.05, 4.2, 2.7)
    outcome = Outcome("ok", mu_hat=1.2, discovery=found)

    [point] = json.loads(to_json(replace(REPORT, points=(replace(OK, outcome=outcome),))))["points"]

    assert point["tests"] == []
    assert point["discovery"] == {
        "p0": 0.02, "p0_exp": [0.001, 0.01, 0.05, 0.2, 0.4], "significance": 2.05,
        "q0": 4.2, "q0_asimov": 2.7, "toys": None,
    }  # fmt: skip


def test_toys_are_a_record_of_their_test():
    toys = Toys(2000, 3, 0.01, (0.001, 0.002, 0.003, 0.004, 0.005), 0.02, 0.03)
    test = replace(OK.outcome.tests[0], toys=toys)
    tested = replace(OK, outcome=replace(OK.outcome, tests=(test,)))

    [point] = json.loads(to_json(replace(REPORT, points=(tested,))))["points"]

    assert point["tests"][0]["toys"] == {
        "thrown": 2000, "failed": 3, "obs_error": 0.01,
        "exp_error": [0.001, 0.002, 0.003, 0.004, 0.005], "p_sb_error": 0.02, "p_b_error": 0.03,
    }  # fmt: skip


def test_a_point_without_numbers_says_why(content):
    point = content["points"][1]

    assert (point["status"], point["error"]) == ("error", "lost")
    assert (point["tests"], point["fits"], point["mu_hat"]) == ([], [], None)


def test_a_check_is_one_flat_record(content):
    assert content["checks"][0] == {
        "spec": OK.spec, "id": OK.id, "quantity": "CLs_obs", "mu": 1.0, "expected": 0.2444418,
        "actual": 0.24, "rtol": 1e-3, "atol": 0.0, "outcome": "failed", "source": "Table 5",
        "reason": None, "file": None, "line": None,
    }  # fmt: skip


def test_bands_booleans_and_absent_values_are_kept_apart(content):
    _, band, boolean, absent = content["checks"]

    assert band["expected"] == band["actual"] == list(BAND)
    assert (boolean["expected"], boolean["actual"]) == (True, False)
    assert (absent["actual"], absent["reason"]) == (None, "lost")


def test_a_combination_names_its_choice(content):
    assert content["combined"] == [
        {
            "spec": OK.spec, "id": "sbottom_1300_205_60", "labels": dict(OK.labels),
            "chosen": OK.id, "candidates": [OK.id, FAILED.id],
        }
    ]  # fmt: skip


def test_the_summary_counts(content):
    expected = {
        "passed": 1, "failed": 1, "xfailed": 1, "xpassed": 0, "errors": 1, "points": 2,
        "deselected": 3, "interrupted": False, "seconds": 1.5,
    }  # fmt: skip

    assert {key: content["summary"][key] for key in expected} == expected


def test_numbers_keep_every_digit():
    precise = 0.1 + 0.2
    report = replace(REPORT, checks=(replace(CHECK, actual=precise),))

    assert json.loads(to_json(report))["checks"][0]["actual"] == precise


def test_the_file_is_indented_text_with_a_final_newline():
    text = to_json(REPORT).decode()

    assert text.endswith("}\n")
    assert not text.endswith("\n\n")
    assert '\n  "schema": 1,\n' in text
    assert "NaN" not in text


def test_an_interrupted_run_says_so():
    content = json.loads(to_json(replace(REPORT, interrupted=True)))

    assert content["summary"]["interrupted"] is True
