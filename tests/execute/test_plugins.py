"""The documented example of a plugin, installed as its README says."""

from __future__ import annotations

import json
import os
import pstats
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "executor-plugin"
RUN = ["-m", "fitspec", "run", str(ROOT / "examples" / "quickstart.toml"), "--endpoint", "inline"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the plugin's distribution; built from a copy, for builds leave things behind."""
    pytest.importorskip("hatchling", reason="hatchling is not installed: it builds the plugin")
    folder = tmp_path_factory.mktemp("plugin")
    copy = shutil.copytree(EXAMPLE, folder / "executor-plugin")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    more = ["--no-index", "--disable-pip-version-check", "--target", str(folder / "site")]
    subprocess.run([*pip, *more, str(copy)], check=True)
    return folder / "site"


@pytest.fixture
def environment(installed: Path) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT / "engine"), str(installed)])
    return {**os.environ, "PYTHONPATH": path}


def test_the_plugin_computes_in_the_submitting_process(
    environment: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, *RUN, "--json", str(tmp_path / "results.json")]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        out, err = process.communicate(timeout=120)

    assert (process.returncode, err) == (0, "")
    assert "endpoint: inline" in out
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["summary"]["passed"] == 19
    workers = {int(point["worker"].rpartition(":")[2]) for point in results["points"]}
    assert workers == {process.pid}


def test_a_profiler_sees_the_fits(environment: dict[str, str], tmp_path: Path) -> None:
    profile = tmp_path / "fits.prof"
    command = [sys.executable, "-m", "cProfile", "-o", str(profile), *RUN]

    done = subprocess.run(command, env=environment, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    calls = {name: count for (_, _, name), (count, *_) in pstats.Stats(str(profile)).stats.items()}
    assert calls["test_hypotheses"] == 9


def test_without_the_plugin_its_kind_is_unknown(environment: dict[str, str]) -> None:
    bare = environment | {"PYTHONPATH": str(ROOT / "engine")}

    done = subprocess.run([sys.executable, *RUN], env=bare, capture_output=True, text=True)

    assert done.returncode == 4
    assert "inline" in done.stderr
    assert "no endpoint has this name" in done.stderr


@pytest.mark.parametrize("kind", ["sdist", "wheel"])
def test_what_is_distributed_has_the_plugin_or_not(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(tmp_path)]

    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

    [made] = tmp_path.iterdir()
    if kind == "sdist":
        listed = subprocess.run(["tar", "tzf", made], capture_output=True, text=True).stdout
        assert "examples/executor-plugin/fitspec_inline.py" in listed
        assert "examples/executor-plugin/pyproject.toml" in listed
    else:
        listed = subprocess.run(
            [sys.executable, "-m", "zipfile", "-l", made], capture_output=True, text=True
        ).stdout
        assert "fitspec/execute/dask.py" in listed
        assert "fitspec/_library/stau.toml" in listed
        assert "inline" not in listed
