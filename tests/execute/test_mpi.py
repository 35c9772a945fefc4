"""Ranks of a real MPI job as workers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fitspec.errors import EndpointError
from fitspec.execute.mpi import MpiPool
from fitspec.execute.pool import Endpoint

ROOT = Path(__file__).resolve().parents[2]

DRIVER = """\
import json, sys
from pathlib import Path
import stand_ins
from fitspec.collect import collect
from fitspec.execute import Patience, ResultStore, run_fits, runner
from fitspec.execute.mpi import MpiPool
from fitspec.execute.pool import Endpoint, Habits
from fitspec.plan import make_plan
from fitspec.sources import Access
from fitspec.spec import load_spec

if __name__ == "__main__":
    folder, how, deadline = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    plan = make_plan(collect([load_spec(folder / "small.toml")], Access(folder / "cache")))
    if how == "toys without end":
        task = list(plan.fits.values())[1]
        task.order["question"] |= {"toys": 10**9, "seed": 1}
    else:
        runner.run_chunk = getattr(stand_ins, how)
        MpiPool.habits = Habits(seconds=0.0, at_least=0.0)  # points travel alone
    pool = MpiPool(Endpoint("mpi", "mpi"))
    store = ResultStore(folder / "results")
    for computed in run_fits(plan.fits.values(), pool, store, Patience(deadline)):
        [point] = plan.points[computed.key]
        outcome = computed.outcome
        found = [test.CLs_obs for test in outcome.tests]
        line = [point.id, found, outcome.error, outcome.worker, computed.cached, pool.workers]
        print(json.dumps(line), flush=True)
"""


@pytest.fixture
def job(tmp_path: Path) -> list[str]:
    """Starts a driver on three ranks; skips where there is no MPI."""
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    if shutil.which("mpiexec") is None:
        pytest.skip("no MPI: there is no mpiexec")
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER)
    return ["mpiexec", "-n", "3", sys.executable, "-m", "mpi4py.futures", str(driver)]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Open MPI wants to be told that root, and more ranks than cores, are meant."""
    names = ["ALLOW_RUN_AS_ROOT", "ALLOW_RUN_AS_ROOT_CONFIRM"]
    allowed = {f"OMPI_{name}": "1" for name in names} | {"OMPI_MCA_rmaps_base_oversubscribe": "1"}
    allowed["PRTE_MCA_rmaps_default_mapping_policy"] = ":oversubscribe"  # from Open MPI 5 on
    path = os.pathsep.join([str(ROOT / "engine"), str(ROOT / "tests")])
    return {**os.environ, **allowed, "PYTHONPATH": path, "TMPDIR": "/tmp"}


def run(command: list[str], environment: dict[str, str]) -> list[list[object]]:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_ranks_give_the_numbers_of_this_machine(job, environment, tmp_path):
    """As the manual says; the quickstart has its expected values with it."""
    results = tmp_path / "results.json"
    run = ["-m", "fitspec", "run", str(ROOT / "examples" / "quickstart.toml"), "--endpoint", "mpi"]

    done = subprocess.run(
        [*job[:-1], *run, "--json", str(results)], env=environment, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "endpoint: mpi" in done.stdout
    found = json.loads(results.read_text())
    assert found["summary"]["passed"] == 19
    assert len({point["worker"] for point in found["points"]}) == 2


def test_a_point_that_hangs_is_stopped_by_its_rank(job, environment, analysis):
    late = "ExecutionError: not done after 5 s, the deadline"

    found = run([*job, str(analysis), "toys without end", "5"], environment)

    assert {line[0]: line[2] for line in found} == {
        "signal_100_1": None, "signal_100_2": late, "signal_200_1": None, "signal_200_2": None,
    }  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the ranks")
def test_a_rank_that_is_killed_ends_the_job_which_then_resumes(job, environment, analysis):
    with subprocess.Popen(
        [*job, str(analysis), "hang", "60"], env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        os.kill(int(first[3].rpartition(":")[2]), signal.SIGKILL)
    assert process.returncode != 0
    kept = list((analysis / "results").glob("??/*.json"))
    assert 1 <= len(kept) < 4

    found = run([*job, str(analysis), "answer", "60"], environment)

    assert sum(line[4] for line in found) == len(kept)
    assert [line[2] for line in found] == [None] * 4


def test_without_a_job_the_command_is_told(monkeypatch):
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")

    with pytest.raises(EndpointError) as caught, MpiPool(Endpoint("mpi", "mpi")).open():
        pass

    assert str(caught.value) == (
        "this is no MPI job; run it as "
        "`mpiexec -n 3 python -m mpi4py.futures -m fitspec run ... --endpoint mpi`"
    )


def test_one_rank_alone_has_none_to_compute(job, environment, analysis):
    job[2] = "1"

    done = subprocess.run(
        [*job, str(analysis), "answer", "60"], env=environment, capture_output=True, text=True
    )

    assert done.returncode != 0
    assert "EndpointError: this MPI job has no rank to compute; run it as `" in done.stderr
