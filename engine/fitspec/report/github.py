"""GitHub Actions: what failed as annotations of the lines in question.

A workflow takes every line of a job's output that looks like a command for one, and names, reasons
and sources come from files that a stranger may have written. So what a run prints is put between
``stop-commands`` and its end, and what commands carry is escaped.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from fitspec.errors import FitspecError, InvalidSpecsError, SpecError, counted
from fitspec.report.words import story
from fitspec.results import NOT_COMPUTED, CheckResult, PointResult, RunReport

SHOWN = 10
"""Annotations of one kind that GitHub shows of a step."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A message at a line of a file, or of the workflow as a whole.

    Attributes:
        message: any text.
        title: any text.
        file: as seen from the working directory, or a curated specification; None for none.
        line: 1-based; None for the file as a whole.
    """

    message: str
    title: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        """The workflow command."""
        place: dict[str, str | int | None] = {}
        if self.file is not None and not self.file.startswith("@"):  # those are in no checkout
            place = {"file": _in_the_repository(self.file), "line": self.line}
        properties = {name: value for name, value in place.items() if value} | {"title": self.title}
        listed = ",".join(f"{name}={_property(str(v))}" for name, v in properties.items())
        return f"::error {listed}::{_data(self.message)}"


def in_workflow() -> bool:
    """The process is a step of a workflow of GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


@contextmanager
def no_commands(stream: TextIO) -> Iterator[None]:
    """In a workflow, whatever is written to the stream inside the block is mere text.

    Args:
        stream: at the begin of a line, before and after.
    """
    if not in_workflow():
        yield
        return
    token = secrets.token_hex(16)  # no text can know it
    print(f"::stop-commands::{token}", file=stream, flush=True)
    try:
        yield
    finally:
        print(f"::{token}::", file=stream, flush=True)


def harmless(text: str) -> str:
    """In a workflow, text without commands in their older form, which may stand anywhere in a line.

    Args:
        text: whose lines are going to begin with something of our own: the newer form stands there.
    """
    return text.replace("##[", "## [") if in_workflow() else text


def of_report(report: RunReport) -> list[Annotation]:
    """What failed in a run: checks at their expectations, then points without numbers."""
    failed = [check for check in report.checks if check.outcome in {"failed", "unstable"}]
    points = [
        point
        for point in report.failed_points
        if not (point.outcome.error or "").startswith(NOT_COMPUTED)
    ]
    return [*map(_of_check, failed), *map(_of_point, points)]


def of_error(error: FitspecError) -> list[Annotation]:
    """What is wrong with specifications, at their lines, or with anything else."""
    errors: Sequence[FitspecError] = (
        error.errors if isinstance(error, InvalidSpecsError) else [error]
    )
    return [
        Annotation(str(e), "invalid specification", e.file, e.line)
        if isinstance(e, SpecError)
        else Annotation(str(e), "fitspec")
        for e in errors
    ]


def annotate(annotations: Sequence[Annotation], stream: TextIO) -> None:
    """In a workflow, write commands for as many annotations as GitHub shows."""
    if not in_workflow():
        return
    for line in _shown(annotations):
        print(line, file=stream, flush=True)


def _shown(annotations: Sequence[Annotation]) -> Iterable[str]:
    if len(annotations) <= SHOWN:
        return map(str, annotations)
    left = counted(len(annotations) - SHOWN + 1, "failure")
    more = Annotation(f"and {left} more: see the summary, or the log", "fitspec")
    return map(str, [*annotations[: SHOWN - 1], more])


def _of_check(check: CheckResult) -> Annotation:
    return Annotation(story(check), check.node_id, check.file, check.line)


def _of_point(point: PointResult) -> Annotation:
    return Annotation(point.outcome.error or "no numbers", point.node_id, point.spec)


def _in_the_repository(file: str) -> str:
    """GitHub counts paths from the root of the checkout; a file outside it keeps its name."""
    root = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    path = Path(file).resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else file


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
