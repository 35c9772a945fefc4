"""results.json, schema 1: flat lists, each a data frame."""

from __future__ import annotations

import dataclasses
from typing import Any

import orjson

import fitspec
from fitspec.results import RunReport

SCHEMA_VERSION = 1


def to_json(report: RunReport) -> bytes:
    """The report as indented JSON with a final newline."""
    content: dict[str, Any] = {
        "schema": SCHEMA_VERSION,
        "fitspec": fitspec.__version__,
        "specs": [dataclasses.asdict(spec) for spec in report.specs],
        "environment": dict(report.environment),
        "points": [point.to_dict() for point in report.points],
        "combined": [combined.to_dict() for combined in report.combined],
        "checks": [dataclasses.asdict(check) for check in report.checks],
        "samples": [dataclasses.asdict(sample) for sample in report.samples()],
        "summary": summary(report),
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def summary(report: RunReport) -> dict[str, Any]:
    """Checks by outcome; points that failed, and that the run did not come to; wall time."""
    return {
        "passed": report.count("passed"),
        "failed": report.count("failed"),
        "xfailed": report.count("xfailed"),
        "xpassed": report.count("xpassed"),
        "unstable": report.count("unstable"),
        "errors": len(report.failed_points) - report.not_computed,
        "not_computed": report.not_computed,
        "points": len(report.points),
        "deselected": report.deselected,
        "interrupted": report.interrupted,
        "seconds": report.seconds,
    }
