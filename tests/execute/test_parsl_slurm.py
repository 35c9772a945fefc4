"""Fits in jobs of a real Slurm cluster: submitted, lost, cancelled and refused."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm
import stau
from processes import wait_until

from fitspec.errors import EndpointError
from fitspec.execute import ResultStore, run_fits
from fitspec.execute.check import check_endpoint
from fitspec.execute.parsl import ParslPool
from fitspec.execute.pool import Endpoint

pytest.importorskip("parsl")
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(not slurm.is_installed(), reason="Debian's slurm-wlm is not installed"),
]

MANUAL = Path(__file__).parents[2] / "docs" / "endpoints" / "parsl" / "slurm.py"
HERE = {
    'partition="short"': 'partition="fits"',
    'account="myproject"': "exclusive=False",
    "address_by_hostname()": '"127.0.0.1"',
    "=32": "=2",
    "max_blocks=4": "max_blocks=1",
    "strategy_period=5": "strategy_period=0.5",
    "source ~/fitspec/bin/activate": f"export PATH={Path(sys.executable).parent}:$PATH",
}
"""What a user changes in the manual's configuration."""

CONFIG = """\
import sys
from pathlib import Path

from parsl import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import SlurmProvider

config = Config(
    executors=[
        HighThroughputExecutor(
            address="127.0.0.1",
            max_workers_per_node=1,
            heartbeat_period=1,
            heartbeat_threshold=5,
            provider=SlurmProvider(
                partition={partition!r},
                exclusive=False,
                cores_per_node=1,
                init_blocks={blocks},
                max_blocks={blocks},
                walltime="00:10:00",
                worker_init=f"export OMP_NUM_THREADS=1 PATH={{Path(sys.executable).parent}}:$PATH",
            ),
        )
    ],
    strategy_period=0.5,
)
"""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    # not below pytest's own folder, which others may not read, as munge would have it
    with (
        tempfile.TemporaryDirectory(prefix="slurm-") as folder,
        slurm.cluster(Path(folder)) as configuration,
    ):
        yield configuration


@pytest.fixture
def queue(cluster, monkeypatch):
    """Asks Slurm about its jobs; who is told of the cluster by the environment."""
    monkeypatch.setenv("SLURM_CONF", str(cluster))
    monkeypatch.setenv("PATH", slurm.PATH)

    def ask(*command: str) -> list[str]:
        return slurm.ask(*command, at=cluster).split()

    return ask


@pytest.fixture
def configured(tmp_path):
    def make(blocks: int = 2, partition: str = "fits") -> ParslPool:
        (tmp_path / "config.py").write_text(CONFIG.format(blocks=blocks, partition=partition))
        return ParslPool(Endpoint("parsl", "cluster", config=tmp_path / "config.py"))

    return make


@pytest.fixture
def store(tmp_path) -> ResultStore:
    return ResultStore(tmp_path / "results")


@pytest.mark.data
def test_stau_through_slurm_has_the_numbers_of_local_workers(
    queue, configured, store, mirror, common_cache, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    pool, tasks = configured(), stau.tasks(mirror)
    assert pool.workers == 2
    found, jobs = [], []
    for computed in run_fits(tasks, pool, store):
        jobs = jobs or queue("squeue", "-h", "-o", "%j")
        found.append(computed)

    stau.assert_local(found, tasks, mirror, common_cache)
    assert len(jobs) == 2
    assert all(name.startswith("parsl.HighThroughputExecutor.block-") for name in jobs)
    wait_until(lambda: not queue("squeue", "-h"), patience=10)
    assert not (tmp_path / "runinfo").exists()
    assert capfd.readouterr() == ("", "")


@pytest.mark.data
def test_a_job_that_is_cancelled_is_replaced(queue, configured, store, mirror, common_cache):
    tasks, found, cancelled = stau.some(mirror), [], []
    for computed in run_fits(tasks, configured(blocks=1), store):
        if not found:
            cancelled = queue("squeue", "-h", "-o", "%i")
            queue("scancel", *cancelled)
        found.append(computed)

    stau.assert_local(found, tasks, mirror, common_cache)
    assert len(cancelled) == 1
    assert len({c.outcome.worker for c in found}) == 2
    wait_until(lambda: not queue("squeue", "-h"), patience=10)


@pytest.mark.data
def test_a_submitter_that_is_killed_leaves_no_job(
    queue, configured, store, mirror, tmp_path, monkeypatch
):
    configured()
    settings = '[endpoints.cluster]\nkind = "parsl"\nconfig = "config.py"\n'
    (tmp_path / "config.toml").write_text(settings)
    monkeypatch.setenv("FITSPEC_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("FITSPEC_CACHE", str(tmp_path))
    monkeypatch.setenv("FITSPEC_MIRROR", str(mirror))
    command = [sys.executable, "-m", "fitspec", "run", "@stau", "--endpoint", "cluster", "-q"]
    submitter = subprocess.Popen(command)
    wait_until(lambda: store.size()[0] >= 1)
    assert queue("squeue", "-h")
    submitter.kill()
    submitter.wait()

    # workers miss the heartbeat, and end with their jobs
    wait_until(lambda: not queue("squeue", "-h"), patience=30)


@pytest.mark.data
def test_a_partition_that_is_none_is_an_endpoint_error_in_slurms_words(
    queue, configured, store, mirror, tmp_path
):
    with pytest.raises(EndpointError) as caught:
        list(run_fits(stau.some(mirror), configured(partition="nowhere"), store))

    assert str(caught.value) == (
        "Parsl gets no workers: sbatch: error: invalid partition specified: nowhere "
        "sbatch: error: Batch job submission failed: Invalid partition name specified; "
        f"correct {tmp_path / 'config.py'}"
    )
    assert store.size() == (0, 0)


def test_the_manuals_configuration_serves_with_the_names_of_the_site(queue, configured, tmp_path):
    pool, text = configured(), MANUAL.read_text()
    for theirs, ours in HERE.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    (tmp_path / "config.py").write_text(text)
    found = {finding.name: finding.text for finding in check_endpoint(pool, timeout=60)}
    assert found["here"] == found["there"]
    assert float(found["throughput"].split()[0]) > 1
    wait_until(lambda: not queue("squeue", "-h"), patience=10)
