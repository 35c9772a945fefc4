"""Bytes in, verified JSON out: archives, downloads, workspaces, patches and tables."""

from fitspec.sources.access import Access, resolve
from fitspec.sources.archive import Archive, open_archive
from fitspec.sources.cross_sections import CrossSections, read_cross_sections
from fitspec.sources.discovery import Discovery
from fitspec.sources.patches import PatchSource, open_patches
from fitspec.sources.pattern import FilePattern
from fitspec.sources.signals import luminosity_modifiers, systematic_modifiers
from fitspec.sources.tables import Row, inline_table, read_full_table, read_table
from fitspec.sources.workspace import Background, load_background
from fitspec.sources.yields import Yields

__all__ = [
    "Access",
    "Archive",
    "Background",
    "CrossSections",
    "Discovery",
    "FilePattern",
    "PatchSource",
    "Row",
    "Yields",
    "inline_table",
    "load_background",
    "luminosity_modifiers",
    "open_archive",
    "open_patches",
    "read_cross_sections",
    "read_full_table",
    "read_table",
    "resolve",
    "systematic_modifiers",
]
