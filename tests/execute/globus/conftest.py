"""Globus Compute's whole chain on loopback, started once, and the fits that go through it."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback.chain import Chain, log_in, missing, running_chain
from loopback.runs import pool_at
from loopback.service import Service

from fitspec.cli import run_command_line
from fitspec.collect import collect
from fitspec.execute import ResultStore, runner
from fitspec.execute.globus import GlobusPool
from fitspec.outcome import Outcome
from fitspec.plan import FitTask, make_plan
from fitspec.sources import Access
from fitspec.spec import load_spec

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Broker, stand-in service, and the unmodified endpoint daemon with two worker processes."""
    if reason := missing():
        pytest.skip(reason)
    with running_chain(tmp_path_factory.mktemp("globus")) as found:
        yield found


@pytest.fixture
def service(chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """The stand-in, which the SDK takes for the real one."""
    log_in(chain, tmp_path / "globus", monkeypatch)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'engine'}:{ROOT / 'tests'}")  # for other processes
    monkeypatch.setattr(runner, "QUICK", 30.0)  # what is lost without need fails in a minute
    yield chain.service
    gc.collect()  # what the SDK forgot goes with the test that may ignore it


@pytest.fixture
def pool(chain: Chain, service: Service) -> GlobusPool:
    return pool_at(chain.daemon.id)


@pytest.fixture
def loopback_config(
    chain: Chain, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The user's configuration, which knows the endpoint as ``loopback``."""
    config = tmp_path / "config.toml"
    settings = f'kind = "globus-compute"\nid = "{chain.daemon.id}"\nworkers = 2\n'
    config.write_text(f"[endpoints.loopback]\n{settings}")
    monkeypatch.setenv("FITSPEC_CONFIG", str(config))
    return config


def mirror() -> Path:
    named = os.environ.get("PUBLISHED_MIRROR") or os.environ.get("FITSPEC_MIRROR")
    folder = Path(named or ROOT.parent / "shared" / "data")
    if not (folder / "mirror.toml").is_file():
        pytest.skip(f"no published likelihoods in {folder}; set FITSPEC_MIRROR")
    return folder


def run_stau(results: Path, *options: str) -> int:
    """``fitspec run fitspecs/stau.toml`` in this process; returns its exit code."""
    where = ["--mirror", str(mirror()), "--json", str(results), "-q"]
    return run_command_line(["run", str(ROOT / "fitspecs" / "stau.toml"), *where, *options])


def plan_of_stau(cache: Path) -> list[FitTask]:
    """The 57 fits of stau."""
    found = collect([load_spec(ROOT / "fitspecs" / "stau.toml")], Access(cache, mirror()))
    return list(make_plan(found).fits.values())


@pytest.fixture(scope="session")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> list[FitTask]:
    return plan_of_stau(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def local_results(tmp_path_factory: pytest.TempPathFactory, common_cache: Path) -> Path:
    """results.json of this machine."""
    results = tmp_path_factory.mktemp("local") / "results.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITSPEC_CACHE", str(common_cache))
        assert run_stau(results, "--endpoint", "local", "-n", "2") == 0
    return results


@pytest.fixture(scope="session")
def local(tasks: list[FitTask], local_results: Path, common_cache: Path) -> dict[str, Outcome]:
    """What this machine makes of the fits, by key."""
    store = ResultStore(common_cache / "results")
    return {task.key: store.get(task.key) for task in tasks}


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "results")
