"""pydantic's validation errors in the user's terms: key, what was found, nearest good value."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from fitspec.spec.locate import KeyPath
from fitspec.spec.models import Spec


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at one key, and what to do about it."""

    key: KeyPath
    text: str
    remedy: str = ""

    @property
    def dotted(self) -> str:
        """``expect[0].rtol``."""
        parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.key)
        return "".join(parts).removeprefix(".")


def nearest(bad: str, good: Sequence[str], template: str = "{}") -> str:
    """``did you mean 'select'?``, or nothing if no good value is near."""
    match = difflib.get_close_matches(bad, good, n=1, cutoff=0.6)
    return f"did you mean {template.format(match[0])!r}?" if match else ""


def problems_of(invalid: ValidationError, data: Mapping[str, Any]) -> list[Problem]:
    """All problems of a specification, each key once, in the order of the language."""
    problems: dict[KeyPath, Problem] = {}
    for error in invalid.errors(include_url=False):
        problem = _problem(error, data)
        problems.setdefault(problem.key, problem)
    # each member of a union reports what it misses; the one that got furthest is what was meant
    return [p for key, p in problems.items() if not any(_inside(other, key) for other in problems)]


def _inside(key: KeyPath, outer: KeyPath) -> bool:
    return len(key) > len(outer) and key[: len(outer)] == outer


def _problem(error: Any, data: Mapping[str, Any]) -> Problem:
    key = _existing(error["loc"], data, with_last=error["type"] in {"missing", "extra_forbidden"})
    found = error["input"]
    match error["type"]:
        case "missing":
            if isinstance(key[-1], int):
                text = f"too few numbers, found {len(found)}"
                return Problem(key[:-1], text, "-2..+2 sigma are five")
            return Problem(key, "required key is missing")
        case "extra_forbidden":
            good = sorted(_fields_at(key[:-1]))
            remedy = nearest(str(key[-1]), good) or f"known keys: {', '.join(good)}"
            return Problem(key, "unknown key", remedy)
        case "literal_error":
            good = re.findall(r"'([^']*)'", error["ctx"]["expected"])
            remedy = nearest(str(found), good) or f"one of {', '.join(good)}"
            return Problem(key, f"{found!r} is not allowed", remedy)
        case "value_error":
            text, _, remedy = str(error["ctx"]["error"]).partition("; ")
            return Problem(key, text, remedy)
        case "string_pattern_mismatch":
            return Problem(
                key, f"{_short(found)} is no digest", f"expected {error['ctx']['pattern']}"
            )
        case _:
            text = (error["msg"][0].lower() + error["msg"][1:]).replace("tuple", "list")
            return Problem(key, f"{text}, found {_short(found)}")


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


def _fields_at(key: KeyPath) -> set[str]:
    """Keys that the language allows inside the table at ``key``."""
    models: set[type[BaseModel]] = {Spec}
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


def _short(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
