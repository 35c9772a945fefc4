"""What an archive holds: workspaces, PatchSets, loose patches and other JSON files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import orjson

from fitspec.sources.archive import Archive

Kind = Literal["workspace", "patchset", "patch", "other"]
BATCH = 500
"""Files read at a time: an archive may hold more than fits into memory."""


@dataclass(frozen=True, slots=True)
class Contents:
    """JSON files of an archive by what they are, sorted by name.

    Attributes:
        workspaces: their JSON by name.
        patchsets: their JSON by name.
        patches: names of loose patches.
        other: names of JSON files that are nothing of all this, or no JSON.
    """

    workspaces: Mapping[str, bytes]
    patchsets: Mapping[str, bytes]
    patches: tuple[str, ...]
    other: tuple[str, ...]


def contents_of(archive: Archive) -> Contents:
    """Sort the JSON files of an archive, by their content and not by their names.

    Raises:
        ArchiveError: the archive is damaged.
    """
    kept: dict[Kind, dict[str, bytes]] = {"workspace": {}, "patchset": {}}
    names: dict[Kind, list[str]] = {"patch": [], "other": []}
    for name, raw in _json_files(archive):
        kind = kind_of(raw)
        if kind in kept:
            kept[kind][name] = raw
        else:
            names[kind].append(name)
    return Contents(
        kept["workspace"], kept["patchset"], tuple(names["patch"]), tuple(names["other"])
    )


def kind_of(raw: bytes) -> Kind:
    """What a file is, as far as its outermost keys tell."""
    try:
        content = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return "other"
    if isinstance(content, list):
        return "patch" if content and all(map(_is_operation, content)) else "other"
    keys = set(content) if isinstance(content, dict) else set()
    if {"channels", "measurements", "observations"} <= keys:
        return "workspace"
    return "patchset" if {"patches", "metadata"} <= keys else "other"


def _is_operation(item: Any) -> bool:
    return isinstance(item, dict) and {"op", "path"} <= set(item)


def _json_files(archive: Archive) -> Iterator[tuple[str, bytes]]:
    found = {*archive.names("*.json"), *archive.names("**/*.json")}
    names = sorted(name for name in found if not _is_hidden(name))
    for start in range(0, len(names), BATCH):
        batch = names[start : start + BATCH]
        content = archive.read(batch)
        for name in batch:
            yield name, content[name]


def _is_hidden(name: str) -> bool:
    """Also what some systems put beside the files that they pack."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)
