"""Results by content-addressed key, on disk as soon as they are computed.

A second run is instant, an interrupted one resumes. Only numbers are kept: an error may have been
the machine's, and is tried again.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from fitspec.files import write_file
from fitspec.outcome import Outcome


@dataclass(frozen=True, slots=True)
class ResultStore:
    """A folder of outcomes.

    Attributes:
        folder: where they are; made when the first is written.
        read: look outcomes up; False computes everything anew (and keeps it).
    """

    folder: Path
    read: bool = True

    def get(self, key: str) -> Outcome | None:
        """The outcome of this key, or None; a damaged file counts as none."""
        if not self.read:
            return None
        try:
            return Outcome.from_json(self._path(key).read_bytes())
        except (OSError, ValueError):
            return None

    def put(self, key: str, outcome: Outcome) -> None:
        """Keep an outcome with numbers; the file appears whole or not at all.

        Raises:
            OSError: the store cannot be written.
        """
        if outcome.status != "ok":
            return
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, outcome.to_json())

    def size(self) -> tuple[int, int]:
        """Number of outcomes and their bytes."""
        sizes = [path.stat().st_size for path in self.folder.glob("??/*.json")]
        return len(sizes), sum(sizes)

    def clear(self) -> None:
        """Forget everything; raises OSError where that is not allowed."""
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"
