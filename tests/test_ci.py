"""Continuous integration: the page of the manual, the workflow's own steps, the pre-commit hook."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml
from docs import ROOT, run_page

WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "fitspec.yml").read_text())
CALL = WORKFLOW[True]["workflow_call"]  # YAML 1.1 takes the key `on` for a boolean
STEPS = {step.get("name", step.get("uses")): step for step in WORKFLOW["jobs"]["run"]["steps"]}
PAGE = (ROOT / "docs" / "ci.md").read_text()


def blocks() -> list[Any]:
    """The YAML of the page."""
    return [yaml.safe_load(b) for b in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


def step(name: str, folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """A step's script, run as GitHub runs it, with these inputs."""
    environment = dict.fromkeys(STEPS[name]["env"], "") | inputs
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[name]["run"]],
        cwd=folder, env=os.environ | environment | {"PATH": path, "GITHUB_ENV": "environment"},
        capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of analyses: the examples."""
    return Path(shutil.copytree(ROOT / "examples", tmp_path / "checkout"))


def test_the_page_says_what_happens(tmp_path: Path) -> None:
    run_page("ci.md", tmp_path / "examples")


def test_the_workflow_declares_its_inputs_and_uses_them_all() -> None:
    text = yaml.safe_dump(WORKFLOW["jobs"])
    for kind in ("inputs", "secrets"):
        used = set(re.findall(rf"\b{kind}\.([a-z-]+)", text))
        assert used == set(CALL[kind]), kind


def test_no_script_of_the_workflow_holds_an_expression() -> None:
    """Inputs reach scripts as variables: what they say can be no code."""
    scripts = [step["run"] for step in STEPS.values() if "run" in step]
    assert len(scripts) == 2
    assert not any("${{" in script for script in scripts)
    assert WORKFLOW["permissions"] == {"contents": "read"}


def test_the_workflow_installs_what_it_is_told(tmp_path: Path) -> None:
    done = step("Install", tmp_path, REQUIREMENTS=f"--dry-run --quiet --no-deps --no-index {ROOT}"
                " --no-build-isolation")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        r"FITSPEC_VERSION=fitspec-\d+\.\d+\.\d+\S*\n", (tmp_path / "environment").read_text()
    )


def test_the_workflow_runs_patterns_with_keywords(checkout: Path) -> None:
    done = step("Run", checkout, SPECS="**/quick*.toml\nreinterpretation.toml",
                KEYWORDS="signal_400_0 or m_LSP=300", ARGUMENTS="-n 1 -q")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 points fitted" in done.stdout
    suites = ET.parse(checkout / "fitspec-junit.xml").getroot()
    assert [suite.get("name") for suite in suites] == ["quickstart.toml", "reinterpretation.toml"]
    assert (checkout / "fitspec-results.json").exists()


def test_the_workflow_hands_on_all_inputs(checkout: Path, tmp_path: Path) -> None:
    (checkout / "config.toml").write_text('[endpoints.desk]\nkind = "local"\nworkers = 1\n')
    done = step("Run", checkout, SPECS="quickstart.toml", ENDPOINT="desk", CONFIG="config.toml",
                MIRROR=str(tmp_path), ARGUMENTS="-k 400_0")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "endpoint: desk (local), 1 worker" in done.stdout
    lost = step("Run", checkout, SPECS="quickstart.toml", MIRROR="nowhere")
    assert lost.returncode == 4
    assert "mirror 'nowhere' is no folder" in lost.stderr


@pytest.mark.parametrize("harmless", [{"SPECS": "quickstart.toml"}, {}], ids=["specs", "none"])
def test_no_input_of_the_workflow_is_run(harmless: dict[str, str], checkout: Path) -> None:
    hostile = dict.fromkeys(STEPS["Run"]["env"], '"; touch run; $(touch run) `touch run` #')
    assert step("Run", checkout, **hostile | harmless).returncode == 4
    assert not (checkout / "run").exists()


def test_patterns_that_match_nothing_are_an_error(checkout: Path) -> None:
    done = step("Run", checkout, SPECS="nothing/*.toml")
    assert (done.returncode, done.stdout) == (
        4, "::error title=fitspec::the input specs matches nothing\n",
    )  # fmt: skip


def test_the_page_calls_the_workflow_as_it_is() -> None:
    call = blocks()[0]["jobs"]["limits"]
    assert (ROOT / call["uses"].split("/", 2)[2].split("@")[0]).is_file()
    assert set(call["with"]) <= set(CALL["inputs"])
    for name in (*CALL["inputs"], *CALL["secrets"]):
        assert f"`{name}`" in PAGE


def test_the_hook_takes_all_toml_files_of_a_repository() -> None:
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert [hook["id"]] == [h["id"] for h in blocks()[1]["repos"][0]["hooks"]]
    assert hook["types"] == ["toml"]
    tracked = [str(path) for path in ROOT.rglob("*.toml") if ".venv" not in str(path)]
    assert str(ROOT / "pyproject.toml") in tracked
    program, *arguments = hook["entry"].split()
    done = subprocess.run(
        [Path(sys.executable).parent / program, *arguments, *tracked],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    specs = [*(ROOT / "fitspecs").glob("*.toml"), *(ROOT / "examples").glob("*.toml")]
    assert len(done.stdout.splitlines()) == len(specs)
