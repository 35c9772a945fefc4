"""The selected points of one specification, computed together when the first is asked for."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from fitspec.errors import FitspecError, SourceError
from fitspec.results import CheckResult, PointResult, RunReport
from fitspec.session import Settings, Settled, stream
from fitspec.spec import SpecFile

_Result = TypeVar("_Result")


@dataclass(eq=False)
class Batch:
    """One run for many items; every result is handed out as soon as it is there.

    Attributes:
        spec: the specification.
        settings: of the run.
        selected: node ids of all points and checks that will be asked for.
        at_once: compute everything before the first result is handed out, and let no other process
            do so at the same time. It then finds all in the result store.
    """

    spec: SpecFile
    settings: Settings
    selected: Callable[[], set[str]]
    at_once: bool = False
    _warnings: list[str] = field(default_factory=list)
    _points: dict[str, PointResult] = field(default_factory=dict)
    _checks: dict[str, list[CheckResult]] = field(default_factory=dict)
    _steps: Generator[Settled, None, RunReport] | None = None
    _failure: FitspecError | OSError | None = None

    def point(self, node: str) -> PointResult:
        """The result of a point.

        Raises:
            FitspecError, OSError: the run cannot begin, or go on.
        """
        return self._await(node, self._points)

    def checks(self, node: str) -> Sequence[CheckResult]:
        """All checks of this node id, in the order of the specification; raises as `point`."""
        return self._await(node, self._checks)

    def known(self, nodes: Sequence[str]) -> list[PointResult]:
        """Of these points, those that are computed."""
        return [self._points[node] for node in nodes if node in self._points]

    def news(self) -> list[str]:
        """Warnings that were not told yet."""
        told = list(self._warnings)
        self._warnings.clear()
        return told

    def close(self) -> None:
        """Abandon what is under way; a later question begins anew with what is missing."""
        if self._steps is not None:
            self._steps.close()
            self._steps = None

    def _await(self, node: str, results: Mapping[str, _Result]) -> _Result:
        if self.at_once and node not in results:
            with _alone(self.settings.results):
                while self._step(node):
                    pass
        while node not in results and self._step(node):
            pass
        if node not in results:
            problem = f"{node} is gone: its sources have changed since it was collected"
            raise SourceError(problem, "run pytest again")
        return results[node]

    def _step(self, node: str) -> bool:
        """One step further; False at the end."""
        if self._failure is not None:
            raise self._failure
        try:
            if self._steps is None:
                self._steps = self._begin(node)
            self._enter(*next(self._steps))
        except StopIteration as end:
            self._steps = None
            self._finish(end.value)
            return False
        except (FitspecError, OSError) as error:
            self._failure = error
            raise
        return True

    def _begin(self, node: str) -> Generator[Settled, None, RunReport]:
        missing = (self.selected() - self._points.keys() - self._checks.keys()) | {node}
        settings = replace(self.settings, only=frozenset(missing))
        return stream([self.spec], settings, _Listener(self._warnings.append))

    def _finish(self, report: RunReport) -> None:
        """Enter what was given up."""
        if report.interrupted:
            raise KeyboardInterrupt
        rest = [check for check in report.checks if check.node_id not in self._checks]
        self._enter(report.points, rest)

    def _enter(self, points: Sequence[PointResult], checks: Sequence[CheckResult]) -> None:
        self._points.update({point.node_id: point for point in points})
        for check in checks:
            self._checks.setdefault(check.node_id, []).append(check)


class _Listener:
    """An observer that passes warnings on."""

    def __init__(self, warned: Callable[[str], None]) -> None:
        self.warned = warned

    def started(self, *_: object) -> None: ...
    def settled(self, *_: object) -> None: ...
    def progressed(self, *_: object) -> None: ...


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Of all processes that use this result store, one at a time is in such a block."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # no locks there: work is done twice, and right
            folder.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context((folder / "pytest.lock").open("w"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
