"""What a careful reader of a workspace, or of a patch, should look at before it is fitted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fitspec.errors import WorkspaceError, counted
from fitspec.histfactory.consistency import expects_events, require_lumi
from fitspec.histfactory.samples import SHAPES
from fitspec.inspection.changes import Changes
from fitspec.inspection.shifted import shifted
from fitspec.inspection.summary import Summary

Level = Literal["error", "warning", "note"]
Json = Mapping[str, Any]

LARGE, SMALL = 2.0, 0.2
"""Factors of normsys beyond these are rare, and mostly mistakes or samples of few events."""

UNCERTAIN = ("shapesys", "staterror")
"""Types of modifiers with an uncertainty in every bin."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something worth knowing.

    Attributes:
        level: ``error``: fitspec will not fit it; ``warning``: it is probably wrong, or hard to
            fit; ``note``: it may be meant.
        kind: a word for machines, ``zero-uncertainty``.
        text: what and where.
    """

    level: Level
    kind: str
    text: str


def findings_of(
    workspace: Json, summary: Summary, background: Json, changes: Changes | None
) -> list[Finding]:
    """All findings, errors first.

    Args:
        workspace: with its patch, if there is one; valid against the schema.
        summary: of it.
        background: the workspace without the patch.
        changes: what the patch did; None without a patch.
    """
    found = [
        *_duplicates(workspace),
        *_broken(workspace, summary),
        *_poi(workspace, summary, patched=changes is not None),
        *_luminosity(workspace, summary),
        *_events(summary),
        *_negative_variations(workspace),
        *_uncertainties(workspace),
        *_factors(workspace),
        *_settings(workspace, summary),
        *([] if changes is None else _patch(changes, background)),
    ]
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(found, key=lambda finding: order[finding.level])


def _error(kind: str, text: str) -> Finding:
    return Finding("error", kind, text)


def _warning(kind: str, text: str) -> Finding:
    return Finding("warning", kind, text)


def _duplicates(workspace: Json) -> Iterator[Finding]:
    yield from _twice("measurements", workspace["measurements"])
    yield from _twice("channels", workspace["channels"])
    yield from _twice("observations", workspace["observations"])
    for channel in workspace["channels"]:
        yield from _twice(f"samples of channel {channel['name']!r}", channel["samples"])
        for sample in channel["samples"]:
            for kind in dict.fromkeys(m["type"] for m in sample["modifiers"]):
                own = [m for m in sample["modifiers"] if m["type"] == kind]
                yield from _twice(f"{kind} modifiers of {_place(channel, sample)}", own)


def _twice(what: str, items: Iterable[Json]) -> Iterator[Finding]:
    names = [item["name"] for item in items]
    for name in dict.fromkeys(names):
        if (times := names.count(name)) > 1:
            yield _error("duplicate", f"{times} {what} are called {name!r}")


def _broken(workspace: Json, summary: Summary) -> Iterator[Finding]:
    """What else keeps a likelihood from being made of it."""
    said = [*_duplicates(workspace), *_luminosity(workspace, summary)]
    if summary.broken is not None and not said:
        yield _error("inconsistent", summary.broken)


def _poi(workspace: Json, summary: Summary, *, patched: bool) -> Iterator[Finding]:
    poi = summary.poi
    if not poi:
        text = f"measurement {summary.measurement!r} names no POI; poi.name can choose one"
        yield _error("poi", text)
        return
    signals = [
        (channel, sample)
        for channel in workspace["channels"]
        for sample in channel["samples"]
        if any(modifier["name"] == poi for modifier in sample["modifiers"])
    ]
    if not signals and patched:
        yield _error("poi", f"no sample carries the POI {poi!r}, and the patch brings none")
    elif not signals:
        yield Finding("note", "poi", f"no sample carries the POI {poi!r}: it takes a signal patch")
    elif not any(expects_events(sample) for _, sample in signals):
        yield _error("zero-signal", f"the samples that carry the POI {poi!r} expect no events")
    else:
        for channel, sample in signals:
            if not expects_events(sample):
                text = f"{_place(channel, sample)} carries the POI and expects no events"
                yield _warning("zero-signal", text)
    for parameter in summary.parameters or ():
        if parameter.name == poi and parameter.fixed:
            yield _error("poi", f"measurement {summary.measurement!r} fixes the POI {poi!r}")
    kinds = {m["type"] for _, sample in signals for m in sample["modifiers"] if m["name"] == poi}
    if shapes := sorted(kinds.intersection(SHAPES)):
        yield _error("poi", f"the POI {poi!r} is a {shapes[0]}, one parameter a bin")


def _luminosity(workspace: Json, summary: Summary) -> Iterator[Finding]:
    try:
        require_lumi(workspace, summary.measurement)
    except WorkspaceError as error:
        yield _error("luminosity", str(error))


def _events(summary: Summary) -> Iterator[Finding]:
    """Negative events, and bins whose data nothing can explain."""
    for channel in summary.channels:
        for sample in channel.samples:
            if negative := [i for i, n in enumerate(sample.data) if n < 0]:
                lowest = min(sample.data)
                text = f"sample {sample.name!r} of channel {channel.name!r} has negative events"
                yield _warning("negative", f"{text} in {_bins(negative)}, down to {lowest:.4g}")
        totals = list(enumerate(zip(channel.nominal, channel.observed, strict=False)))
        if bad := [i for i, (nominal, _) in totals if nominal < 0]:
            text = f"all samples of channel {channel.name!r} together are negative in {_bins(bad)}"
            yield _error("negative", text)
        if bad := [i for i, (nominal, observed) in totals if nominal == 0 and observed > 0]:
            text = f"channel {channel.name!r} has observed events but expects none in {_bins(bad)}"
            yield _warning("unexpected-events", text)


def _negative_variations(workspace: Json) -> Iterator[Finding]:
    found: dict[str, list[str]] = {}
    for channel, sample, modifier in _all_modifiers(workspace):
        if modifier["type"] != "histosys" or min(sample["data"], default=0.0) < 0:
            continue
        lowest = min([*modifier["data"]["hi_data"], *modifier["data"]["lo_data"]], default=0.0)
        if lowest < 0:
            found.setdefault(modifier["name"], []).append(_place(channel, sample))
    for name, places in found.items():
        yield _warning("negative", f"histosys {name!r} makes events negative: {_listed(places)}")


def _uncertainties(workspace: Json) -> Iterator[Finding]:
    """Bins with events whose shapesys or staterror is 0: their parameter is fixed."""
    for channel in workspace["channels"]:
        carriers: dict[tuple[str, str], list[tuple[Json, Json]]] = {}
        for sample in channel["samples"]:
            for modifier in sample["modifiers"]:
                if modifier["type"] in UNCERTAIN:
                    key = (modifier["type"], modifier["name"])
                    carriers.setdefault(key, []).append((sample, modifier))
        for (kind, name), members in carriers.items():
            events = [math.fsum(column) for column in _columns(s["data"] for s, _ in members)]
            spread = [math.hypot(*column) for column in _columns(m["data"] for _, m in members)]
            both = enumerate(zip(events, spread, strict=False))
            if bad := [i for i, (n, sigma) in both if n > 0 and sigma == 0]:
                text = f"{kind} {name!r} has no uncertainty in {_bins(bad)} of"
                yield _warning("zero-uncertainty", f"{text} channel {channel['name']!r}")


def _columns(rows: Iterable[Iterable[float]]) -> Iterator[tuple[float, ...]]:
    return zip(*rows, strict=False)


def _factors(workspace: Json) -> Iterator[Finding]:
    """normsys that more than double their sample, or all but remove it."""
    found: dict[str, list[tuple[float, float, str]]] = {}
    for channel, sample, modifier in _all_modifiers(workspace):
        if modifier["type"] == "normsys":
            hi, lo = modifier["data"]["hi"], modifier["data"]["lo"]
            place = _place(channel, sample)
            if min(hi, lo) <= 0:
                text = f"normsys {modifier['name']!r} of {place} has hi = {hi:g}, lo = {lo:g}"
                yield _error("huge-normsys", f"{text}: factors must be positive")
            elif max(hi, lo) > LARGE or min(hi, lo) < SMALL:
                found.setdefault(modifier["name"], []).append((hi, lo, place))
    for name, places in found.items():
        hi, lo, _ = places[0]
        text = f"normsys {name!r} has hi = {hi:.4g}, lo = {lo:.4g}"
        yield _warning("huge-normsys", f"{text}: {_listed([place for _, _, place in places])}")


def _settings(workspace: Json, summary: Summary) -> Iterator[Finding]:
    """Parameters that the measurement configures and no modifier has."""
    names = {modifier["name"] for _, _, modifier in _all_modifiers(workspace)}
    for measurement in workspace["measurements"]:
        if measurement["name"] == summary.measurement:
            for parameter in measurement["config"]["parameters"]:
                if parameter["name"] not in names | {summary.poi}:
                    text = f"measurement {summary.measurement!r} configures {parameter['name']!r}"
                    yield Finding("note", "unused", f"{text}, which no modifier is called")


def _patch(changes: Changes, background: Json) -> Iterator[Finding]:
    for change in changes.data:
        text = f"the patch changes the observed data of {change.channel!r}"
        yield _error("data", f"{text}, which no signal hypothesis may do")
    for sample in changes.samples:
        if sample.kind == "removed" and any(sample.before or ()):
            text = f"the patch removes sample {sample.name!r} of channel {sample.channel!r}"
            yield _warning("removed", f"{text}, {math.fsum(sample.before or ()):.4g} events")
    for text in shifted(background, changes):
        yield _warning("shifted", text)
    if not (changes.channels or changes.samples or changes.data or changes.settings):
        yield _warning("no-change", "the patch changes nothing")


def _all_modifiers(workspace: Json) -> Iterator[tuple[Json, Json, Json]]:
    for channel in workspace["channels"]:
        for sample in channel["samples"]:
            for modifier in sample["modifiers"]:
                yield channel, sample, modifier


def _place(channel: Json, sample: Json) -> str:
    return f"sample {sample['name']!r} of channel {channel['name']!r}"


def _bins(indices: list[int]) -> str:
    return f"{'bin' if len(indices) == 1 else 'bins'} {', '.join(map(str, indices))}"


def _listed(places: list[str]) -> str:
    more = f" and {counted(len(places) - 1, 'other sample')}" if len(places) > 1 else ""
    return f"{places[0]}{more}"
