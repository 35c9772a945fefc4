"""What workspaces and patches hold, by channel and sample: so that two runs can be compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from fitspec.errors import PatchError
from fitspec.histfactory import apply_patch
from fitspec.plan import FitTask
from fitspec.results import SampleRecord

Part = tuple[str | None, str | None]
"""Name of a channel and of one of its samples, as :class:`SampleRecord` has them."""


def samples_of(fits: Iterable[FitTask]) -> tuple[SampleRecord, ...]:
    """All of each workspace, and of each patch what it adds, changes or removes.

    A patch that cannot be applied has no record; its point says what is wrong with it.
    """
    records: dict[tuple[str, str | None], list[SampleRecord]] = {}
    parts: dict[str, dict[Part, Any]] = {}
    for fit in fits:
        workspace = fit.background.digest
        if workspace not in parts:
            parts[workspace] = _parts(fit.background.content)
            records[workspace, None] = [
                _record(workspace, None, part, content)
                for part, content in parts[workspace].items()
            ]
        if (workspace, fit.patch) not in records:
            records[workspace, fit.patch] = _changed(fit, parts[workspace])
    return tuple(record for found in records.values() for record in found)


def _changed(fit: FitTask, before: Mapping[Part, Any]) -> list[SampleRecord]:
    order = fit.order
    try:
        content = apply_patch(fit.background.content, order["patch"], order["patch_name"])
        after = _parts(content)
        return [
            _record(fit.background.digest, fit.patch, part, after.get(part))
            for part in {**before, **after}
            if after.get(part) is not before.get(part)  # what is not touched is shared
            and after.get(part) != before.get(part)
        ]
    except (PatchError, KeyError, TypeError):  # or it leaves no workspace behind
        return []


def _parts(workspace: Mapping[str, Any]) -> dict[Part, Any]:
    """The parts of a workspace by name; of samples that share a name, the last."""
    parts: dict[Part, Any] = {(None, None): workspace["measurements"]}
    for observation in workspace["observations"]:
        parts[observation["name"], None] = observation
    for channel in workspace["channels"]:
        for sample in channel["samples"]:
            parts[channel["name"], sample["name"]] = sample
    return parts


def _record(workspace: str, patch: str | None, part: Part, content: Any) -> SampleRecord:
    channel, sample = part
    if content is None:
        return SampleRecord(workspace, patch, channel, sample, None, None, None)
    if channel is None:
        return SampleRecord(workspace, patch, None, None, None, _digest(content), None)
    events = float(sum(content["data"]))
    modifiers = None if sample is None else _digest(content["modifiers"])
    return SampleRecord(
        workspace, patch, channel, sample, events, _digest(content["data"]), modifiers
    )


def _digest(content: Any) -> str:
    """Short, since it only tells apart what has one name."""
    canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()[:16]
