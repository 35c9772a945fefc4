"""Which of an archive's workspaces a specification is about, and how it speaks of them all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from fitspec.errors import counted
from fitspec.results import Label
from fitspec.sources import FilePattern
from fitspec.sources.patches import patch_name
from fitspec.sources.pattern import label_value
from fitspec.starter.names import Pattern, columns_of, key_of, patterns_of, same_shape, tokens_of
from fitspec.starter.survey import Offer, Survey, listed

_OTHER_NAMES = "patches of other names, left out: "


@dataclass(frozen=True, slots=True)
class Choice:
    """What the specification is about.

    Attributes:
        offers: the workspaces: one a case, or one for all.
        path: of the workspaces, with the keys' placeholders.
        keys: values of ``[parametrize]`` by key, one for each case; they go together.
        patches: path of the PatchSet or pattern of the files; None where there are neither.
        labels: values by label, of all patches.
        points: ids of the points.
        notes: what else there would have been.
    """

    offers: tuple[Offer, ...]
    path: str
    keys: Mapping[str, tuple[Label, ...]]
    patches: str | None
    labels: Mapping[str, tuple[Label, ...]]
    points: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Of the source of signals; see :class:`~fitspec.starter.survey.Offer`."""
        return self.offers[0].kind


@dataclass
class _Family:
    """Workspaces whose names follow one pattern; each stands for a case."""

    offers: Sequence[Offer]
    path: str = ""
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    texts: dict[tuple[str, ...], str] = field(default_factory=dict)  # what replaces such values

    def __post_init__(self) -> None:
        rows = [tokens_of(offer.name) for offer in self.offers]
        text = list(rows[0])
        for column in columns_of(rows) if len(rows) > 1 else ():
            if column.values not in self.texts:
                key, prefix = key_of(rows[0], column)
                while key in self.keys:
                    key += "_"
                self.keys[key] = tuple(value[len(prefix) :] for value in column.values)
                self.texts[column.values] = f"{prefix}{{{key}}}"
            rest = [""] * (column.stop - column.start - 1)
            text[column.start : column.stop] = [self.texts[column.values], *rest]
        self.path = "".join(text)

    def generic(self, name: str, case: int) -> tuple[str, ...] | None:
        """Tokens of a name with this case's values replaced; None where they are not in it."""
        tokens = list(tokens_of(name))
        for values, text in self.texts.items():
            wanted = tokens_of(values[case])
            spans = (range(i, i + len(wanted)) for i in range(len(tokens)))
            at = next((s for s in spans if tuple(tokens[s.start : s.stop]) == wanted), None)
            if at is None:
                return None
            tokens[at.start : at.stop] = [text]
        return tuple(tokens)


def choose(survey: Survey) -> Choice:
    """The most that one specification can say of an archive, with notes on all the rest.

    Workspaces with signals come first. Of these, one that holds the channels of others is their
    combination and stands for them; several that have nothing to do with each other are cases,
    should their names and those of their patches allow it; else it is the first.
    """
    notes = list(survey.notes)
    usable = [offer for offer in survey.offers if offer.kind != "none"]
    rest = [offer.name for offer in survey.offers if usable and offer.kind == "none"]
    if rest:
        notes.append(f"without any signal, and left out: {listed(rest)}")
    candidates = _combined(usable or survey.offers, notes)
    kinds = {offer.kind for offer in candidates}
    same_kind = [offer for offer in candidates if offer.kind == candidates[0].kind]
    if len(kinds) > 1:
        others = [offer.name for offer in candidates if offer not in same_kind]
        notes.append(
            f"their signals come in another way, so they take another file: {listed(others)}"
        )
    choice = _cases(same_kind, notes)
    if choice is None and len(same_kind) > 1:
        others = [offer.name for offer in same_kind[1:]]
        notes.append(f"several candidates, of which this is the first; others: {listed(others)}")
        choice = _cases(same_kind[:1], notes)
    return _by_folder(same_kind[0], notes) if choice is None else choice


def _by_folder(offer: Offer, notes: Sequence[str]) -> Choice:
    """A case for each folder of patches, where their file names do not tell them apart."""
    pattern, *others = patterns_of(offer.patches)
    folder = pattern.text.rpartition("/")[0]
    inside = [label for label in pattern.values if f"{{{label}}}" in folder]
    rows = list(zip(*(pattern.values[label] for label in inside), strict=True))
    files: dict[tuple[str, ...], list[str]] = {}
    for row, name in zip(rows, pattern.files, strict=True):
        files.setdefault(row, []).append(patch_name(name))
    columns = zip(inside, zip(*files, strict=True), strict=True)
    keys = {label: tuple(map(_exact, values)) for label, values in columns}
    labels = {label: values for label, values in pattern.values.items() if label not in keys}
    left_out = [name for other in others for name in other.files]
    return Choice(
        offers=(offer,),
        path=offer.name,
        keys=keys,
        patches=pattern.text,
        labels={label: tuple(map(label_value, values)) for label, values in labels.items()},
        points=tuple(_ids(keys, list(files.values()))),
        notes=(*notes, *([_OTHER_NAMES + listed(left_out)] if left_out else [])),
    )


