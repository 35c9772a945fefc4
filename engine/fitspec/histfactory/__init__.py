"""HistFactory workspaces: patching a background with a signal, and whether the result is sound."""

from fitspec.histfactory.consistency import require_consistent
from fitspec.histfactory.patching import NO_OPERATIONS, apply_patch

__all__ = ["NO_OPERATIONS", "apply_patch", "require_consistent"]
