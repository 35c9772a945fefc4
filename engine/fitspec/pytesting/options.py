"""What the user may tell the pytest plugin: on its command line, or in its configuration file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BACKENDS = ("native", "pyhf")


@dataclass(frozen=True, slots=True)
class Options:
    """What was said; None, and False, leave the decision to specification and configuration.

    Attributes:
        collect: specifications are collected at all.
        endpoint: name or kind of the endpoint.
        backend: name of the backend.
        workers: number of workers.
        mirror: folder to look for every source first.
        offline: never touch the network.
        no_cache: compute everything anew.
    """

    collect: bool
    endpoint: str | None
    backend: str | None
    workers: int | None
    mirror: Path | None
    offline: bool
    no_cache: bool


OPTIONS = pytest.StashKey[Options]()
"""Where a configuration keeps its options."""


def add_options(parser: pytest.Parser) -> None:
    """Declare every option, and its key of the configuration file."""
    group = parser.getgroup("fitspec", "fit specifications")
    for name, metavar, text in (
        ("endpoint", "NAME", "where fits run: an endpoint of yours, or a kind"),
        ("backend", "NAME", "native or pyhf, instead of the specification's backend"),
        ("workers", "N", "workers of the endpoint (-n is pytest-xdist's)"),
        ("mirror", "DIR", "look for every source here first"),
    ):
        group.addoption(f"--fitspec-{name}", metavar=metavar, help=text)
        parser.addini(f"fitspec_{name}", text, default="")
    for name, text in (
        ("offline", "never touch the network"),
        ("no-cache", "compute everything anew; the results are kept all the same"),
    ):
        group.addoption(f"--fitspec-{name}", action="store_true", help=text)
        parser.addini(f"fitspec_{name.replace('-', '_')}", text, type="bool", default=False)
    text = "collect fit specifications; default: true"
    group.addoption("--fitspec-collect", metavar="BOOL", choices=("true", "false"), help=text)
    parser.addini("fitspec_collect", text, type="bool", default=True)


def read_options(config: pytest.Config) -> Options:
    """The command line's options, and the configuration file's where it has none.

    Raises:
        pytest.UsageError: a value that is not understood.
    """
    collect = config.getoption("fitspec_collect")
    backend, workers = _said(config, "backend"), _said(config, "workers")
    if backend is not None and backend not in BACKENDS:
        raise pytest.UsageError(f"fitspec backend {backend!r}: {' or '.join(BACKENDS)}")
    if workers is not None and not (workers.isdecimal() and int(workers)):
        raise pytest.UsageError(f"fitspec workers {workers!r}: a number from 1 on")
    return Options(
        collect=config.getini("fitspec_collect") if collect is None else collect == "true",
        endpoint=_said(config, "endpoint"),
        backend=backend,
        workers=None if workers is None else int(workers),
        mirror=_mirror(config),
        offline=_switched_on(config, "offline"),
        no_cache=_switched_on(config, "no_cache"),
    )


def _said(config: pytest.Config, name: str) -> str | None:
    said: Any = config.getoption(f"fitspec_{name}") or config.getini(f"fitspec_{name}")
    return str(said) if said else None


def _switched_on(config: pytest.Config, name: str) -> bool:
    return bool(config.getoption(f"fitspec_{name}") or config.getini(f"fitspec_{name}"))


def _mirror(config: pytest.Config) -> Path | None:
    """Relative to the working directory, or to the configuration file, wherever it was said."""
    if asked := config.getoption("fitspec_mirror"):
        return config.invocation_params.dir / Path(asked).expanduser()
    if asked := config.getini("fitspec_mirror"):
        beside = config.rootpath if config.inipath is None else config.inipath.parent
        return beside / Path(asked).expanduser()
    return None
