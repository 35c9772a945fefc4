"""What a schema cannot say about a workspace: that its parts fit together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fitspec.errors import WorkspaceError

VERSION = "1.0.0"
"""Of the HistFactory JSON format."""


def require_consistent(
    workspace: Mapping[str, Any],
    measurement: str,
    poi: str | None = None,
    *,
    needs_poi: bool = True,
) -> None:
    """Raise :class:`WorkspaceError` unless a likelihood can be made of a workspace.

    Args:
        workspace: with its signal, whatever a patch has made of it.
        measurement: name of the measurement to use.
        poi: name of the POI; None for the measurement's.
        needs_poi: some sample must carry the POI.
    """
    try:
        if workspace["version"] != VERSION:
            raise WorkspaceError(f"its version is {workspace['version']!r}, not {VERSION!r}")
        _require_distinct("measurement", workspace["measurements"])
        _require_distinct("channel", workspace["channels"])
        _require_distinct("observation", workspace["observations"])
        for channel in workspace["channels"]:
            _require_observed(channel, workspace["observations"])
        config = _measurement(workspace, measurement)["config"]
        if needs_poi:
            _require_poi(workspace, config["poi"] if poi is None else poi)
    except (KeyError, TypeError, AttributeError) as error:
        raise WorkspaceError(f"it is no HistFactory workspace: {error!r}") from error


def _measurement(workspace: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    for measurement in workspace["measurements"]:
        if measurement["name"] == name:
            found: Mapping[str, Any] = measurement
            return found
    raise WorkspaceError(f"it has no measurement {name!r}")


def _require_distinct(what: str, items: Iterable[Mapping[str, Any]]) -> None:
    seen = set()
    for item in items:
        if item["name"] in seen:
            raise WorkspaceError(f"it has two {what}s called {item['name']!r}")
        seen.add(item["name"])


def _require_observed(
    channel: Mapping[str, Any], observations: Iterable[Mapping[str, Any]]
) -> None:
    """The channel has one observation, and its samples have as many bins."""
    name = channel["name"]
    _require_distinct(f"channel {name!r} sample", channel["samples"])
    observed = next((o["data"] for o in observations if o["name"] == name), None)
    if observed is None:
        raise WorkspaceError(f"channel {name!r} has no observation")
    for sample in channel["samples"]:
        if len(sample["data"]) != len(observed):
            raise WorkspaceError(
                f"sample {sample['name']!r} of channel {name!r} has {len(sample['data'])} bins, "
                f"its observation {len(observed)}"
            )


def _require_poi(workspace: Mapping[str, Any], poi: str) -> None:
    if not poi:
        raise WorkspaceError("its measurement names no POI")
    signals = [
        sample
        for channel in workspace["channels"]
        for sample in channel["samples"]
        if any(modifier["name"] == poi for modifier in sample["modifiers"])
    ]
    if not signals:
        raise WorkspaceError(f"no sample carries the POI {poi!r}")
    if not any(map(expects_events, signals)):
        raise WorkspaceError(f"the samples that carry the POI {poi!r} expect no events")


def expects_events(sample: Mapping[str, Any]) -> bool:
    """Whether a sample has events in any bin, or in any variation."""
    shifts = (m["data"] for m in sample["modifiers"] if m["type"] == "histosys")
    return any(sample["data"]) or any(any(s["hi_data"]) or any(s["lo_data"]) for s in shifts)


def require_lumi(workspace: Mapping[str, Any], measurement: str) -> None:
    """Raise :class:`WorkspaceError` unless every luminosity has its auxiliary measurement.

    pyhf has none for it, and no word that tells; the native compiler sees to it itself.
    """
    parameters = _measurement(workspace, measurement)["config"]["parameters"]
    constrained = {p["name"] for p in parameters if p.get("auxdata") and p.get("sigmas")}
    for modifier in _modifiers(workspace):
        if modifier["type"] == "lumi" and modifier["name"] not in constrained:
            raise WorkspaceError(
                f"its measurement has no auxdata and sigmas for {modifier['name']!r}, a luminosity"
            )


def _modifiers(workspace: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for channel in workspace["channels"]:
        for sample in channel["samples"]:
            yield from sample["modifiers"]
