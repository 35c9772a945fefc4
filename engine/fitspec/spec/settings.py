"""What of a specification decides how numbers are made, in one flat table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fitspec.spec.models import Spec

TABLES = ("poi", "fit", "inference", "backend", "combine")


def settings_of(spec: Spec) -> dict[str, Any]:
    """Values by dotted key, ``inference.interpcodes.normsys``; defaults are written out.

    What is not set, and has no default, is left out.
    """
    content = spec.model_dump(mode="json", include=set(TABLES), exclude_none=True)
    return dict(pair for name in TABLES for pair in _flat(name, content.get(name)))


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}", inner)
    elif value is not None:
        yield key, value
