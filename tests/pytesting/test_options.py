"""What the plugin is told: the command line before the configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitspec.pytesting.options import Options, read_options

pytest_plugins = ["pytester"]

SILENT = Options(
    collect=True,
    endpoint=None,
    backend=None,
    workers=None,
    mirror=None,
    offline=False,
    no_cache=False,
)

INI = """\
[pytest]
fitspec_collect = false
fitspec_endpoint = river
fitspec_backend = pyhf
fitspec_workers = 3
fitspec_mirror = ../data
fitspec_offline = true
fitspec_no_cache = yes
"""


def test_nothing_is_decided_where_nothing_is_said(pytester: pytest.Pytester) -> None:
    assert read_options(pytester.parseconfig()) == SILENT


def test_the_configuration_file_has_a_key_for_every_option(pytester: pytest.Pytester) -> None:
    pytester.makefile(".ini", pytest=INI)
    assert read_options(pytester.parseconfig()) == Options(
        collect=False,
        endpoint="river",
        backend="pyhf",
        workers=3,
        mirror=pytester.path / ".." / "data",
        offline=True,
        no_cache=True,
    )


def test_the_command_line_goes_first(pytester: pytest.Pytester) -> None:
    pytester.makefile(".ini", pytest=INI)
    config = pytester.parseconfig(
        "--fitspec-collect=true", "--fitspec-endpoint=local", "--fitspec-backend=native",
        "--fitspec-workers=1", "--fitspec-mirror=here",
    )  # fmt: skip
    options = read_options(config)
    assert (options.collect, options.endpoint, options.backend) == (True, "local", "native")
    assert (options.workers, options.mirror) == (1, pytester.path / "here")


def test_a_mirror_is_relative_to_where_it_was_said(pytester, monkeypatch, tmp_path) -> None:
    pytester.makefile(".ini", pytest=INI)
    (pytester.path / "below").mkdir()
    monkeypatch.chdir(pytester.path / "below")
    assert read_options(pytester.parseconfig()).mirror == pytester.path / ".." / "data"
    asked = read_options(pytester.parseconfig("--fitspec-mirror=here")).mirror
    assert asked == pytester.path / "below" / "here"
    assert read_options(pytester.parseconfig(f"--fitspec-mirror={tmp_path}")).mirror == tmp_path
    home = read_options(pytester.parseconfig("--fitspec-mirror=~/data")).mirror
    assert home == Path.home() / "data"


@pytest.mark.parametrize("option", ["workers=0", "workers=-1", "workers=many", "backend=root"])
def test_what_is_not_understood_is_a_usage_error(pytester: pytest.Pytester, option: str) -> None:
    name, value = option.split("=")
    pytester.makefile(".ini", pytest=f"[pytest]\nfitspec_{name} = {value}\n")
    with pytest.raises(pytest.UsageError, match=f"fitspec {name} '{value}'"):
        read_options(pytester.parseconfig())
