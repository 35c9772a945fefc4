"""Bytes in, verified JSON out: archives, downloads, workspaces, patches and tables."""

from fitspec.sources.access import Access, resolve
from fitspec.sources.archive import Archive, open_archive
from fitspec.sources.cross_sections import CrossSections, read_cross_sections
from fitspec.sources.patches import PatchSource, open_patches
from fitspec.sources.pattern import FilePattern
from fitspec.sources.tables import Row, read_table
from fitspec.sources.workspace import Background, load_background

__all__ = [
    "Access",
    "Archive",
    "Background",
    "CrossSections",
    "FilePattern",
    "PatchSource",
    "Row",
    "load_background",
    "open_archive",
    "open_patches",
    "read_cross_sections",
    "read_table",
    "resolve",
]
