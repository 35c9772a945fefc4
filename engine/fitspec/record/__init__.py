"""Measured values as expectations: what to write, what it changes, and the files themselves."""

from fitspec.record.files import require_table, write
from fitspec.record.measured import Measured, provenance
from fitspec.record.recording import Recording, Replacement, make_recording

__all__ = [
    "Measured",
    "Recording",
    "Replacement",
    "make_recording",
    "provenance",
    "require_table",
    "write",
]
