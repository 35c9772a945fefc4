"""The example plugin, really installed: an endpoint of a kind that fitspec does not know."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PIP = Path(sys.executable).with_name("pip")

Fitspec = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder with the plugin, as pip installs it."""
    if not PIP.exists():
        pytest.skip("pip is not installed")
    source = tmp_path_factory.mktemp("source") / "plugin"
    shutil.copytree(ROOT / "examples" / "plugin", source)
    target = tmp_path_factory.mktemp("site")
    offline = ["--no-index", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [PIP, "install", "--quiet", *offline, "--target", target, source],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def fitspec(analysis, site, tmp_path, monkeypatch) -> Fitspec:
    """Runs the command line beside the small analysis, with the plugin on the path."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *filter(None, sys.path)]))
    monkeypatch.setenv("FITSPEC_CONFIG", str(tmp_path / "config.toml"))

    def run(*arguments: str, command: list[str], workers: int = 2) -> Any:
        (tmp_path / "config.toml").write_text(
            f'[endpoints.lab]\nkind = "command"\nworkers = {workers}\n'
            f"options = {{ command = {json.dumps(command)} }}\n"
        )
        return subprocess.run(
            [sys.executable, "-m", "fitspec", *arguments], capture_output=True, text=True
        )

    return run


def test_the_kind_is_known(fitspec):
    listed = fitspec("endpoint", "list", command=["true"])

    assert listed.returncode == 0, listed.stderr
    assert "   lab    command  here\n" in listed.stdout
    assert ", mpi, command\n" in listed.stdout


def test_it_can_be_checked(fitspec):
    checked = fitspec("endpoint", "check", "lab", command=[sys.executable, "-m"], workers=1)

    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.startswith("endpoint      lab (command)\nworkers       1\n")
    assert "throughput" in checked.stdout


def test_its_numbers_are_those_of_this_machine(fitspec, analysis):
    command = [sys.executable, "-m"]

    there = fitspec(
        "run", "small.toml", "--endpoint", "lab", "--json", "there.json", command=command
    )
    here = fitspec("run", "small.toml", "--no-cache", "--json", "here.json", command=command)

    assert (there.returncode, here.returncode) == (0, 0), there.stderr + here.stderr
    assert "endpoint: lab (command), 2 workers\n" in there.stdout
    one, other = (json.loads((analysis / f"{name}.json").read_text()) for name in ("there", "here"))
    assert one["environment"]["endpoint"] == "lab (command)"
    assert len(one["points"]) == 4
    for point, same in zip(one["points"], other["points"], strict=True):
        assert point["id"] == same["id"]
        assert point["tests"] == same["tests"]
        assert point["worker"] != same["worker"]


def test_a_command_that_fails_every_time_is_each_points_error(fitspec, analysis):
    done = fitspec(
        "run", "small.toml", "--endpoint", "lab", "--json", "x.json", command=["false"], workers=8
    )

    assert done.returncode == 1, done.stderr
    errors = {p["error"] for p in json.loads((analysis / "x.json").read_text())["points"]}
    assert errors == {"WorkerLostError: false ended with 1: "}


def test_a_command_that_is_not_there_is_given_up(fitspec):
    done = fitspec("run", "small.toml", "--endpoint", "lab", command=["no-such-command"])

    assert done.returncode == 1, done.stderr
    reason = "no-such-command: No such file or directory; correct options.command"
    assert f"warning: the endpoint is given up: {reason}\n" in done.stdout
    assert f"4 points not computed: {reason}\n" in done.stdout


def test_silence_does_not_keep_the_check(fitspec):
    done = fitspec(
        "endpoint", "check", "lab", "--timeout", "1", command=["sh", "-c", "sleep 600", "sh"]
    )

    assert done.returncode == 1
    assert "fitspec: error: no answer came within 1 s; " in done.stderr


def test_a_mistake_in_its_options_is_told(fitspec):
    done = fitspec("endpoint", "check", "lab", command=[1])

    assert done.returncode == 4
    assert done.stderr == (
        "fitspec: error: endpoint 'lab' has no command; "
        'give options = { command = ["ssh", "HOST", ...] }\n'
    )
