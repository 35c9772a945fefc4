"""A specification as pytest sees it: a file, the parts of its ids, and its checks as items."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fitspec.collect import Collection, collect
from fitspec.errors import FitspecError, NothingCollectedError
from fitspec.execute.choose import choose_endpoint
from fitspec.pytesting.batch import Batch
from fitspec.pytesting.entries import Entry, entries_of
from fitspec.pytesting.failures import (
    Differs,
    Invalid,
    NoNumbers,
    NotComputed,
    require_agreement,
    require_numbers,
)
from fitspec.pytesting.options import OPTIONS
from fitspec.pytesting.properties import properties_of
from fitspec.results import CheckResult, PointResult
from fitspec.session import Settings, with_backend
from fitspec.spec import SpecFile, find_specs


class FitspecWarning(UserWarning):
    """What a careful reader of the results should know."""


def collector_of(path: Path, parent: pytest.Collector) -> SpecificationFile:
    """The collector of a specification; with the first, what all items need is registered."""
    plugins = parent.config.pluginmanager
    if not plugins.hasplugin(_Durations.NAME):
        plugins.register(_Durations(), _Durations.NAME)
    return SpecificationFile.from_parent(parent, path=path)


class SpecificationFile(pytest.File):
    """Collects the checks of a specification, and the points that have none."""

    batch: Batch

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """Parts of ids and items; an invalid specification is one failure, in its own words."""
        try:
            settings = _settings(self.config)
            [spec] = find_specs([str(self.path)])
            spec = with_backend(spec, settings.backend)
            collection = _collected(spec, settings)
        except NothingCollectedError as error:
            self.warn(FitspecWarning(str(error)))
            return
        except FitspecError as error:
            raise Invalid(str(error)) from None
        in_worker = hasattr(self.config, "workerinput")  # pytest-xdist's
        self.batch = Batch(spec, settings, self._selected, at_once=in_worker)
        self.claimed: set[str] = set()
        if self.config.pluginmanager.hasplugin("xdist"):
            self.add_marker(pytest.mark.xdist_group(name=self.nodeid))
        yield from _nodes(self, list(entries_of(collection)))

    def repr_failure(  # type: ignore[override]  # as that of pytest.Collector
        self, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> Any:
        """A warning is no more than its text, where warnings are errors."""
        warned = isinstance(excinfo.value, FitspecWarning)
        return str(excinfo.value) if warned else super().repr_failure(excinfo)

    def teardown(self) -> None:
        """After the last of the items, or where pytest stops."""
        self.batch.close()

    def _selected(self) -> set[str]:
        items = [item for item in self.session.items if isinstance(item, SpecificationItem)]
        return {item.entry.node for item in items if item.file is self}


class Part(pytest.Collector):
    """A part of an id that several items share: a region, a point."""

    def __init__(self, entries: Sequence[Entry], depth: int, **node: Any) -> None:
        super().__init__(**node)
        self._entries = entries
        self._depth = depth

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """What is below it."""
        return _nodes(self, self._entries, self._depth)


class SpecificationItem(pytest.Item):
    """A check, or a point without one."""

    def __init__(self, entry: Entry, **node: Any) -> None:
        super().__init__(**node)
        self.entry = entry
        self.seconds = 0.0
        file = self.getparent(SpecificationFile)
        assert file is not None  # noqa: S101 (they are made below one)
        self.file = file
        self.add_marker(pytest.mark.fitspec(**entry.labels))
        if entry.xfail is not None:
            self.add_marker(pytest.mark.xfail(reason=entry.xfail, raises=(Differs, NoNumbers)))
        # pytest's -k looks at one part of an id at a time, and has no `=`
        self.extra_keyword_matches.add("::".join(entry.names))
        self.extra_keyword_matches.update(f"{key}:{value}" for key, value in entry.labels.items())

    def runtest(self) -> None:
        """Wait for the result, and fail if it is not as it should be."""
        try:
            result = self._result()
        except (FitspecError, OSError) as error:
            raise NotComputed(str(error)) from None
        points = self.file.batch.known(self.entry.points)
        self._account_for(points)
        self.user_properties += properties_of(self.entry, points, result)
        for message in self.file.batch.news():
            self.warn(FitspecWarning(message))
        if isinstance(result, PointResult):
            require_numbers(result)
        else:
            require_agreement(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """A warning is no more than its text, where warnings are errors."""
        warned = isinstance(excinfo.value, FitspecWarning)
        return super().repr_failure(excinfo, style="value" if warned else style)

    def _result(self) -> PointResult | CheckResult:
        if self.entry.number is None:
            return self.file.batch.point(self.entry.node)
        return self.file.batch.checks(self.entry.node)[self.entry.number]

    def reportinfo(self) -> tuple[Path, int, str]:
        """File, line, and the headline of a failure."""
        return self.path, 0, self.entry.title

    def _account_for(self, points: Sequence[PointResult]) -> None:
        """The seconds of every point are those of the first item that needs it."""
        mine = [point for point in points if point.node_id not in self.file.claimed]
        self.file.claimed.update(point.node_id for point in mine)
        self.seconds = sum(point.outcome.seconds for point in mine if not point.cached)


class _Durations:
    """Reports of items tell the seconds of their points, not how long pytest waited for them."""

    NAME = "fitspec-durations"

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if isinstance(item, SpecificationItem) and call.when == "call":
            report.duration = item.seconds
        return report


_SETTINGS = pytest.StashKey[Settings]()


def _settings(config: pytest.Config) -> Settings:
    """The user's configuration, with what pytest was told."""
    if _SETTINGS not in config.stash:
        options = config.stash[OPTIONS]
        config.stash[_SETTINGS] = replace(
            Settings.from_config(options.mirror, offline=options.offline),
            workers=options.workers,
            endpoint=options.endpoint,
            backend=options.backend,
            reuse=not options.no_cache,
        )
    return config.stash[_SETTINGS]


def _collected(spec: SpecFile, settings: Settings) -> Collection:
    """What there is to check, after all that can be wrong before the first fit."""
    choose_endpoint([spec], settings.config, settings.endpoint, settings.workers)
    return collect([spec], settings.access)


def _nodes(
    parent: pytest.Collector, entries: Sequence[Entry], depth: int = 0
) -> Iterator[pytest.Item | pytest.Collector]:
    """Items, and the parts above them, as deep as pytest takes a name on its command line apart."""
    parts: dict[str, list[Entry]] = {}
    for entry in entries:
        parts.setdefault(entry.names[depth], []).append(entry)
    for name, members in parts.items():
        inner = [entry for entry in members if len(entry.names) > depth + 1]
        for entry in members:
            if len(entry.names) == depth + 1:
                # spelled out: pytest reads a bracket as parameters where it finds the id again
                nodeid = f"{parent.nodeid}::{name}"
                yield SpecificationItem.from_parent(parent, name=name, nodeid=nodeid, entry=entry)
        if inner:
            yield Part.from_parent(parent, name=name, entries=inner, depth=depth + 1)
