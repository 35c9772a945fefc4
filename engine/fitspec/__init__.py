"""fitspec: declarative fits of published HistFactory likelihoods.

The façade is small and lazy: a name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from fitspec.errors import FitspecError
    from fitspec.outcome import Discovery, FitResult, HypothesisTest, Outcome
    from fitspec.results import CheckResult, Combined, PointResult, RunReport
    from fitspec.session import Observer, Settings, run
    from fitspec.sources import Access
    from fitspec.spec import Spec, SpecFile, find_specs, load_spec

_HOMES = {
    "Access": "sources",
    "CheckResult": "results",
    "Combined": "results",
    "Discovery": "outcome",
    "FitResult": "outcome",
    "FitspecError": "errors",
    "HypothesisTest": "outcome",
    "Observer": "session",
    "Outcome": "outcome",
    "PointResult": "results",
    "RunReport": "results",
    "Settings": "session",
    "Spec": "spec",
    "SpecFile": "spec",
    "find_specs": "spec",
    "load_spec": "spec",
    "run": "session",
}

__all__ = [
    "Access",
    "CheckResult",
    "Combined",
    "Discovery",
    "FitResult",
    "FitspecError",
    "HypothesisTest",
    "Observer",
    "Outcome",
    "PointResult",
    "RunReport",
    "Settings",
    "Spec",
    "SpecFile",
    "__version__",
    "find_specs",
    "load_spec",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fitspec' has no attribute {name!r}")
    return getattr(importlib.import_module(f"fitspec.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
