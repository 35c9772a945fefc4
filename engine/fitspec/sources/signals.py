"""From expected signal events to a JSON patch: a new sample in every channel that gets some."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from fitspec.errors import WorkspaceError
from fitspec.sources.bins import Bin, BinNames
from fitspec.sources.workspace import Background

Json = dict[str, Any]
ALPHA = ("histosys", "normsys")
"""Types of the modifiers whose parameter a relative uncertainty can share."""


class SignalWriter:
    """Writes signals for one workspace: in each of its channels, one sample that the POI scales.

    Args:
        background: the workspace, without a signal.
        poi: name of the POI.
        modifiers: of every sample, beside the POI.

    Raises:
        WorkspaceError: the workspace has a signal.
    """

    def __init__(self, background: Background, poi: str, modifiers: Sequence[Json] = ()) -> None:
        _require_no_signal(background, poi)
        self.bins = BinNames(background)
        self._sample = _free_name("signal", [s["name"] for _, s in _samples(background)])
        self._modifiers = [{"name": poi, "type": "normfactor", "data": None}, *modifiers]
        self._taken = {m["name"] for _, m in background.modifiers} | {
            m["name"] for m in self._modifiers
        }

    def operations(
        self, events: Mapping[Bin, float], relative: Mapping[Bin, float] | None = None
    ) -> list[Json]:
        """JSON Patch operations that add a signal.

        Args:
            events: expected events at POI 1 by bin; bins that are not named get none, and
                channels none of whose bins is named no sample.
            relative: relative uncertainties by bin, independent of each other (a shapesys).
        """
        relative = relative or {}
        return [
            {
                "op": "add",
                "path": f"/channels/{channel}/samples/-",
                "value": self._signal(channel, events, relative),
            }
            for channel in sorted({here.channel for here in events})
        ]

    def _signal(
        self, channel: int, events: Mapping[Bin, float], relative: Mapping[Bin, float]
    ) -> Json:
        bins = [Bin(channel, index) for index in range(self.bins.sizes[channel])]
        data = [events.get(here, 0.0) for here in bins]
        spread = [n * relative.get(here, 0.0) for n, here in zip(data, bins, strict=True)]
        modifiers = list(self._modifiers)
        if any(spread):
            wanted = f"{self._sample}_{self.bins.channels[channel]}"
            name = _free_name(wanted, self._taken)
            modifiers.append({"name": name, "type": "shapesys", "data": spread})
        return {"name": self._sample, "data": data, "modifiers": modifiers}


def luminosity_modifiers(background: Background, asked: bool | None) -> list[Json]:
    """The modifier that lets a signal share the workspace's luminosity, or none.

    Args:
        background: the workspace.
        asked: whether to share it; None shares it if there is one.

    Raises:
        WorkspaceError: it is to be shared, and there is none.
    """
    name = next((m["name"] for _, m in background.modifiers if m["type"] == "lumi"), None)
    if asked is True and name is None:
        raise WorkspaceError(
            f"{background.name} has no modifier of type lumi",
            "give its uncertainty as one of patches.systematics",
        )
    if asked is False or name is None:
        return []
    return [{"name": name, "type": "lumi", "data": None}]


def systematic_modifiers(
    background: Background, poi: str, relative: Mapping[str, float]
) -> list[Json]:
    """One normsys a relative uncertainty, 1 + r and 1 - r at +1 and -1 sigma.

    Raises:
        WorkspaceError: the workspace uses a name for something else than a systematic variation.
    """
    kinds = {m["name"]: m["type"] for _, m in background.modifiers} | {poi: "POI"}
    for name in relative:
        if kinds.get(name, "normsys") not in ALPHA:
            raise WorkspaceError(
                f"{background.name} has a {kinds[name]} called {name!r}", "take another name"
            )
    return [
        {"name": name, "type": "normsys", "data": {"hi": 1 + r, "lo": 1 - r}}
        for name, r in relative.items()
    ]


def _require_no_signal(background: Background, poi: str) -> None:
    for channel, sample in _samples(background):
        scaled = any(modifier["name"] == poi for modifier in sample["modifiers"])
        if scaled and any(sample["data"]):
            raise WorkspaceError(
                f"{background.name} has a signal: its POI {poi!r} scales {sample['name']!r} "
                f"in channel {channel!r}",
                "new signals need a background-only workspace",
            )


def _samples(background: Background) -> Iterator[tuple[str, Json]]:
    """Name of the channel and sample."""
    for channel in background.content["channels"]:
        for sample in channel["samples"]:
            yield channel["name"], sample


def _free_name(wanted: str, taken: Collection[str]) -> str:
    while wanted in taken:
        wanted += "_"
    return wanted
