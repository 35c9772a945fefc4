"""A specification with all that it reads and its results, for others: an RO-Crate, or HEPData's."""

from fitspec.bundle.crate import Provenance, write_bundle
from fitspec.bundle.environment import requirements
from fitspec.bundle.given import require_belongs
from fitspec.bundle.inputs import Inputs, bundled_inputs
from fitspec.bundle.submission import write_submission

__all__ = [
    "Inputs",
    "Provenance",
    "bundled_inputs",
    "require_belongs",
    "requirements",
    "write_bundle",
    "write_submission",
]
