"""Valid specifications that ask for what this version does not compute yet."""

from __future__ import annotations

from fitspec.errors import NotYetError
from fitspec.spec import SpecFile
from fitspec.spec.locate import KeyPath


def require_supported(spec: SpecFile) -> None:
    """Raise :class:`NotYetError` at the first key that would otherwise be ignored."""
    for key, instead in _unsupported(spec):
        raise spec.error(key, "not yet: this version of fitspec cannot do it", instead, NotYetError)


def _unsupported(spec: SpecFile) -> list[tuple[KeyPath, str]]:
    asked = spec.spec
    checks: list[tuple[bool, KeyPath, str]] = [
        (
            asked.fit is not None and asked.backend.name != "native",
            ("fit",),
            'use backend.name = "native"',
        ),
    ]
    return [(key, instead) for wanted, key, instead in checks if wanted]
