"""The pytest plugin: specifications among the tests, their checks as pytest's own items.

A thin front end, loaded by every pytest where fitspec is installed: what computes is imported with
the first specification.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fitspec.pytesting.options import OPTIONS, add_options, read_options
from fitspec.recognise import is_spec


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--fitspec-*``, and ``fitspec_*`` of the configuration file."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Read the options, and declare the marker that all items have."""
    config.stash[OPTIONS] = read_options(config)
    config.addinivalue_line(
        "markers", "fitspec(**labels): a check of a fit specification, and its point's labels"
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A specification; any other file is left alone."""
    if file_path.suffix != ".toml" or not parent.config.stash[OPTIONS].collect:
        return None
    if not is_spec(file_path):
        return None
    from fitspec.pytesting.nodes import collector_of

    return collector_of(file_path, parent)
