"""Failures as pytest shows them: a few words and a table, and no traceback."""

from __future__ import annotations

import re

import pytest

from fitspec.report.words import story
from fitspec.results import NOT_COMPUTED, CheckResult, PointResult

_OPTION = re.compile(r"(?<!\S)--(endpoint|mirror|offline)\b")
"""What errors call the options of `fitspec run`."""


class _Told(pytest.fail.Exception):  # type: ignore[misc, name-defined]  # a class in a variable
    """A failure that its text tells in full."""

    def __init__(self, text: str) -> None:
        super().__init__(_OPTION.sub(r"--fitspec-\1", text), pytrace=False)


class Differs(_Told):
    """A number is not the expected one."""


class NoNumbers(_Told):
    """A point has none, for a reason of its own."""


class NotComputed(_Told):
    """The run did not come to this point, or could not begin; no ``xfail`` expects that."""


class Invalid(_Told):
    """A specification, or what it names, is not as it should be."""


for _kind in (Differs, NoNumbers, NotComputed, Invalid):
    _kind.__module__ = "builtins"  # in summaries, a class of this module has no prefix


def require_numbers(point: PointResult) -> None:
    """Raise where a point has none."""
    if point.outcome.status == "error":
        reason = point.outcome.error or ""
        raise _missing(reason)(reason)


def require_agreement(check: CheckResult) -> None:
    """Raise where a check does not hold, be it expected or not: pytest knows that by a marker."""
    if check.outcome not in {"passed", "xpassed"}:
        kind = Differs if check.actual is not None else _missing(check.reason or "")
        raise kind(story(check))


def _missing(reason: str) -> type[NoNumbers | NotComputed]:
    return NotComputed if reason.startswith(NOT_COMPUTED) else NoNumbers
