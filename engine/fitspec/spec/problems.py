"""pydantic's validation errors in the user's terms: key, what was found, nearest good value."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from fitspec.errors import nearest
from fitspec.spec.locate import KeyPath


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at one key, and what to do about it."""

    key: KeyPath
    text: str
    remedy: str = ""

    @property
    def dotted(self) -> str:
        """``expect[0].rtol``."""
        parts = (f"[{part}]" if isinstance(part, int) else f".{_quoted(part)}" for part in self.key)
        return "".join(parts).removeprefix(".")


def unprintable(data: Any, key: KeyPath = ()) -> KeyPath | None:
    """Where a document first holds text that would garble node ids, tables or the terminal."""
    if isinstance(data, str):
        return None if data.isprintable() else key
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(data, Mapping):
        items = data.items()
    elif isinstance(data, list):
        items = enumerate(data)
    for name, value in items:
        if isinstance(name, str) and not name.isprintable():
            return (*key, name)
        if (found := unprintable(value, (*key, name))) is not None:
            return found
    return None


def problems_of(
    invalid: ValidationError, data: Mapping[str, Any], model: type[BaseModel]
) -> list[Problem]:
    """All problems of a document, each key once, in the order of its model."""
    problems: dict[KeyPath, tuple[int, Problem]] = {}
    # each member of a union reports what it misses; the one that got furthest is what was meant
    for error in invalid.errors(include_url=False):
        problem = _problem(error, data, model)
        candidate = (_vagueness(error["type"]), problem)
        best = problems.setdefault(problem.key, candidate)
        if candidate[0] < best[0]:
            problems[problem.key] = candidate
    return [
        problem
        for key, (_, problem) in problems.items()
        if not any(_inside(other, key) for other in problems)
    ]


def _vagueness(error_type: str) -> int:
    """How little of a value a union's member recognised: not even its type is the least."""
    return 2 if error_type.endswith("_type") else int(error_type == "literal_error")


def _inside(key: KeyPath, outer: KeyPath) -> bool:
    return len(key) > len(outer) and key[: len(outer)] == outer


def _problem(error: Any, data: Mapping[str, Any], model: type[BaseModel]) -> Problem:
    key = _existing(error["loc"], data, with_last=error["type"] in {"missing", "extra_forbidden"})
    found = error["input"]
    if isinstance(found, tuple) and error["type"] != "missing":
        found = _value_at(key, data)  # TOML has no tuples: a validator made this one
    match error["type"]:
        case "missing":
            if isinstance(key[-1], int):
                text = f"too few numbers, found {len(found)}"
                return Problem(key[:-1], text, "-2..+2 sigma are five")
            return Problem(key, "required key is missing")
        case "too_short" | "string_too_short":
            return Problem(key, "may not be empty")
        case "extra_forbidden":
            good = sorted(_fields_at(key[:-1], model))
            remedy = nearest(str(key[-1]), good) or f"known keys: {', '.join(good)}"
            return Problem(key, "unknown key", remedy)
        case "literal_error":
            good = re.findall(r"'([^']*)'", error["ctx"]["expected"])
            remedy = nearest(str(found), good) or f"one of {', '.join(good)}"
            return Problem(key, f"{_short(found)} is not allowed", remedy)
        case "value_error":
            text, _, remedy = str(error["ctx"]["error"]).partition("; ")
            return Problem(key, text, remedy)
        case "string_pattern_mismatch":
            return Problem(
                key, f"{_short(found)} is no digest", f"expected {error['ctx']['pattern']}"
            )
        case "uuid_parsing":
            return Problem(key, f"{_short(found)} is no UUID")
        case _:
            return Problem(key, f"{_in_toml_terms(error['msg'])}, found {_short(found)}")


def _existing(loc: Iterable[str | int], data: Any, *, with_last: bool) -> KeyPath:
    """A pydantic location without its union tags: only what the document really has.

    A location may name union members, ``("poi", "test", "tuple[float, ...]", 0)``; those are no
    keys. The last part of a missing or unknown key is kept as it is.
    """
    parts = list(loc)
    last = [parts.pop()] if with_last and parts else []
    path: list[str | int] = []
    for part in parts:
        if isinstance(data, Mapping):
            known = part in data
        else:
            known = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if known:
            data = data[part]
            path.append(part)
    return (*path, *last)


def _value_at(key: KeyPath, data: Any) -> Any:
    for part in key:
        data = data[part]
    return data


def _in_toml_terms(message: str) -> str:
    message = re.sub(r"dictionary( or instance of \w+)?", "table", message)
    return re.sub(r"^[A-Z](?![A-Z])", lambda first: first.group().lower(), message).replace(
        "tuple", "list"
    )


def _fields_at(key: KeyPath, model: type[BaseModel]) -> set[str]:
    """Keys that a model allows inside the table at ``key``."""
    models = {model}
    for part in key:
        if isinstance(part, int):
            continue
        annotations = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        # a dictionary's keys are free: stay with the models of its values
        models = {model for a in annotations for model in _models_in(a)} or models
    return {name for model in models for name in model.model_fields}


def _models_in(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for part in typing.get_args(annotation) for model in _models_in(part)}


def _quoted(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else repr(key)


def _short(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
