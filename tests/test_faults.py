"""What can happen to a run on this machine: its report is that of a run to which nothing happened.

The same for the other kinds of endpoint is in `tests/execute`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import descendants, is_alive, wait_until

FITSPEC = Path(sys.executable).with_name("fitspec")
POINTS = 57


def command(results: Path, *more: str) -> list[str]:
    return [str(FITSPEC), "run", "@stau", "-q", "-n", "2", "--json", str(results), *more]


def numbers(results: Path) -> dict[str, list[float]]:
    """CLs, observed and expected, by point; fails where a point has none."""
    points = json.loads(results.read_text())["points"]
    tests = {point["id"]: point["tests"][0] for point in points}
    return {name: [test["CLs_obs"], *test["CLs_exp"]] for name, test in tests.items()}


def assert_same(found: Path, undisturbed: Path) -> None:
    """Equal but for the last digits: which points are computed together decides on them."""
    expected = numbers(undisturbed)
    assert len(expected) == POINTS
    assert numbers(found) == {name: pytest.approx(n, rel=1e-9) for name, n in expected.items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a run to which nothing happens; made by the first test that compares."""
    return tmp_path_factory.mktemp("undisturbed") / "results.json"


@pytest.fixture
def expected(undisturbed: Path, environment: dict[str, str], common_cache: Path) -> Path:
    if not undisturbed.exists():
        own = environment | {"FITSPEC_CACHE": str(common_cache)}
        subprocess.run(command(undisturbed), env=own, check=True, timeout=120)
    return undisturbed


@pytest.fixture
def environment(mirror: Path, tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "FITSPEC_MIRROR": str(mirror), "FITSPEC_CACHE": str(tmp_path / "cache")}


@pytest.mark.data
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_submitter_that_is_killed_leaves_no_worker_and_nothing_is_computed_twice(
    environment: dict[str, str], tmp_path: Path, expected: Path
) -> None:
    store = Path(environment["FITSPEC_CACHE"]) / "results"
    process = subprocess.Popen(command(tmp_path / "none.json"), env=environment)
    wait_until(lambda: len(list(store.glob("??/*.json"))) >= 5)
    started = descendants(process.pid)
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(is_alive, started)))
    kept = {path: path.stat().st_mtime_ns for path in store.glob("??/*.json")}
    assert 5 <= len(kept) < POINTS

    done = subprocess.run(
        command(tmp_path / "again.json"), env=environment, capture_output=True, text=True
    )

    assert done.returncode == 0
    assert f"{POINTS} points fitted ({len(kept)} from the store)" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert_same(tmp_path / "again.json", expected)


@pytest.mark.data
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_all_workers_killed_at_once_change_nothing(
    environment: dict[str, str], tmp_path: Path, expected: Path
) -> None:
    store = Path(environment["FITSPEC_CACHE"]) / "results"
    process = subprocess.Popen(command(tmp_path / "results.json"), env=environment)
    wait_until(lambda: len(list(store.glob("??/*.json"))) >= 5)
    for pid in descendants(process.pid):
        if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)  # the server, and the workers forked from it

    assert process.wait(timeout=120) == 0
    assert_same(tmp_path / "results.json", expected)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, with little space."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.data
def test_a_full_disk_costs_the_store_and_no_number(
    environment: dict[str, str], small_disk: Path, tmp_path: Path, expected: Path
) -> None:
    done = subprocess.run(
        command(tmp_path / "results.json"),
        env=environment | {"FITSPEC_CACHE": str(small_disk)}, capture_output=True, text=True,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    warning = "warning: the result store cannot be written: No space left on device"
    assert done.stdout.count(warning) == 1
    assert_same(tmp_path / "results.json", expected)
    stored = list(small_disk.glob("results/??/*.json"))
    assert 1 <= len(stored) < POINTS
    assert all(json.loads(path.read_text())["status"] == "ok" for path in stored)
