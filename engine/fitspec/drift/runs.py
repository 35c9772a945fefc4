"""What was different between two runs: settings, versions, and the content of their inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fitspec.results import PointResult, RunReport, SampleRecord, SpecRecord

UNIMPORTANT = {"workers"}
"""Of the environment: how many there are changes no number."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting or version that was another one.

    Attributes:
        spec: the specification it belongs to; None for the run as a whole.
        key: its name, ``environment.numpy`` or ``settings.inference.toys``.
        old: before; None where there was none.
        new: after; None where there is none.
    """

    spec: str | None
    key: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class PartChange:
    """A channel's sample, or another part of a workspace or patch, that is not what it was.

    Attributes:
        spec: the specification, as the newer run names it.
        id: the point, for a change of its patch; None for one of the workspace.
        channel: its name; None for the measurements.
        sample: its name; None for observed data, and for measurements.
        change: ``added``, ``removed``, ``events``, ``bins`` (the sum of events stayed), or
            ``modifiers``; ``content`` for measurements.
        old_events: before, over all bins; None where there were none.
        new_events: after.
    """

    spec: str
    id: str | None
    channel: str | None
    sample: str | None
    change: str
    old_events: float | None
    new_events: float | None

    @property
    def part(self) -> str:
        """Where it is, in words."""
        if self.channel is None:
            return "measurements"
        return f"channel {self.channel}, {self.sample or 'observed data'}"


def differences(
    old: RunReport, new: RunReport, pairs: Sequence[tuple[SpecRecord, SpecRecord]]
) -> list[Difference]:
    """Of environment, settings and texts."""
    found = [
        Difference(None, f"environment.{key}", before, after)
        for key, before, after in _unequal(old.environment, new.environment)
        if key not in UNIMPORTANT
    ]
    for before, after in pairs:
        found += [
            Difference(after.path, f"settings.{key}", was, now)
            for key, was, now in _unequal(before.settings, after.settings)
            if before.settings and after.settings  # an older version did not write them down
        ]
        found += [
            Difference(after.path, key, getattr(before, key), getattr(after, key))
            for key in ("path", "sha256")
            if getattr(before, key) != getattr(after, key)
        ]
    return found


def _unequal(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key):
            yield key, old.get(key), new.get(key)


Parts = Mapping[tuple[str | None, str | None], SampleRecord]


def part_changes(
    old: RunReport, new: RunReport, pairs: Sequence[tuple[PointResult, PointResult]]
) -> list[PartChange]:
    """Of workspaces, each once, and of patches.

    Args:
        old: before.
        new: after.
        pairs: points of both.
    """
    before, after = _index(old.samples()), _index(new.samples())
    found: list[PartChange] = []
    seen: set[tuple[str, str | None, str | None]] = set()
    for a, b in pairs:
        if (a.workspace, None) not in before or (b.workspace, None) not in after:
            continue  # an older version did not write it down
        backgrounds = (b.spec, a.workspace, b.workspace)
        if a.workspace != b.workspace and backgrounds not in seen:
            seen.add(backgrounds)
            was, now = before.get((a.workspace, None)), after.get((b.workspace, None))
            found += _compared(b.spec, None, was, now)
        if a.patch != b.patch:
            was, now = before.get((a.workspace, a.patch)), after.get((b.workspace, b.patch))
            found += _compared(b.spec, b.id, was, now)
    return found


def _index(records: Sequence[SampleRecord]) -> dict[tuple[str | None, str | None], Parts]:
    index: dict[tuple[str | None, str | None], Parts] = {}
    for record in records:
        key, part = (record.workspace, record.patch), (record.channel, record.sample)
        index[key] = {**index.get(key, {}), part: record}
    return index


def _compared(
    spec: str, name: str | None, old: Parts | None, new: Parts | None
) -> Iterator[PartChange]:
    for part in dict.fromkeys((*(old or {}), *(new or {}))):
        was, now = (old or {}).get(part), (new or {}).get(part)
        if (change := _change(was, now)) is not None:
            events = (None if record is None else record.events for record in (was, now))
            yield PartChange(spec, name, *part, change, *events)


def _change(old: SampleRecord | None, new: SampleRecord | None) -> str | None:
    if old is None or new is None:
        return "added" if old is None else "removed"
    if old.bins != new.bins:
        if old.channel is None:
            return "content"
        return "events" if old.events != new.events else "bins"
    return "modifiers" if old.modifiers != new.modifiers else None
