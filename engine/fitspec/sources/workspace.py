"""Background-only workspaces: parsed, identified by pyhf's digest, checked against the schema."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from fitspec.errors import DigestError, WorkspaceError

SCHEMA_VERSION = "1.0.0"
"""Of pyhf's JSON schemas, which define what a workspace and a patchset are."""

NORMFACTOR_BOUNDS = (0.0, 10.0)
"""pyhf's bounds of an unconstrained normalisation where the measurement gives none."""


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """A background-only workspace.

    Attributes:
        name: where it came from, for messages.
        raw: its JSON, as read.
        digest: ``sha256:...`` of the canonical JSON, as ``pyhf digest`` prints it.
        content: the parsed workspace; not to be changed.
    """

    name: str
    raw: bytes
    digest: str
    content: Mapping[str, Any]

    def measurement(self, name: str | None) -> Mapping[str, Any]:
        """The measurement of this name, or the first.

        Raises:
            WorkspaceError: there is none of this name.
        """
        measurements: Sequence[Mapping[str, Any]] = self.content["measurements"]
        for measurement in measurements:
            if name is None or measurement["name"] == name:
                return measurement
        known = ", ".join(repr(measurement["name"]) for measurement in measurements)
        raise WorkspaceError(
            f"{self.name} has no measurement {name!r}", f"it has {known or 'none'}"
        )

    @property
    def modifiers(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Every modifier of every sample, with the number of bins it acts on."""
        for channel in self.content["channels"]:
            for sample in channel["samples"]:
                for modifier in sample["modifiers"]:
                    yield len(sample["data"]), modifier

    def carriers(self, name: str) -> list[tuple[str, int]]:
        """Type, and number of bins it acts on, of every modifier of this name."""
        return [(m["type"], bins) for bins, m in self.modifiers if m["name"] == name]

    def poi_bounds(self, measurement: Mapping[str, Any], poi: str) -> tuple[float, float]:
        """Range in which a POI may be fitted, as far as measurement and background tell.

        A POI that is something else than a normalisation has its own default, which the worker
        knows; the range is then infinite here.
        """
        for parameter in measurement["config"]["parameters"]:
            if parameter["name"] == poi and parameter.get("bounds"):
                low, high = parameter["bounds"][0]
                return low, high
        kinds = {kind for kind, _ in self.carriers(poi)}
        return NORMFACTOR_BOUNDS if kinds <= {"normfactor"} else (-math.inf, math.inf)


def load_background(raw: bytes, name: str, digests: Sequence[str] | None) -> Background:
    """Parse and verify a workspace.

    Args:
        raw: its JSON.
        name: for messages.
        digests: the acceptable digests, ``sha256:...``; None accepts any.

    Raises:
        WorkspaceError: not JSON, or not a HistFactory workspace.
        DigestError: it has none of the digests.
    """
    background = _parsed(raw, name)
    digest = background.digest
    if digests is not None and digest not in digests:
        expected = " or ".join(digests)
        raise DigestError(
            f"{name} has digest {digest}, expected {expected}",
            "it is not the workspace the specification was written for",
        )
    _validated(background)
    return background


@functools.lru_cache(maxsize=16)
def _parsed(raw: bytes, name: str) -> Background:
    """Specifications often share a workspace: it is read once."""
    content = parse_json(raw, name)
    digest = f"sha256:{canonical_digest(content, 'sha256', name)}"
    return Background(name, raw, digest, content)


@functools.lru_cache(maxsize=16)
def _validated(background: Background) -> None:
    """The same holds for its check against the schema."""
    require_schema(background.content, "workspace", background.name)


def parse_json(raw: bytes, name: str) -> Any:
    """Parsed JSON; raises :class:`WorkspaceError` with line and column."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise WorkspaceError(
            f"{name} is not valid JSON: {error}", "correct it, or fetch it again"
        ) from error


def canonical_digest(content: Any, algorithm: str, name: str) -> str:
    """pyhf's digest: of the JSON with sorted keys, so that white space does not matter.

    The standard library writes the JSON here because the digest depends on how it prints floats.
    """
    try:
        canonical = json.dumps(content, sort_keys=True, ensure_ascii=False)
    except RecursionError as error:
        raise WorkspaceError(f"{name} is nested too deeply", "it is no workspace") from error
    return hashlib.new(algorithm, canonical.encode(), usedforsecurity=False).hexdigest()


def require_schema(content: Any, kind: str, name: str) -> None:
    """Raise :class:`WorkspaceError` unless content is a ``workspace`` or ``patchset``."""
    import fastjsonschema

    try:
        _validator(kind)(content)
    except fastjsonschema.JsonSchemaValueException as error:
        problem = error.message.removeprefix("data").removeprefix(".")
        raise WorkspaceError(
            f"{name} is no HistFactory {kind}: {problem.strip()}",
            f"see pyhf's {kind} schema, version {SCHEMA_VERSION}",
        ) from error


@functools.cache
def _validator(kind: str) -> Callable[[Any], Any]:
    """pyhf's schema, compiled to Python once a process (20 times faster than interpreting it)."""
    import fastjsonschema

    pyhf = importlib.util.find_spec("pyhf")  # finds the schemas without importing pyhf
    if pyhf is None or not pyhf.submodule_search_locations:
        raise WorkspaceError("pyhf is not installed", "pip install pyhf")
    folder = Path(pyhf.submodule_search_locations[0]) / "schemas" / SCHEMA_VERSION

    def read(uri: str) -> Any:
        return orjson.loads((folder / uri.split("#")[0].rsplit("/", 1)[-1]).read_bytes())

    schema = read(f"{kind}.json")
    compiled: Callable[[Any], Any] = fastjsonschema.compile(
        {"$schema": schema["$schema"], "$ref": schema["$id"]}, handlers={"https": read}
    )
    return compiled
