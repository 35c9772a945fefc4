"""The parameter of interest of a case: which one it is, and whether it can be tested."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from fitspec.errors import nearest
from fitspec.sources import Background, Discovery, PatchSource
from fitspec.spec import SpecFile
from fitspec.spec.locate import KeyPath

ONE_A_BIN = ("shapefactor", "shapesys", "staterror")
"""Modifiers whose parameters belong to bins."""


def require_testable(
    spec: SpecFile,
    name: str | None,
    background: Background,
    measurement: Mapping[str, Any],
    patches: PatchSource,
) -> None:
    """Raise :class:`SpecError` where it is certain, before any fit, that no point has its POI.

    What a patch may still change is left to the point.

    Args:
        spec: the specification.
        name: the parameter that ``poi.name`` chooses; None for the measurement's POI.
        background: the workspace.
        measurement: of the workspace.
        patches: the signal hypotheses.
    """
    key: KeyPath = ("workspace", "measurement") if name is None else ("poi", "name")
    own = measurement["config"]["poi"]
    poi = own if name is None else name
    good = _scalars(m for _, m in background.modifiers)
    kinds = background.carriers(poi)
    if spec.spec.fit_alone and spec.spec.patches is None and name is None and not kinds:
        return  # a background is fitted as it is
    if not poi:
        problem = f"measurement {measurement['name']!r} names no POI"
        raise spec.error(key, problem, _choose(good))
    if not kinds and (poi != own or spec.spec.patches is None):  # a signal mostly brings its own
        good += _brought(spec, patches)
        if poi not in good:
            remedy = nearest(poi, [*good, own] if spec.spec.patches else good) or _choose(good)
            raise spec.error(key, f"no sample carries the POI {poi!r}", remedy)
    if any(kind in ONE_A_BIN and bins > 1 for kind, bins in kinds):
        problem = f"the POI {poi!r} is a {kinds[0][0]}, one parameter a bin"
        raise spec.error(key, problem, _choose(good))
    for parameter in measurement["config"]["parameters"]:
        if parameter["name"] == poi and parameter.get("fixed"):
            problem = f"measurement {measurement['name']!r} fixes the POI {poi!r}"
            remedy = _choose([other for other in good if other != poi])
            raise spec.error(key, problem, f"unfix it, or {remedy}")
    if isinstance(patches, Discovery):
        remedy = "they reach 10 + twice the observed and background events"
        _require_inside(spec, patches.poi_bounds, key, remedy)
    else:
        remedy = "test a value inside the bounds that the measurement gives"
        _require_inside(spec, background.poi_bounds(measurement, poi), key, remedy)


def _scalars(modifiers: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names that can be a POI: those that stand for one parameter."""
    return list(dict.fromkeys(m["name"] for m in modifiers if m["type"] not in ONE_A_BIN))


def _brought(spec: SpecFile, patches: PatchSource) -> list[str]:
    """Names that can be a POI in any of the patches."""
    with spec.at("patches"):
        contents = patches.read(list(patches.labels)).values()
    return _scalars(modifier for content in contents for modifier in _modifiers(content))


def _modifiers(patch: bytes) -> list[Mapping[str, Any]]:
    try:
        return [table for table in _tables(orjson.loads(patch)) if {"name", "type"} <= set(table)]
    except orjson.JSONDecodeError:
        return []  # the worker will say what is wrong with it


def _tables(content: Any) -> Iterator[Mapping[str, Any]]:
    """All JSON objects in a document, from the outside to the inside."""
    if isinstance(content, dict):
        yield content
        content = list(content.values())
    if isinstance(content, list):
        for item in content:
            if isinstance(item, dict | list):
                yield from _tables(item)


def _require_inside(spec: SpecFile, bounds: tuple[float, float], key: KeyPath, remedy: str) -> None:
    low, high = bounds
    listed: KeyPath = ("poi", "scan") if spec.spec.poi.scan else ("poi", "test")
    asked = [(listed, mu) for mu in spec.spec.tested]
    if spec.spec.fit is not None and spec.spec.fit.mu is not None:
        asked.append((("fit", "mu"), spec.spec.fit.mu))
    for place, mu in asked:
        if not low <= mu <= high:
            raise spec.error(
                place,
                f"mu = {mu:g} is outside the POI's bounds [{low:g}, {high:g}]",
                remedy,
            )
    if not low <= 0 <= high and not spec.spec.fit_alone:
        raise spec.error(
            key,
            f"mu = 0, with which every test compares, is outside the POI's bounds "
            f"[{low:g}, {high:g}]",
            "widen them in the measurement, or set poi.name",
        )


def _choose(good: Sequence[str]) -> str:
    return (
        f"set poi.name to {' or '.join(map(repr, good[:3]))}"
        if good
        else "add one to the workspace"
    )