def _combined(offers: Sequence[Offer], notes: list[str]) -> list[Offer]:
    """Without those whose channels, with the same data, are a part of another one's."""
    kept = [
        offer
        for offer in offers
        if not any(offer.channels.items() < other.channels.items() for other in offers)
    ]
    if parts := [offer.name for offer in offers if offer not in kept]:
        whole = listed([offer.name for offer in kept])
        notes.append(f"{whole} holds all channels of {listed(parts)}: these are left out")
    return kept


def _cases(offers: Sequence[Offer], notes: Sequence[str]) -> Choice | None:
    """One specification for all; None where their names do not allow it."""
    if not same_shape(offer.name for offer in offers):
        return None
    family, notes = _Family(offers), list(notes)
    kind = offers[0].kind
    found: _Signals | None
    if kind == "patchset":
        found = _patchset(family, notes)
    elif kind == "files":
        found = _files(family, notes)
    else:
        found = (None, {}, [[PurePosixPath(offer.name).stem] for offer in offers])
    if found is None:
        return None
    patches, labels, names = found
    keys = {key: tuple(map(_exact, values)) for key, values in family.keys.items()}
    return Choice(
        offers=tuple(offers),
        path=family.path,
        keys=keys,
        patches=patches,
        labels={label: tuple(map(label_value, values)) for label, values in labels.items()},
        points=tuple(_ids(keys, names)),
        notes=tuple(notes),
    )


_Signals = tuple[str | None, Mapping[str, Sequence[Label]], list[list[str]]]
"""Where they are, values by label, and names of the patches by case."""


def _patchset(family: _Family, notes: list[str]) -> _Signals | None:
    texts: set[str | None] = set()
    labels: dict[str, list[Label]] = {}
    names = []
    for case, offer in enumerate(family.offers):
        name, *others = offer.patchsets
        tokens = family.generic(name, case)
        texts.add(None if tokens is None else "".join(tokens))
        values = offer.patchsets[name]
        names.append(list(values))
        for patch in values.values():
            for label, value in patch.items():
                labels.setdefault(label, []).append(value)
        if others:
            notes.append(f"{name} is the first PatchSet for {offer.name}; others: {listed(others)}")
        if offer.patches:
            loose = counted(len(offer.patches), "loose patch file")
            notes.append(f"{offer.name} has {loose}, too: {listed(offer.patches)}")
    [text, *more] = texts
    return None if text is None or more else (text, labels, names)


def _files(family: _Family, notes: list[str]) -> _Signals | None:
    case_of = {name: i for i, offer in enumerate(family.offers) for name in offer.patches}
    tokens = {name: family.generic(name, case) for name, case in case_of.items()}
    known = {name: found for name, found in tokens.items() if found is not None}
    if len(known) < len(tokens):
        return None
    pattern, *others = patterns_of(list(known), known)
    if {case_of[name] for name in pattern.files} != set(range(len(family.offers))):
        return None  # a case would have no patches
    pattern = _renamed(pattern, family.keys)
    left_out = [name for other in others for name in other.files]
    if left_out:
        notes.append(_OTHER_NAMES + listed(left_out))
    for name, case in case_of.items():
        if name in pattern.files and not _matches(pattern.text, family, case, name):
            return None
    names = [
        [patch_name(name) for name in pattern.files if case_of[name] == case]
        for case in range(len(family.offers))
    ]
    if any(len(set(own)) < len(own) for own in names):
        return None  # folders tell them apart, and nothing else
    return pattern.text, pattern.values, names


def _renamed(pattern: Pattern, keys: Mapping[str, object]) -> Pattern:
    """With other names for labels that are keys already."""
    names = {label: f"{label}_" if label in keys else label for label in pattern.values}
    text = pattern.text
    for label, name in names.items():
        text = text.replace(f"{{{label}}}", f"{{{name}}}")
    values = {names[label]: found for label, found in pattern.values.items()}
    return Pattern(text, values, pattern.files)


def _matches(text: str, family: _Family, case: int, name: str) -> bool:
    """The pattern, with the case's values, finds this file."""
    for key, values in family.keys.items():
        text = text.replace(f"{{{key}}}", values[case])
    return FilePattern(text).match(name) is not None


def _exact(text: str) -> Label:
    """A number where it is written as Python would write it: it stands in file names."""
    value = label_value(text)
    return value if str(value) == text else text


def _ids(keys: Mapping[str, tuple[Label, ...]], names: Sequence[Sequence[str]]) -> Iterator[str]:
    for case, patches in enumerate(names):
        values = [str(key[case]) for key in keys.values()]
        for patch in patches:
            yield "::".join([*values, patch])
