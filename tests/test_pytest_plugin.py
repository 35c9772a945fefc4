"""The plugin as pytest loads it: what it costs, what it leaves alone, and what it is told."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from docs import run_commands

from fitspec.errors import ExitCode

ROOT = Path(__file__).resolve().parents[1]
PYTEST = [sys.executable, "-m", "pytest"]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def _quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without plugins that take a second to load."""
    others = ("hypothesispytest", "typeguard", "platformdirs")
    monkeypatch.setenv("PYTEST_ADDOPTS", " ".join(f"-pno:{name}" for name in others))


@pytest.fixture
def run(analysis: Path) -> Run:
    """Runs pytest in a process of its own, in the folder of the small analysis."""

    def start(*arguments: str | Path, code: int = ExitCode.OK):
        done = subprocess.run(
            [*PYTEST, *map(str, arguments)], cwd=analysis, capture_output=True, text=True
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return start


def test_pytest_knows_it_by_its_name() -> None:
    [plugin] = importlib.metadata.entry_points(group="pytest11", name="fitspec")
    assert plugin.value == "fitspec.pytest_plugin"


SPY = """\
import sys
def pytest_sessionfinish():
    print("loaded", *sorted(sys.modules))
"""


def test_where_there_is_no_specification_it_loads_nothing(analysis: Path, run: Run) -> None:
    (analysis / "small.toml").unlink()
    (analysis / "pyproject.toml").write_text('[project.scripts]\nfitspec = "fitspec"\n')
    (analysis / "mirror.toml").write_text('"https://doi.org/10.17182/x" = "x.tar"\n')
    (analysis / "broken.toml").write_text("[[[")
    (analysis / "test_it.py").write_text("def test_it(): pass\n")
    (analysis / "conftest.py").write_text(SPY)

    def loaded(*arguments: str) -> set[str]:
        printed = run("-v", "-p", "no:xdist", *arguments).stdout
        assert "1 passed" in printed
        return set(next(line for line in printed.splitlines() if "loaded" in line).split())

    assert loaded() - loaded("-p", "no:fitspec") == {
        "fitspec",
        "fitspec.pytest_plugin",
        "fitspec.pytesting",
        "fitspec.pytesting.options",
        "fitspec.recognise",
    }


def test_warnings_as_errors_are_no_obstacle(run: Run) -> None:
    done = run("-W", "error", "--strict-markers", "--strict-config")
    assert "4 passed" in done.stdout


def test_processes_of_xdist_do_nothing_twice(analysis: Path, run: Run) -> None:
    pytest.importorskip("xdist")
    with (analysis / "small.toml").open("a") as file:
        for mass in (100, 200):
            for width in (1, 2):
                file.write(f'[[expect]]\npoint = "signal_{mass}_{width}"\n')
                file.write("CLs_obs = 0.5\np_b = 0.5\nexcluded = false\natol = 1\n")

    done = run("-n", "2", "-v", "--junitxml=j.xml")

    assert "12 passed" in done.stdout
    assert {line.split()[0] for line in done.stdout.splitlines() if "PASSED" in line} == {
        "[gw0]", "[gw1]"
    }  # fmt: skip
    seconds: dict[str, set[str]] = {}
    for case in ElementTree.parse(analysis / "j.xml").iter("testcase"):
        told = {p.get("name"): p.get("value", "") for p in case.iter("property")}
        seconds.setdefault(case.get("classname", ""), set()).add(told["seconds"])
    assert len(seconds) == 4
    assert all(len(times) == 1 for times in seconds.values())

    by_file = run("-n", "2", "-v", "--dist", "loadfile").stdout
    assert len({line.split()[0] for line in by_file.splitlines() if "PASSED" in line}) == 1


def test_ctrl_c_ends_the_batch(analysis: Path) -> None:
    with (analysis / "small.toml").open("a") as file:
        file.write('[inference]\ncalculator = "toys"\ntoys = 1000000\n')
    process = subprocess.Popen(
        [*PYTEST, "-v"], cwd=analysis, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    while not process.stdout.readline().startswith("collect"):
        pass
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)  # it would take minutes
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=10)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in printed


@pytest.mark.data
def test_a_published_analysis_is_run_by_pytest(mirror: Path) -> None:
    done = subprocess.run(
        [*PYTEST, "fitspecs/1Lbb.toml", "-k", "900_250", "-v", "--fitspec-mirror", mirror],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert "3 passed, 124 deselected" in done.stdout, done.stdout
    for quantity in ("CLs_obs", "CLs_exp", "upper_limit_xsec_obs"):
        assert f"fitspecs/1Lbb.toml::C1N2_Wh_hbb_900_250::{quantity} PASSED" in done.stdout


FAILING = """\
[[expect]]
point = "signal_400_0"
CLs_obs = 0.02
source = "an old version"
"""


def test_the_documented_commands_print_what_the_page_says(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    text = (ROOT / "examples" / "quickstart.toml").read_text().split("[[expect]]")[0]
    text = text.replace('archive = "quickstart"', 'archive = "examples/quickstart"')
    (tmp_path / "failing.toml").write_text(text + FAILING)
    run_commands("pytest.md", tmp_path)
