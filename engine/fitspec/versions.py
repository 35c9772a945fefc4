"""What must be the same on both sides of an endpoint, and what had better be."""

from __future__ import annotations

import functools
import hashlib
import platform
from importlib.metadata import version
from pathlib import Path

import fitspec


def of_libraries() -> dict[str, str]:
    """Versions of the libraries that make the numbers."""
    return {library: _version(library) for library in ("numpy", "scipy", "pyhf")}


_version = functools.cache(version)  # it reads files


def of_program() -> dict[str, str]:
    """What submitter and worker must have in common: fitspec, its code, and Python's minor."""
    return {
        "fitspec": fitspec.__version__,
        "code": code_digest()[:12],
        "python": ".".join(platform.python_version_tuple()[:2]),
    }


@functools.cache
def code_digest() -> str:
    """Digest of the code that makes the numbers: a changed formula never meets an old result."""
    package = Path(fitspec.__file__).parent
    digest = hashlib.sha256()
    for folder in ("histfactory", "inference"):
        for module in sorted((package / folder).rglob("*.py")):
            digest.update(module.read_bytes())
    return digest.hexdigest()
