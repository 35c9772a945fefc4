"""Valid specifications that ask for what a backend cannot compute."""

from __future__ import annotations

from fitspec.errors import NotYetError
from fitspec.spec import SpecFile


def require_supported(spec: SpecFile) -> None:
    """Raise :class:`NotYetError` at a key that would otherwise be ignored.

    The specification alone cannot tell: the command line may choose another backend.
    """
    if spec.spec.fit is not None and spec.spec.backend.name != "native":
        raise spec.error(
            ("fit",),
            f"not yet: the {spec.spec.backend.name} backend cannot do it",
            'use backend.name = "native"',
            NotYetError,
        )
