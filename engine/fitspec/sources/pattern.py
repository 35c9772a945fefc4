"""File name patterns with labels: ``patch.sbottom_{m_sbottom}_{m_N1}.json``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property

from fitspec.errors import SourceError
from fitspec.results import Label

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PLACEHOLDERS = re.compile(r"(?:\{[^{}]*\})+")
_INTEGER = re.compile(r"[+-]?\d+")
_DECIMAL = re.compile(r"[+-]?(?:\d+\.\d*|\.?\d+)(?:[eE][+-]?\d+)?")
_MAX_INTEGER = 2.0**63  # more digits than that have no place in JSON


@dataclass(frozen=True)
class FilePattern:
    """A pattern; each ``{label}`` matches a stretch of a path component, as short as possible.

    Raises:
        SourceError: a placeholder that is no name, or one name twice.
    """

    text: str

    def __post_init__(self) -> None:
        labels = _PLACEHOLDER.findall(self.text)
        for label in labels:
            if not label.isidentifier():
                raise SourceError(f"{{{label}}} in {self.text!r} is no label name")
            if labels.count(label) > 1:
                raise SourceError(f"label {{{label}}} stands twice in {self.text!r}")

    @property
    def glob(self) -> str:
        """A glob that matches at least what the pattern matches."""
        return _PLACEHOLDERS.sub("*", re.sub(r"([*?\[])", r"[\1]", self.text))

    def match(self, name: str) -> dict[str, Label] | None:
        """Labels of a file name, in the pattern's order; None if it does not match."""
        found = self._regex.fullmatch(name)
        return {k: label_value(v) for k, v in found.groupdict().items()} if found else None

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        parts = _PLACEHOLDER.split(self.text)  # literal, label, literal, label, ..., literal
        literals = [re.escape(part) for part in parts[::2]]
        groups = [rf"(?P<{label}>[^/]+?)" for label in parts[1::2]]
        return re.compile("".join(a + b for a, b in zip(literals, [*groups, ""], strict=True)))


def label_value(text: Label) -> Label:
    """A number where the text is one, else the text: ``300`` and ``0.5``, but ``12p5``."""
    if not isinstance(text, str):
        return text
    if not _DECIMAL.fullmatch(text) or not math.isfinite(float(text)):
        return text
    whole = _INTEGER.fullmatch(text) and abs(float(text)) < _MAX_INTEGER
    return int(text) if whole else float(text)
