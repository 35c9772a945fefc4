"""Locks: all that a specification's numbers depend on, pinned in a file beside it."""

from fitspec.lock.contents import Lock, lock_of
from fitspec.lock.document import lock_path, lock_text, read_lock
from fitspec.lock.verify import Level, Mismatch, mismatches, require_locked

__all__ = [
    "Level",
    "Lock",
    "Mismatch",
    "lock_of",
    "lock_path",
    "lock_text",
    "mismatches",
    "read_lock",
    "require_locked",
]
