"""results.json back into the report it was made from."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fitspec.bestfit import BestFit, FittedParameter
from fitspec.errors import UsageError
from fitspec.outcome import Discovery, FitResult, HypothesisTest, Outcome, Toys
from fitspec.report import to_json
from fitspec.report.read_json import read_report
from fitspec.results import (
    CheckResult,
    Combined,
    PointResult,
    RunReport,
    SampleRecord,
    SpecRecord,
)
from fitspec.session import Settings, run

BAND = (0.09, 0.19, 0.38, 0.66, 0.89)
TOYS = Toys(2000, 3, 0.01, BAND, 0.02, 0.03)
POINT = PointResult(
    "a.toml",
    "A::signal",
    {"region": "A", "mass": 1300, "width": 0.5},
    Outcome(
        "ok",
        tests=(HypothesisTest(1.0, 0.24, BAND, 0.1, 0.5, 1.5, 2.5, TOYS),),
        upper_limit_obs=1.5,
        upper_limit_exp=BAND,
        mu_hat=0.1,
        discovery=Discovery(0.02, BAND, None, 4.2, 2.7),
        fit=BestFit("mu", None, 10.0, (FittedParameter("mu", 0.1, 0.5),), notes=("a note",)),
        fits=(FitResult("free", "observed", None, 12.5, True, None, None, ("mu",)),),
        notes=("a note",),
    ),
    cached=True,
    xsec_pb=0.01,
    workspace="sha256:w",
    patch="sha256:p",
)
CHECK = CheckResult("a.toml", "A::signal", "CLs_obs", 1.0, 0.2, 0.24, 1e-3, 0.0, "failed", "paper")
SAMPLE = SampleRecord("sha256:w", "sha256:p", "SR", "signal", 10.0, "b", "m")
REPORT = RunReport(
    specs=(SpecRecord("a.toml", "ab" * 32, "small", ("a note",), {"poi.test": [1.0]}),),
    environment={"numpy": "2.0"},
    points=(POINT, replace(POINT, id="B::signal", outcome=Outcome.failed("lost"))),
    combined=(Combined("a.toml", "signal", POINT.id, (POINT.id, "B::signal"), POINT),),
    checks=(
        CHECK,
        replace(CHECK, quantity="CLs_exp", expected=(None, *BAND[1:]), actual=BAND),
        replace(CHECK, quantity="excluded", expected=True, actual=False, outcome="xfailed"),
        replace(CHECK, actual=None, outcome="error", source=None, reason="lost"),
    ),
    deselected=3,
    seconds=1.5,
    interrupted=True,
    samples=lambda: (SAMPLE,),
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "results.json"
    path.write_bytes(to_json(REPORT))
    return path


def test_a_report_comes_back_as_it_was(path):
    found = read_report(path)

    assert found.samples() == REPORT.samples()
    assert replace(found, samples=REPORT.samples) == REPORT
    assert to_json(found) == path.read_bytes()


def test_so_does_that_of_a_run(analysis, tmp_path):
    report = run(["small.toml"], replace(Settings.from_config(), workers=1))
    (tmp_path / "run.json").write_bytes(to_json(report))

    found = read_report(tmp_path / "run.json")

    assert to_json(found) == to_json(report)
    assert {point.patch for point in found.points} < {r.patch for r in found.samples()}


def test_keys_of_another_release_do_no_harm(path):
    content = json.loads(path.read_bytes())
    content["points"][0]["colour"] = "red"
    del content["samples"], content["points"][0]["patch"], content["specs"][0]["settings"]
    path.write_text(json.dumps(content))

    found = read_report(path)

    assert found.samples() == ()
    assert found.points[0].patch is None
    assert found.specs[0].settings == {}


def edited(path, *keys, value):
    content = json.loads(path.read_bytes())
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("schema",), 2, "schema 2 of results.json is unknown; this fitspec reads schema 1"),
        (("points",), {}, "points is not a list"),
        (("checks", 1), 3, "checks[1] is not a table"),
        (("summary",), [], "summary is not a table"),
        (
            ("points", 0, "tests", 0, "CLs_obs"), "0.2",
            "points[0].tests[0].CLs_obs: input should be a valid number, found '0.2'",
        ),
        (("points", 1, "status"), "good", "points[1].status: input should be 'ok' or 'error'"),
        (("points", 0, "upper_limit_exp"), [1, 2], "points[0].upper_limit_exp[2]: field required"),
        (("combined", 0, "chosen"), "C", "combined[0].chosen: there is no point 'C'"),
        (("samples", 0, "events"), [], "samples[0].events: input should be a valid number"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_place(path, keys, value, message):
    edited(path, *keys, value=value)

    with pytest.raises(UsageError) as caught:
        read_report(path)

    assert str(caught.value).startswith(f"{path}: {message}")
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not valid JSON: "), ("[]", "no results.json: "), ("{}", "no results.json: ")],
)
def test_another_file_is_refused(path, text, message):
    path.write_text(text)

    with pytest.raises(UsageError, match=message):
        read_report(path)


def test_an_absent_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match=r"none.json: No such file or directory"):
        read_report(tmp_path / "none.json")
