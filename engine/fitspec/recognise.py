"""Which TOML files are fit specifications; it costs next to nothing to find out that one is not."""

from __future__ import annotations

import re
from pathlib import Path

_LOOKS_LIKE_A_SPEC = re.compile(r"^\s*[\"']?fitspec[\"']?\s*=", re.MULTILINE)


def is_spec(path: Path) -> bool:
    """A TOML file is a specification if it has the top-level key ``fitspec``.

    One that cannot be read, or that has such a line and is not valid TOML, may want to be one:
    reading it will say what is wrong with it.
    """
    if not path.is_file():
        return False
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        return bool(_LOOKS_LIKE_A_SPEC.search(text)) and "fitspec" in _parsed(text)
    except (OSError, ValueError, RecursionError):
        return True


def _parsed(text: str) -> dict[str, object]:
    import tomllib  # only for the few files that need it

    return tomllib.loads(text)
