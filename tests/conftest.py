"""Fixtures: a small workspace of our own, specs around it, and the published likelihoods."""

from __future__ import annotations

import copy
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # in a shell's background job; what the tests start and interrupt would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

# pyhf's matrices are small, and there may be a process of tests on every core
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}

BACKGROUND: dict[str, Any] = {
    "channels": [
        {
            "name": "SR",
            "samples": [
                {
                    "name": "background",
                    "data": [50.0, 30.0],
                    "modifiers": [
                        {"name": "shape", "type": "histosys",
                         "data": {"hi_data": [53.0, 31.0], "lo_data": [48.0, 28.5]}},
                        {"name": "norm", "type": "normsys", "data": {"hi": 1.1, "lo": 0.92}},
                    ],
                }
            ],
        },
        {
            "name": "CR",
            "samples": [
                {
                    "name": "background",
                    "data": [200.0],
                    "modifiers": [
                        {"name": "norm", "type": "normsys", "data": {"hi": 1.08, "lo": 0.93}}
                    ],
                }
            ],
        },
    ],
    "observations": [{"name": "SR", "data": [52.0, 33.0]}, {"name": "CR", "data": [204.0]}],
    "measurements": [{"name": "measurement", "config": {"poi": "mu", "parameters": []}}],
    "version": "1.0.0",
}  # fmt: skip


def signal_patch(yields: list[float], poi: str = "mu") -> list[dict[str, Any]]:
    """Operations that add a signal to the signal region."""
    sample = {
        "name": "signal",
        "data": yields,
        "modifiers": [{"name": poi, "type": "normfactor", "data": None}],
    }
    return [{"op": "add", "path": "/channels/0/samples/-", "value": sample}]


SPEC = """\
fitspec = 1

[analysis]
name = "small"

[workspace]
path = "background.json"

[patches]
files = "patch.signal_{mass}_{width}.json"
"""


@pytest.fixture
def background() -> dict[str, Any]:
    """A background-only workspace: two channels, three bins, POI ``mu``."""
    return copy.deepcopy(BACKGROUND)


@pytest.fixture
def make_patch() -> Callable[..., list[dict[str, Any]]]:
    """Makes the JSON Patch operations of a signal: ``make_patch([5.0, 8.0])``."""
    return signal_patch


@pytest.fixture
def analysis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a spec, its workspace and four patches; also the working directory.

    ``small.toml``, ``background.json`` and ``patch.signal_{100,200}_{1,2}.json``.
    """
    folder = tmp_path / "analysis"
    folder.mkdir()
    (folder / "background.json").write_text(json.dumps(BACKGROUND))
    for mass in (100, 200):
        for width in (1, 2):
            patch = signal_patch([800 / mass, 6.0 * width])
            (folder / f"patch.signal_{mass}_{width}.json").write_text(json.dumps(patch))
    (folder / "small.toml").write_text(SPEC)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees, or touches, the user's configuration and cache."""
    monkeypatch.setenv("FITSPEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FITSPEC_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):  # the tests themselves may run there
        monkeypatch.delenv(name, raising=False)
    if "FITSPEC_MIRROR" in os.environ:
        monkeypatch.setenv("PUBLISHED_MIRROR", os.environ["FITSPEC_MIRROR"])
        monkeypatch.delenv("FITSPEC_MIRROR")


@pytest.fixture(scope="session")
def common_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all tests, in whatever process: what nothing happens to is fitted once."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "common-cache"


@pytest.fixture
def mirror(_own_cache: None) -> Path:
    """Folder of the published likelihoods; skips where it is absent (in CI nothing may skip)."""
    folder = Path(os.environ.get("PUBLISHED_MIRROR") or ROOT.parent / "shared" / "data")
    if not (folder / "mirror.toml").is_file():
        pytest.skip(f"no published likelihoods in {folder}; set FITSPEC_MIRROR")
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    """In CI everything is installed, so a skipped test is a failed one."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report
