"""What a patch makes of a workspace: channels, samples, modifiers, data and settings, by name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["added", "removed", "changed"]
Json = Mapping[str, Any]
Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SampleChange:
    """A sample that a patch adds, removes or changes, in a channel that stays.

    Attributes:
        channel, name: where it is, and what it is called.
        kind: of the change.
        before, after: nominal events by bin; None where there is no such sample.
        added, removed, changed: its modifiers, ``type name``, by what happens to them.
    """

    channel: str
    name: str
    kind: Kind
    before: tuple[float, ...] | None
    after: tuple[float, ...] | None
    added: Names
    removed: Names
    changed: Names


@dataclass(frozen=True, slots=True)
class DataChange:
    """Observed events of a channel before and after; None where there are none."""

    channel: str
    before: tuple[float, ...] | None
    after: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class ChannelChange:
    """A channel that comes or goes, with the nominal events of all its samples."""

    name: str
    kind: Kind
    events: float


@dataclass(frozen=True, slots=True)
class SettingChange:
    """What a measurement says of a parameter, or of its POI, before and after."""

    measurement: str
    parameter: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Changes:
    """All that a patch does.

    Attributes:
        channels, samples, data, settings: see there.
        new, lost: names of modifiers that the workspace has only afterwards, or only before.
    """

    channels: tuple[ChannelChange, ...]
    samples: tuple[SampleChange, ...]
    data: tuple[DataChange, ...]
    settings: tuple[SettingChange, ...]
    new: Names
    lost: Names


def changes_between(before: Json, after: Json) -> Changes:
    """What differs between two workspaces, matched by names.

    Args:
        before: a workspace.
        after: the same one, patched.
    """
    old, new = _numbered(before["channels"]), _numbered(after["channels"])
    names_before, names_after = _modifier_names(before), _modifier_names(after)
    return Changes(
        channels=tuple(
            ChannelChange(key[0], kind, _events(channel["samples"]))
            for key, kind, channel in _come_and_gone(old, new)
        ),
        samples=tuple(
            change
            for key, channel in new.items()
            if channel is not old.get(key)
            for change in _samples(old.get(key), channel)
        ),
        data=tuple(_data(before["observations"], after["observations"])),
        settings=tuple(_settings(before["measurements"], after["measurements"])),
        new=tuple(name for name in names_after if name not in names_before),
        lost=tuple(name for name in names_before if name not in names_after),
    )


def _numbered(items: Iterable[Json]) -> dict[tuple[str, int], Json]:
    """By name and, should several share one, by their order."""
    found: dict[tuple[str, int], Json] = {}
    for item in items:
        number = 0
        while (item["name"], number) in found:
            number += 1
        found[item["name"], number] = item
    return found


def _come_and_gone(
    old: Mapping[tuple[str, int], Json], new: Mapping[tuple[str, int], Json]
) -> Iterator[tuple[tuple[str, int], Kind, Json]]:
    for key in old.keys() - new.keys():
        yield key, "removed", old[key]
    for key in new.keys() - old.keys():
        yield key, "added", new[key]


def _samples(before: Json | None, after: Json) -> Iterator[SampleChange]:
    old = _numbered([] if before is None else before["samples"])
    new = _numbered(after["samples"])
    for key in [*new, *(key for key in old if key not in new)]:
        one, other = old.get(key), new.get(key)
        if one != other:
            yield _sample(after["name"], key[0], one, other)


def _sample(channel: str, name: str, before: Json | None, after: Json | None) -> SampleChange:
    old = {} if before is None else _modifiers(before)
    new = {} if after is None else _modifiers(after)
    return SampleChange(
        channel=channel,
        name=name,
        kind="added" if before is None else "removed" if after is None else "changed",
        before=None if before is None else tuple(before["data"]),
        after=None if after is None else tuple(after["data"]),
        added=tuple(key for key in new if key not in old),
        removed=tuple(key for key in old if key not in new),
        changed=tuple(key for key in new if key in old and new[key] != old[key]),
    )


def _modifiers(sample: Json) -> dict[str, Any]:
    return {f"{m['type']} {m['name']}": m["data"] for m in sample["modifiers"]}


def _data(before: Iterable[Json], after: Iterable[Json]) -> Iterator[DataChange]:
    old = {o["name"]: tuple(o["data"]) for o in before}
    new = {o["name"]: tuple(o["data"]) for o in after}
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield DataChange(name, old.get(name), new.get(name))


def _settings(before: Iterable[Json], after: Iterable[Json]) -> Iterator[SettingChange]:
    old, new = ({m["name"]: m["config"] for m in found} for found in (before, after))
    for name in dict.fromkeys([*old, *new]):
        one, other = (_by_parameter(found.get(name)) for found in (old, new))
        for parameter in dict.fromkeys([*one, *other]):
            if one.get(parameter) != other.get(parameter):
                yield SettingChange(name, parameter, one.get(parameter), other.get(parameter))


def _by_parameter(config: Json | None) -> dict[str, Any]:
    if config is None:
        return {}
    settings: dict[str, Any] = {"POI": config["poi"]}
    for parameter in config["parameters"]:
        settings[parameter["name"]] = {k: v for k, v in parameter.items() if k != "name"}
    return settings


def _modifier_names(workspace: Json) -> dict[str, None]:
    """In the workspace's order."""
    return {
        modifier["name"]: None
        for channel in workspace["channels"]
        for sample in channel["samples"]
        for modifier in sample["modifiers"]
    }


def _events(samples: Sequence[Json]) -> float:
    return math.fsum(value for sample in samples for value in sample["data"])
