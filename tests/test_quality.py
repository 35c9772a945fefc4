"""The source tree itself: lint, types, layers, size, documents, packaging."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fitspec.spec import json_schema

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
MODULES = sorted((ROOT / "engine").rglob("*.py"))

pytestmark = pytest.mark.quality


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["lint-imports"],
        ["mkdocs", "build", "--quiet", "--strict", "--site-dir"],
    ],
    ids=["lint", "format", "types", "layers", "docs"],
)
def test_the_tools_are_content(command: list[str], tmp_path: Path) -> None:
    if not (BIN / command[0]).exists():
        pytest.skip(f"{command[0]} is not installed; pip install -e '.[docs,test]'")
    extra = [str(tmp_path)] if command[0] == "mkdocs" else []
    done = subprocess.run(
        [BIN / command[0], *command[1:], *extra], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_is_one_thought(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= 400


def test_a_package_init_only_re_exports() -> None:
    for module in MODULES:
        if module.name == "__init__.py" and module.parent.name != "fitspec":
            text = module.read_text()
            assert not re.search(r"^(def|class) ", text, re.MULTILINE), module


def test_the_published_schema_is_the_current_one() -> None:
    published = json.loads((ROOT / "docs" / "fitspec-1.schema.json").read_text())
    assert published == json_schema(), "run `fitspec schema > docs/fitspec-1.schema.json`"


def test_ci_runs_what_the_readme_says() -> None:
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    script = (ROOT / ".ci" / "run").read_text()
    set_up, run, tests = blocks[0], blocks[1], blocks[-1]
    assert len(set_up.splitlines()) == 2
    assert run == "fitspec run examples/quickstart.toml\n"
    assert tests == "pytest -n 2 --dist loadfile\n"
    for line in (*set_up.splitlines(), *run.splitlines(), *tests.splitlines()):
        assert line.replace("pip install", "pip install --quiet") in script.splitlines()


def test_the_wheel_carries_the_curated_specifications(tmp_path: Path) -> None:
    if shutil.which("pip", path=str(BIN)) is None:
        pytest.skip("pip is not installed")
    done = subprocess.run(
        [BIN / "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names = zipfile.ZipFile(next(tmp_path.glob("fitspec-*.whl"))).namelist()
    for spec in (ROOT / "fitspecs").rglob("*.*"):
        assert f"fitspec/_library/{spec.relative_to(ROOT / 'fitspecs')}" in names
    assert "fitspec/py.typed" in names
    assert not any(name.startswith(("engine", "tests")) for name in names)
