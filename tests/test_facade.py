from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

import fitspec

NAMES = [
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


def test_the_facade_has_exactly_these_names() -> None:
    assert fitspec.__all__ == NAMES
    assert len(NAMES) <= 20
    assert dir(fitspec) == NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if name != "__version__"])
def test_every_name_is_that_of_its_home(name: str) -> None:
    assert getattr(fitspec, name).__name__ == name
    assert getattr(fitspec, name).__module__.startswith("fitspec.")


def test_the_version_is_that_of_the_installed_package() -> None:
    assert fitspec.__version__ == importlib.metadata.version("fitspec")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'fitspec' has no attribute 'fit'"):
        fitspec.fit  # noqa: B018


def test_importing_the_facade_imports_nothing_heavy() -> None:
    code = "import sys, fitspec; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    imported = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "fitspec" in imported
    assert not {"pydantic", "numpy", "pyhf", "rich", "typer"} & set(imported)
