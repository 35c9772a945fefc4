"""JUnit XML for continuous integration: a suite a specification, a test case a check.

The format has no standard. What is written here is valid for both schemas that others go by: that
of Jenkins' xUnit plugin (``junit-10.xsd``), which pytest follows, and that of Apache Ant's task.
"""

from __future__ import annotations

import platform
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fitspec.report.words import headline, story
from fitspec.results import NOT_COMPUTED, STOPPED, CheckResult, PointResult, RunReport, SpecRecord

_NO_XML = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, or discourages: control characters, halves of surrogate pairs."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What stands in a test case that did not simply pass.

    Attributes:
        tag: ``failure``, ``error`` or ``skipped``.
        kind: the attribute ``type``.
        message: one line.
        text: all there is to say.
    """

    tag: str
    kind: str
    message: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Case:
    """A check, or a point without one; the name is its node id without the specification."""

    name: str
    seconds: float
    verdict: _Verdict | None


def to_junit(report: RunReport) -> bytes:
    """The report as a JUnit XML document.

    A test case is called as pytest calls it: the last part of its node id is the name, what is
    before that the class. The seconds of a point are those of its first test case, and none if it
    comes from the store, so that they add up to the work of this run.
    """
    root = ET.Element("testsuites")
    start = datetime.now(UTC) - timedelta(seconds=report.seconds)
    for number, spec in enumerate(report.specs):
        root.append(_suite(number, spec, list(_cases(spec, report)), report, start))
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _suite(
    number: int, spec: SpecRecord, cases: list[_Case], report: RunReport, start: datetime
) -> ET.Element:
    tags = [case.verdict.tag for case in cases if case.verdict is not None]
    suite = _element(
        "testsuite",
        name=spec.path,
        package=spec.path,
        id=str(number),
        timestamp=start.strftime("%Y-%m-%dT%H:%M:%S"),
        hostname=platform.node() or "localhost",
        tests=str(len(cases)),
        failures=str(tags.count("failure")),
        errors=str(tags.count("error")),
        skipped=str(tags.count("skipped")),
        time=f"{sum(case.seconds for case in cases):.3f}",
    )
    properties = ET.SubElement(suite, "properties")
    known = {"analysis": spec.analysis, "sha256": spec.sha256, **report.environment}
    for name, value in known.items():
        properties.append(_element("property", name=name, value=value))
    suite.extend([_test_case(spec.path, case) for case in cases])
    ET.SubElement(suite, "system-out").text = _clean("\n".join(spec.notes))
    ET.SubElement(suite, "system-err")
    return suite


def _test_case(spec: str, case: _Case) -> ET.Element:
    classname, name = _as_pytest_does(spec, case.name)
    element = _element("testcase", classname=classname, name=name, time=f"{case.seconds:.3f}")
    if (verdict := case.verdict) is not None:
        told = _element(verdict.tag, type=verdict.kind, message=verdict.message)
        told.text = _clean(verdict.text)
        element.append(told)
    return element


def _as_pytest_does(spec: str, name: str) -> tuple[str, str]:
    """Class and name; from the first bracket on, all could be the parameters of a test."""
    plain, bracket, rest = name.partition("[")
    *above, last = plain.split("::")
    return ".".join([spec.replace("/", "."), *above]), f"{last}{bracket}{rest}"


def _cases(spec: SpecRecord, report: RunReport) -> Iterator[_Case]:
    """Checks in order, then points that no check tells of; a point's first case has its seconds."""
    seconds = {
        point.id: 0.0 if point.cached else point.outcome.seconds
        for point in report.points
        if point.spec == spec.path
    }
    checks = [check for check in report.checks if check.spec == spec.path]
    for check, suffix in zip(checks, _suffixes(checks), strict=True):
        name = f"{check.id}::{check.quantity}{suffix}"
        yield _Case(name, seconds.pop(check.id, 0.0), _of_check(check))
    for point in report.silent_points:
        if point.spec == spec.path:
            yield _Case(point.id, seconds.pop(point.id, 0.0), _of_point(point))


def _suffixes(checks: Sequence[CheckResult]) -> Iterator[str]:
    """What tells checks of one quantity apart: ``[mu=0.5]``, and ``#2`` for a second opinion."""
    mus: dict[str, set[float | None]] = {}
    for check in checks:
        mus.setdefault(check.node_id, set()).add(check.mu)
    seen: Counter[tuple[str, float | None]] = Counter()
    for check in checks:
        seen[check.node_id, check.mu] += 1
        number = seen[check.node_id, check.mu]
        at_mu = f"mu={check.mu:g}" if len(mus[check.node_id]) > 1 else ""
        again = f"#{number}" if number > 1 else ""
        yield f"[{at_mu}{again}]" if at_mu or again else ""


def _of_check(check: CheckResult) -> _Verdict | None:
    match check.outcome:
        case "failed" | "unstable":
            return _Verdict("failure", check.outcome, headline(check), story(check))
        case "xfailed":
            return _Verdict("skipped", "pytest.xfail", check.reason or "")
        case "error":
            return _without_numbers(check.reason or "no value")
        case _:
            return None


def _of_point(point: PointResult) -> _Verdict | None:
    error = point.outcome.error
    return _without_numbers(error or "no numbers") if point.outcome.status == "error" else None


def _without_numbers(reason: str) -> _Verdict:
    if reason.startswith(STOPPED):  # there are failures enough, and this is none of them
        return _Verdict("skipped", "not computed", reason)
    kind = "not computed" if reason.startswith(NOT_COMPUTED) else "no numbers"
    return _Verdict("error", kind, reason)


def _element(tag: str, **attributes: str) -> ET.Element:
    return ET.Element(tag, {name: _clean(value) for name, value in attributes.items()})


def _clean(text: str) -> str:
    """The text with what XML cannot hold spelled out."""
    return _NO_XML.sub(lambda found: ascii(found.group())[1:-1], text)
