"""Whether a patch hits the channels that it was written for.

Patches point to channels and samples by their index. Once these are in another order, a patch still
applies, and puts each signal into some other channel; only the names inside it can tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fitspec.histfactory.samples import SHAPES
from fitspec.inspection.changes import Changes, SampleChange

Json = Mapping[str, Any]


def shifted(background: Json, changes: Changes) -> Iterator[str]:
    """A line for every sample whose own names speak of another channel than the one it is in.

    What speaks of a channel is the name of a modifier with a parameter a bin: the background uses
    it in that channel alone, or the channel's name is part of it (``staterror_SR_cuts``); or the
    name of the sample.

    Args:
        background: the workspace before the patch.
        changes: what the patch does to it.
    """
    channels = [channel["name"] for channel in background["channels"]]
    channels += [change.name for change in changes.channels if change.kind == "added"]
    carriers = _carriers(background)
    for sample in changes.samples:
        if sample.after is not None:
            for name, elsewhere in _hints(sample, channels, carriers):
                yield (
                    f"the patch puts {name!r} into channel {sample.channel!r}, but its name "
                    f"belongs to {elsewhere!r}: its indices may be those of another workspace"
                )
                break


def _hints(
    sample: SampleChange, channels: Sequence[str], carriers: Mapping[str, set[str]]
) -> Iterator[tuple[str, str]]:
    """Names in the sample that belong to another channel, and to which."""
    for key in sample.added:
        kind, _, name = key.partition(" ")
        if kind in SHAPES:
            known = carriers.get(name, set())
            elsewhere = next(iter(known)) if len(known) == 1 else _named(name, channels)
            if elsewhere not in {None, sample.channel}:
                yield name, str(elsewhere)
    elsewhere = _named(sample.name, channels)
    if sample.kind == "added" and elsewhere not in {None, sample.channel}:
        yield sample.name, str(elsewhere)


def _named(name: str, channels: Sequence[str]) -> str | None:
    """The channel whose name is part of a name, as words of its own; the longest, if several."""
    found = [
        channel
        for channel in channels
        if channel and re.search(rf"(?<![^\W_]){re.escape(channel)}(?![^\W_])", name)
    ]
    return max(found, key=len, default=None)


def _carriers(workspace: Json) -> dict[str, set[str]]:
    """Channels by name of the modifiers that have a parameter a bin."""
    found: dict[str, set[str]] = {}
    for channel in workspace["channels"]:
        for sample in channel["samples"]:
            for modifier in sample["modifiers"]:
                if modifier["type"] in SHAPES:
                    found.setdefault(modifier["name"], set()).add(channel["name"])
    return found
