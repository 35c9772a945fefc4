"""HistFactory workspaces: patching a background with a signal hypothesis."""

from fitspec.histfactory.patching import apply_patch, require_poi

__all__ = ["apply_patch", "require_poi"]
