"""From file names that differ in places to one pattern with names for the places."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r"\d+(?:[.p]\d+)?|[A-Za-z]+|[^A-Za-z0-9]")
_WORD = re.compile(r"[A-Za-z]+")
SHORTEST_PREFIX = 3
"""Of words that differ, so much must be common before the rest alone is the value: RegionA."""

Tokens = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """File names as a pattern.

    Attributes:
        text: with a ``{name}`` for each place that differs.
        values: by name, the text that stands there, one for each file.
        files: the file names, in the order of the values.
    """

    text: str
    values: Mapping[str, tuple[str, ...]]
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A place in which names of one shape differ: its first and last token, and its values."""

    start: int
    stop: int
    values: tuple[str, ...]


def tokens_of(name: str) -> Tokens:
    """Numbers, words, and single other characters; ``12p5`` and ``12.5`` are numbers."""
    return tuple(_TOKEN.findall(name))


def patterns_of(names: Sequence[str], markers: Mapping[str, Tokens] | None = None) -> list[Pattern]:
    """Patterns of all names, one for each shape that they have; that of most names first.

    Args:
        names: of files.
        markers: their tokens where they are not those of the name itself, since something in them
            has been replaced by a placeholder already.
    """
    tokens = {name: (markers or {}).get(name) or tokens_of(name) for name in names}
    groups: dict[Tokens, list[str]] = {}
    for name in names:
        groups.setdefault(_shape(tokens[name]), []).append(name)
    found = [_pattern(group, [tokens[name] for name in group]) for group in groups.values()]
    return sorted(found, key=lambda pattern: -len(pattern.files))


def columns_of(rows: Sequence[Tokens]) -> list[Column]:
    """The places in which token lists of one shape differ; neighbours are one place."""
    varying = [i for i, cells in enumerate(zip(*rows, strict=True)) if len(set(cells)) > 1]
    spans: list[tuple[int, int]] = []
    for i in varying:
        if spans and spans[-1][1] == i:
            spans[-1] = (spans[-1][0], i + 1)
        else:
            spans.append((i, i + 1))
    return [Column(a, b, tuple("".join(row[a:b]) for row in rows)) for a, b in spans]


def same_shape(names: Iterable[str]) -> bool:
    """They differ in words and numbers only."""
    return len({_shape(tokens_of(name)) for name in names}) == 1


def key_of(tokens: Tokens, column: Column) -> tuple[str, str]:
    """A name for a place, and what all its values begin with: ``region`` and ``Region``."""
    prefix = column.values[0]
    while not all(value.startswith(prefix) for value in column.values):
        prefix = prefix[:-1]
    rests = [value[len(prefix) :] for value in column.values]
    starts_anew = all(rest[:1].isupper() or rest[:1].isdigit() for rest in rests)
    if len(prefix) < SHORTEST_PREFIX or not prefix.isalpha() or not starts_anew:
        prefix = ""
    return (prefix or _word_before(tokens, column.start) or "case").lower(), prefix


def _shape(tokens: Tokens) -> Tokens:
    """Separators as they are, all else by kind."""
    kinds = ("0" if t[0].isdigit() else "a" if t.isalpha() and t.isascii() else t for t in tokens)
    return tuple(kinds)


def _pattern(names: Sequence[str], rows: Sequence[Tokens]) -> Pattern:
    columns = columns_of(rows)
    labels = _labels(rows[0], columns)
    text = list(rows[0])
    for label, column in zip(labels, columns, strict=True):
        text[column.start : column.stop] = [f"{{{label}}}"] + [""] * (
            column.stop - column.start - 1
        )
    values = {label: column.values for label, column in zip(labels, columns, strict=True)}
    return Pattern("".join(text), values, tuple(names))


def _labels(tokens: Tokens, columns: Sequence[Column]) -> list[str]:
    """The word right before each, ``M300_N100``; else that before the first, and numbers."""
    own = [tokens[column.start - 1] if column.start else "" for column in columns]
    if all(map(_WORD.fullmatch, own)) and len(set(own)) == len(own):
        return own
    word = _word_before(tokens, columns[0].start) if columns else ""
    word = "label" if word.lower() in {"", "patch"} else word
    if len(columns) == 1:
        return [word]
    return [f"{word}_{number}" for number in range(1, len(columns) + 1)]


def _word_before(tokens: Tokens, index: int) -> str:
    """The nearest word before a place, in the same file or folder name, or that folder's name."""
    return next((t for t in reversed(tokens[:index]) if _WORD.fullmatch(t)), "")
