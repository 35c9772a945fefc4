"""Curated specifications that ask one thing only, as files in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit

from fitspec.spec import find_specs

TESTS = {"poi": {"test": 1.0}}
"""CLs and its expected band at mu = 1."""

LIMITS = {"poi": {"upper_limit": 0.95}}
"""Upper limits, observed and expected, and no test."""

TOYS = {
    "patches": {
        "patchset": "patchset.json",
        "labels": ["m_C1N2", "m_N1"],
        "select": {"m_C1N2": 900, "m_N1": 250},
    },
    "poi": {"test": 1.0},
    "inference": {"calculator": "toys", "toys": 2000},
}
"""Of `@1Lbb`: CLs of one hypothesis, with 2000 toys for signal + background and 2000 without."""

_ASKED = ("poi", "inference", "cross_section", "combine", "expect")


def variant(spec: str, path: Path, asked: Mapping[str, Mapping[str, Any]]) -> str:
    """A copy of a specification with other tables in place of all that it asks.

    Args:
        spec: ``@name``.
        path: of the copy, whose sources must be URLs or DOIs.
        asked: the tables.

    Returns:
        the path, as an argument of a command.
    """
    document = tomlkit.parse(find_specs([spec])[0].text)
    for name in _ASKED:
        document.pop(name, None)
    for name, table in asked.items():
        document[name] = table
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tomlkit.dumps(document))
    return str(path)
