"""JUnit XML: valid, called as pytest calls things, and whatever names and reasons hold."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st
from reports import check, failed, missing, point, report

from fitspec.report import to_junit
from fitspec.results import NOT_COMPUTED, STOPPED, RunReport, SpecRecord

SCHEMA = xmlschema.XMLSchema(str(Path(__file__).with_name("junit.xsd")))


def suites(run: RunReport) -> list[ET.Element]:
    """The suites of a document that is valid."""
    root = ET.fromstring(to_junit(run))
    SCHEMA.validate(root)
    return list(root)


def cases(run: RunReport) -> dict[str, ET.Element]:
    [suite] = suites(run)
    return {f"{case.get('classname')} {case.get('name')}": case for case in suite.iter("testcase")}


def verdict(case: ET.Element) -> tuple[str, str | None, str | None]:
    [element] = case
    return element.tag, element.get("type"), element.get("message")


def test_a_check_is_a_case_and_a_point_without_one_is_too():
    found = cases(report(point("A::one"), point("two"), checks=(check(name="A::one"),)))

    assert list(found) == ["small.toml.A.one CLs_obs", "small.toml two"]
    assert not any(len(case) for case in found.values())


def test_cases_are_called_as_pytest_calls_them():
    """The class of a node id is that which pytest itself makes of it."""
    from _pytest.junitxml import mangle_test_address

    for spec, name in [("a/b.toml", "A::p"), ("x.y/c.toml", "p.1_2"), ("@curated", "p")]:
        records = (SpecRecord(spec, "0" * 64, "small"),)
        run = report(checks=(check(name=name, spec=spec),), specs=records)
        *classes, last = mangle_test_address(f"{spec}::{name}::CLs_obs")

        assert list(cases(run)) == [f"{'.'.join(classes)} {last}"]


def test_from_a_bracket_on_all_is_the_name():
    assert list(cases(report(checks=(check(name="A::p[1::2]"),)))) == [
        "small.toml.A p[1::2]::CLs_obs"
    ]


def test_checks_of_one_quantity_are_told_apart():
    several = (check(), check(mu=0.5), check(quantity="mu_hat", mu=None), check(mu=0.5))

    assert [name.split()[-1] for name in cases(report(point("one"), checks=several))] == [
        "CLs_obs[mu=1]", "CLs_obs[mu=0.5]", "mu_hat", "CLs_obs[mu=0.5#2]",
    ]  # fmt: skip


def test_a_failure_tells_the_numbers_and_their_source():
    [case] = cases(report(point("one"), checks=(check("failed"),))).values()

    message = "CLs_obs at mu = 1: expected 0.25, found 0.24444"
    assert verdict(case) == ("failure", "failed", message)
    first, _, numbers, source = (case[0].text or "").splitlines()
    assert first == message
    assert numbers.split() == ["0.25", "0.24444", "0.022", "0.001"]
    assert source == "  source: Table 5"


@pytest.mark.parametrize(
    ("checks", "told"),
    [
        (check("unstable", reason="two minima"), ("failure", "unstable")),
        (check("xfailed", reason="one digit"), ("skipped", "pytest.xfail")),
        (missing("one", "lost"), ("error", "no numbers")),
        (missing("one", f"{NOT_COMPUTED}: interrupted"), ("error", "not computed")),
        (missing("one", f"{STOPPED} 1"), ("skipped", "not computed")),
    ],
    ids=lambda value: value.outcome if hasattr(value, "outcome") else "",
)
def test_what_does_not_pass_has_a_kind(checks, told):
    [suite] = suites(report(point("one"), checks=(checks,)))
    [case] = suite.iter("testcase")

    tag, kind, message = verdict(case)
    assert (tag, kind) == told
    assert checks.reason in (message or "") or checks.reason in (case[0].text or "")
    counted = {name: suite.get(name) for name in ("failures", "errors", "skipped")}
    plural = {"failure": "failures", "error": "errors", "skipped": "skipped"}[tag]
    assert counted == {"failures": "0", "errors": "0", "skipped": "0"} | {plural: "1"}


def test_a_known_difference_that_is_none_passes_as_in_pytest():
    [case] = cases(report(point("one"), checks=(check("xpassed"),))).values()

    assert len(case) == 0


def test_a_point_that_failed_is_a_case_where_its_checks_do_not_tell():
    limit = replace(failed("one", "no limit"), labels={})
    silent = cases(report(limit, checks=(check("passed"),)))
    told = cases(report(limit, checks=(check("passed"), missing("one", "no limit", mu=0.5))))

    assert verdict(silent["small.toml one"]) == ("error", "no numbers", "no limit")
    assert "small.toml one" not in told


def test_seconds_are_those_of_the_work_and_add_up():
    stored = point("two", seconds=5.0, cached=True)
    checks = (check(), check(quantity="mu_hat", mu=None), check(name="two"))

    [suite] = suites(report(point("one"), stored, point("three", seconds=1.5), checks=checks))

    times = [case.get("time") for case in suite.iter("testcase")]
    assert times == ["0.250", "0.000", "0.000", "1.500"]
    assert suite.get("time") == "1.750"


def test_every_specification_is_a_suite_with_versions():
    records = (
        SpecRecord("a.toml", "1" * 64, "A", ("a note",)),
        SpecRecord("b.toml", "2" * 64, "B"),
    )
    points = (point("one", "a.toml"), point("one", "b.toml"), point("two", "b.toml"))

    first, second = suites(report(*points, specs=records))

    assert (first.get("name"), first.get("id"), first.get("tests")) == ("a.toml", "0", "1")
    assert (second.get("name"), second.get("id"), second.get("tests")) == ("b.toml", "1", "2")
    properties = {p.get("name"): p.get("value") for p in first.iter("property")}
    assert properties["fitspec"] == "0.1.0"
    assert (properties["analysis"], properties["sha256"]) == ("A", "1" * 64)
    assert first.findtext("system-out") == "a note"


def test_a_run_began_before_it_ended():
    [suite] = suites(report(point("one"), seconds=3600.0))

    start = datetime.fromisoformat(suite.get("timestamp", "")).replace(tzinfo=UTC)
    assert 3599 < (datetime.now(UTC) - start).total_seconds() < 3660


@given(st.text(st.characters(), min_size=1))
def test_any_text_makes_a_valid_document(text):
    records = (SpecRecord(f"s{text}.toml", "0" * 64, text, (text,)),)
    checks = (
        check("failed", f"p{text}", spec=records[0].path, source=text),
        check("xfailed", f"p{text}", spec=records[0].path, reason=text),
    )

    [suite] = suites(report(point("one", records[0].path), specs=records, checks=checks))

    assert suite.get("tests") == "3"


def test_what_xml_cannot_hold_is_spelled_out():
    [case] = cases(report(failed("one", "a\x07bell\x00 and \udce9 <&>"))).values()

    assert verdict(case)[2] == r"a\x07bell\x00 and \udce9 <&>"
