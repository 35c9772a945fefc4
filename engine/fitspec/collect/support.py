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
    patches, inference = asked.patches, asked.inference
    checks: list[tuple[bool, KeyPath, str]] = [
        (bool(patches and patches.yields), ("patches", "yields"), "use files or patchset"),
        (bool(patches and patches.discovery), ("patches", "discovery"), "use files or patchset"),
        (asked.poi.upper_limit is not None, ("poi", "upper_limit"), "use poi.test or poi.scan"),
        (asked.cross_section is not None, ("cross_section",), "remove it"),
        (inference.expected == "pre-fit", ("inference", "expected"), 'use "post-fit"'),
    ]
    return [(key, instead) for wanted, key, instead in checks if wanted]
