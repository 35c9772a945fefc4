"""Back from results.json to the report it was made from."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from fitspec.errors import UsageError
from fitspec.outcome import Outcome
from fitspec.report.results_json import SCHEMA_VERSION
from fitspec.results import PointResult, RunReport, SampleRecord

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

_LISTS = ("specs", "points", "combined", "checks", "samples")
_OUTCOME = tuple(field.name for field in fields(Outcome))
_POINT = tuple(field.name for field in fields(PointResult) if field.name != "outcome")


def read_report(path: Path) -> RunReport:
    """The report that a results.json of schema 1 holds.

    Keys that this version does not know are ignored; those that an older one did not write have
    their defaults.

    Args:
        path: the file.

    Raises:
        UsageError: it cannot be read, is no results.json of schema 1, or holds a value of the wrong
            kind; with its place.
    """
    from pydantic import ValidationError

    content = _document(path)
    try:
        report: RunReport = _validated(RunReport, _arranged(path, content))
        samples = _validated(dict[str, tuple[SampleRecord, ...]], {"samples": content["samples"]})
    except ValidationError as invalid:
        raise _wrong(path, invalid) from invalid
    return replace(report, samples=functools.partial(tuple, samples["samples"]))


def _document(path: Path) -> dict[str, Any]:
    """The parsed file, so far that all its lists are lists of tables."""
    try:
        content = orjson.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "name a results.json") from error
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{path}: not valid JSON: {error}", _REMEDY) from error
    if not isinstance(content, dict) or "schema" not in content:
        raise UsageError(f"{path}: no results.json: it has no key 'schema'", _REMEDY)
    if content["schema"] != SCHEMA_VERSION:
        problem = f"{path}: schema {content['schema']!r} of results.json is unknown"
        raise UsageError(problem, f"this fitspec reads schema {SCHEMA_VERSION}")
    content = {"environment": {}, "summary": {}, **dict.fromkeys(_LISTS, ()), **content}
    for name in _LISTS:
        for index, record in enumerate(_required(path, name, content[name], list | tuple)):
            _required(path, f"{name}[{index}]", record, dict)
    _required(path, "summary", content["summary"], dict)
    return content


_REMEDY = "name a file that `fitspec run --json` wrote"


def _required(path: Path, name: str, value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        wanted = "a table" if kind is dict else "a list"
        raise UsageError(f"{path}: {name} is not {wanted}", _REMEDY)
    return value


def _arranged(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """The file's flat records as the report has them."""
    points = [_point(record) for record in content["points"]]
    by_id = {(point.get("spec"), point.get("id")): point for point in points}
    for index, record in enumerate(content["combined"]):
        record["result"] = by_id.get((record.get("spec"), record.get("chosen")))
        if record["result"] is None:
            problem = f"combined[{index}].chosen: there is no point {record.get('chosen')!r}"
            raise UsageError(f"{path}: {problem}", _REMEDY)
    summary = content["summary"]
    return {
        "specs": content["specs"],
        "environment": content["environment"],
        "points": points,
        "combined": content["combined"],
        "checks": content["checks"],
        "deselected": summary.get("deselected", 0),
        "seconds": summary.get("seconds", 0.0),
        "interrupted": summary.get("interrupted", False),
    }


def _point(record: Mapping[str, Any]) -> dict[str, Any]:
    outcome = {name: record[name] for name in _OUTCOME if name in record}
    return {name: record[name] for name in _POINT if name in record} | {"outcome": outcome}


def _validated(kind: Any, content: Any) -> Any:
    """As JSON, whose lists may stand for tuples, and nothing else for anything else."""
    return _reader(kind).validate_json(orjson.dumps(content), strict=True)


@functools.cache
def _reader(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _wrong(path: Path, invalid: ValidationError) -> UsageError:
    """The first problem, at its place in the file."""
    first = invalid.errors(include_url=False)[0]
    place = ""
    for part in first["loc"]:
        if part != "outcome":  # its keys are the point's own
            place += f"[{part}]" if isinstance(part, int) else f".{part}"
    found = "" if first["type"] == "missing" else f", found {str(first['input'])[:40]!r}"
    message = first["msg"][0].lower() + first["msg"][1:]
    return UsageError(f"{path}: {place.removeprefix('.')}: {message}{found}", _REMEDY)
