"""What failed in the last run of each specification, kept in the cache for ``--lf``."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import orjson

from fitspec.files import write_file
from fitspec.results import NOT_COMPUTED, CheckResult, RunReport


class LastFailed:
    """A file a specification in a folder of the cache; without failures, none.

    Args:
        cache: where the cache is; it need not exist.
    """

    def __init__(self, cache: Path) -> None:
        self._folder = cache / "last-failed"

    def clear(self) -> None:
        """Forget everything; raises OSError where that is not allowed."""
        if self._folder.exists():
            shutil.rmtree(self._folder)

    def of(self, specs: Iterable[str]) -> set[str]:
        """Node ids of checks, and of points, that failed when they were run last.

        Args:
            specs: specifications as the user names them here and now.
        """
        return {f"{spec}::{name}" for spec in specs for name in self._read(spec)}

    def update(self, report: RunReport, keywords: str = "") -> None:
        """Enter what was run: failures, and what does not fail any more.

        What was not run stays as it was; without ``-k``, what is not there any more goes.

        Args:
            report: of the run: of all that the specifications hold, or of all that failed before.
            keywords: its ``-k`` expression.
        """
        states = _states(report)
        failed = {node for node, bad in states.items() if bad}
        there = {check.node_id for check in report.checks} | {p.node_id for p in report.points}
        for spec in report.specs:
            known = self.of([spec.path])
            if not keywords:  # of what that leaves out, nobody knows whether it is there
                known &= there
            nodes = (known - states.keys()) | failed
            prefix = f"{spec.path}::"
            names = [node.removeprefix(prefix) for node in nodes if node.startswith(prefix)]
            with contextlib.suppress(OSError):  # a full disk: it is no more than a convenience
                self._write(spec.path, sorted(names))

    def _read(self, spec: str) -> list[str]:
        try:
            content = orjson.loads(self._file(spec).read_bytes())
            return [name for name in content["failed"] if isinstance(name, str)]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def _write(self, spec: str, failed: list[str]) -> None:
        file = self._file(spec)
        if not failed:
            file.unlink(missing_ok=True)
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        content = {"specification": _absolute(spec), "failed": failed}
        # at once: another run may read it
        write_file(file, orjson.dumps(content, option=orjson.OPT_INDENT_2))

    def _file(self, spec: str) -> Path:
        return self._folder / f"{hashlib.sha256(os.fsencode(_absolute(spec))).hexdigest()}.json"


def _absolute(spec: str) -> str:
    return spec if spec.startswith("@") else os.path.realpath(spec)


def _states(report: RunReport) -> dict[str, bool]:
    """Whether each node that was run failed."""
    states: dict[str, bool] = {}
    for check in filter(_run_in(report), report.checks):
        # a cross-check is of the point: the next run may make none
        cross = check.outcome == "unstable" or (check.outcome == "error" and check.expected is None)
        node = f"{check.spec}::{check.id}" if cross else check.node_id
        bad = check.outcome in {"failed", "error", "unstable"}
        states[node] = states.get(node, False) or bad
    failed = {point.node_id for point in report.failed_points}
    failed &= {point.node_id for point in report.silent_points}
    for point in report.points:
        if not (point.outcome.error or "").startswith(NOT_COMPUTED):
            states[point.node_id] = states.get(point.node_id, False) or point.node_id in failed
    return states


def _run_in(report: RunReport) -> Callable[[CheckResult], bool]:
    """Tells whether the run came to a check."""
    points = {(point.spec, point.id) for point in report.points}

    def was_run(check: CheckResult) -> bool:
        if check.outcome != "error":
            return True
        if (check.spec, check.id) not in points and report.not_computed:
            return False  # a case of the combination may have been left out
        return not (check.reason or "").startswith(NOT_COMPUTED)

    return was_run
