"""Two runs of the same specifications: what moved, and what was different."""

from fitspec.drift.compare import Change, Drift, compare
from fitspec.drift.runs import Difference, PartChange
from fitspec.drift.shifts import Shift, Tolerance

__all__ = ["Change", "Difference", "Drift", "PartChange", "Shift", "Tolerance", "compare"]
