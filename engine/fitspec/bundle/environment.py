"""The libraries that a run used, in the manner of `pip freeze`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution

LIBRARIES = ("fitspec", "numpy", "scipy", "pyhf")
"""Those whose versions results.json has."""


def requirements(environment: Mapping[str, str], *, here: bool) -> str:
    """Exact versions, for `pip install -r`.

    Args:
        environment: of the run, as results.json has it.
        here: the run was made by this very interpreter, whose fitspec can list all that it needs;
            otherwise the versions are those that the environment names.
    """
    python = f"Python {environment.get('python', 'unknown')}"
    head = f"# The run used {python} on {environment.get('platform', 'an unknown platform')}.\n"
    named = {name: environment[name] for name in LIBRARIES if name in environment}
    versions = _installed("fitspec", {}) if here else named
    return head + "".join(f"{name}=={versions[name]}\n" for name in sorted(versions))


def _installed(name: str, found: dict[str, str]) -> dict[str, str]:
    """Versions of a distribution and of all that it needs, where they are installed."""
    try:
        this: Distribution = distribution(name)
    except PackageNotFoundError:  # of another platform, or of an extra
        return found
    found[_normal(name)] = this.version
    for line in this.requires or ():
        needed = _normal(re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0])
        if "extra ==" not in line and needed not in found:
            _installed(needed, found)
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
