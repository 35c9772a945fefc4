"""What an archive offers to fit: each of its workspaces, and the signals that belong to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from fitspec.errors import FitspecError, SourceError
from fitspec.histfactory import apply_patch, require_consistent
from fitspec.histfactory.consistency import expects_events
from fitspec.sources import Archive, Background, load_background, open_patches
from fitspec.sources.contents import Contents, contents_of
from fitspec.starter.names import columns_of, same_shape, tokens_of

LISTED = 5
"""Files named in a note or message; more are counted."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A workspace and its signals.

    Attributes:
        background: the workspace.
        has_signal: a sample that expects events carries the POI of its first measurement.
        patchsets: labels by patch, of the PatchSets that were made for it.
        patches: names of loose patch files.
    """

    background: Background
    has_signal: bool
    patchsets: Mapping[str, Mapping[str, Mapping[str, Any]]]
    patches: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of the workspace's file."""
        return self.background.name

    @property
    def kind(self) -> str:
        """``patchset``, ``files``, ``own`` (signal) or ``none``: where signals come from."""
        if self.patchsets:
            return "patchset"
        if self.patches:
            return "files"
        return "own" if self.has_signal else "none"

    @property
    def channels(self) -> dict[str, list[float]]:
        """Observed events by channel."""
        return {o["name"]: o["data"] for o in self.background.content["observations"]}


@dataclass(frozen=True, slots=True)
class Survey:
    """All that an archive offers.

    Attributes:
        offers: its workspaces, sorted by name.
        notes: what was seen and could not be placed, a line each.
    """

    offers: tuple[Offer, ...]
    notes: tuple[str, ...]


def survey(archive: Archive, name: str) -> Survey:
    """Look through an archive.

    Args:
        archive: with workspaces.
        name: of it, for messages.

    Raises:
        SourceError: it has none.
    """
    contents = contents_of(archive)
    backgrounds, notes = _backgrounds(contents)
    if not backgrounds:
        raise _nothing(archive, contents, name, notes)
    patchsets = _patchsets(archive, contents, backgrounds, notes)
    patches = _patches(contents.patches, [b.name for b in backgrounds], notes)
    offers = [
        Offer(b, _has_signal(b), patchsets[b.name], tuple(patches[b.name])) for b in backgrounds
    ]
    for offer in offers:
        notes += _trial(archive, offer)
    return Survey(tuple(offers), tuple(notes))


def listed(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{', '.join(names[:LISTED])}{more}"


def _backgrounds(contents: Contents) -> tuple[list[Background], list[str]]:
    found, notes = [], []
    for name, raw in contents.workspaces.items():
        try:
            background = load_background(raw, name, None)
        except SourceError as error:
            notes.append(f"left out: {error}")
            continue
        if "{" in name or "}" in name:
            notes.append(f"left out: {name}, whose name has braces")
        elif not background.content["measurements"]:
            notes.append(f"left out: {name}, which has no measurement")
        else:
            found.append(background)
    return found, notes


def _patchsets(
    archive: Archive, contents: Contents, backgrounds: Sequence[Background], notes: list[str]
) -> dict[str, dict[str, Mapping[str, Mapping[str, Any]]]]:
    """PatchSets by workspace: their digests tell what they were made for."""
    found: dict[str, dict[str, Mapping[str, Mapping[str, Any]]]] = {b.name: {} for b in backgrounds}
    for name in contents.patchsets:
        problem = ""
        for background in backgrounds:
            try:
                patches = open_patches(archive, background, patchset=name)
            except SourceError as error:
                problem = str(error)
            else:
                found[background.name][name] = patches.labels
        if not any(name in sets for sets in found.values()):
            notes.append(f"left out: {problem}")
    return found


def _patches(
    names: Sequence[str], workspaces: Sequence[str], notes: list[str]
) -> dict[str, list[str]]:
    """Loose patches by workspace: of those in the nearest folder, the one they are named after."""
    found: dict[str, list[str]] = {name: [] for name in workspaces}
    unclear = []
    for name in names:
        near = _nearest(name, workspaces)
        owners = near if len(near) == 1 else _namesakes(name, near)
        if len(owners) == 1 and not {"{", "}"} & set(name):
            found[owners[0]].append(name)
        else:
            unclear.append(name)
    if unclear:
        notes.append(f"left out, as it is unclear which workspace they are for: {listed(unclear)}")
    return found


def _nearest(patch: str, workspaces: Sequence[str]) -> list[str]:
    for folder in PurePosixPath(patch).parents:
        here = [name for name in workspaces if PurePosixPath(name).parent == folder]
        if here:
            return here
    return list(workspaces)


def _namesakes(patch: str, workspaces: Sequence[str]) -> list[str]:
    """Workspaces of which all that tells them apart is in the patch's name, too."""
    if not same_shape(workspaces):
        return []
    columns = columns_of([tokens_of(name) for name in workspaces])
    own = set(tokens_of(patch))
    return [
        name
        for index, name in enumerate(workspaces)
        if all(set(tokens_of(column.values[index])) <= own for column in columns)
    ]


def _has_signal(background: Background) -> bool:
    poi = background.measurement(None)["config"]["poi"]
    return any(
        expects_events(sample) and any(m["name"] == poi for m in sample["modifiers"])
        for channel in background.content["channels"]
        for sample in channel["samples"]
    )


def _trial(archive: Archive, offer: Offer) -> Iterable[str]:
    """Whether the first loose patch makes something that can be fitted."""
    if not offer.patches:
        return
    first = offer.patches[0]
    content = offer.background.content
    try:
        patched = apply_patch(content, archive.read([first])[first], first)
        require_consistent(patched, offer.background.measurement(None)["name"])
    except FitspecError as error:
        yield f"look at this with `fitspec inspect`: {offer.name} with {first}: {error}"


def _nothing(archive: Archive, contents: Contents, name: str, notes: list[str]) -> SourceError:
    problem = f"{name} holds no HistFactory workspace"
    if notes:
        return SourceError(f"{problem}; {notes[0]}")
    packed = [
        found
        for suffix in ("tar.gz", "tgz", "tar", "zip", "tar.xz", "tar.bz2")
        for found in {*archive.names(f"*.{suffix}"), *archive.names(f"**/*.{suffix}")}
    ]
    if packed:
        return SourceError(problem, f"it holds archives: unpack {listed(sorted(packed))}")
    if contents.other:
        return SourceError(f"{problem}; its JSON files are {listed(contents.other)}")
    return SourceError(problem, "it has no JSON files with channels, observations and measurements")
