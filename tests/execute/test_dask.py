"""Dask, real clusters of it: our own, and a scheduler and workers that others have started."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import stand_ins
from processes import descendants, is_alive, wait_until

import fitspec
from fitspec.collect import collect
from fitspec.errors import EndpointError, WorkerLostError
from fitspec.execute import Computed, LocalPool, Patience, ResultStore, run_fits, runner
from fitspec.execute import dask as by_dask
from fitspec.execute.dask import DaskPool
from fitspec.execute.local import THREAD_VARIABLES
from fitspec.execute.pool import Endpoint, Habits
from fitspec.outcome import Outcome
from fitspec.plan import FitTask, make_plan
from fitspec.sources import Access
from fitspec.spec import load_spec

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("distributed", reason="Dask is not installed")
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    # Dask leaves connections open to schedulers that were killed
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:Warning"),
]


@pytest.fixture(autouse=True)
def _sockets_end_with_their_test() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="module")
def stau(tmp_path_factory: pytest.TempPathFactory) -> list[FitTask]:
    """The 57 fits of a published search."""
    mirror = Path(os.environ.get("FITSPEC_MIRROR") or ROOT.parent / "shared" / "data")
    if not (mirror / "mirror.toml").is_file():
        pytest.skip(f"no published likelihoods in {mirror}; set FITSPEC_MIRROR")
    access = Access(tmp_path_factory.mktemp("sources"), mirror)
    return list(
        make_plan(collect([load_spec(ROOT / "fitspecs" / "stau.toml")], access)).fits.values()
    )


@pytest.fixture(scope="module")
def undisturbed(stau: list[FitTask], common_cache: Path) -> dict[str, Outcome]:
    """What the processes of this machine give."""
    store = ResultStore(common_cache / "results")
    return {c.key: c.outcome for c in run_fits(stau, LocalPool(2), store)}


@pytest.fixture
def few(stau: list[FitTask]) -> list[FitTask]:
    return stau[:8]


@pytest.fixture
def tasks(analysis: Path) -> list[FitTask]:
    """The four fits of the small analysis."""
    found = collect([load_spec(analysis / "small.toml")], Access(analysis / "cache"))
    return list(make_plan(found).fits.values())


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "results")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Workers answer at once, without a fit."""
    monkeypatch.setattr(runner, "run_chunk", stand_ins.answer)
    return stand_ins


@dataclass
class Processes:
    """A scheduler and its workers, as somebody starts them on a command line."""

    folder: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def scheduler(self, port: int, before: str = "") -> subprocess.Popen[bytes]:
        """Listens when this returns; ``before``: what its Python does first."""
        known = self.folder / f"scheduler-{len(self.running)}.json"
        options = ["--host=127.0.0.1", f"--port={port}", f"--scheduler-file={known}"]
        started = self._start("scheduler", *options, before=before)
        wait_until(known.exists)
        return started

    def worker(self, address: str, before: str = "", *options: str) -> subprocess.Popen[bytes]:
        """One thread, which joins in a while; ``before``: what its Python does first."""
        return self._start("worker", address, "--nthreads=1", "--memory-limit=0",
                           f"--local-directory={self.folder}", *options, before=before)  # fmt: skip

    def _start(self, kind: str, *options: str, before: str = "") -> subprocess.Popen[bytes]:
        main = f"{before}\nfrom distributed.cli.dask_{kind} import main\nmain()"
        command = [sys.executable, "-c", main, "--no-dashboard", *options]
        path = os.pathsep.join([str(ROOT / "engine"), str(ROOT / "tests")])
        log = (self.folder / "log").open("ab")
        process = subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": path}, stdout=log, stderr=log
        )
        log.close()
        self.running.append(process)
        return process

    def stop(self) -> None:
        started = [pid for process in self.running for pid in descendants(process.pid)]
        for process in self.running:
            process.kill()
            process.wait()
        for pid in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    (tmp_path / "dask").mkdir()
    started = Processes(tmp_path / "dask")
    yield started
    started.stop()


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def ours(workers: int = 2) -> DaskPool:
    return DaskPool(Endpoint("dask", "dask", workers=workers))


def at(address: str, **settings: Any) -> DaskPool:
    return DaskPool(Endpoint("dask", "cluster", address=address, **settings))


def numbers(outcome: Outcome) -> list[float]:
    [test] = outcome.tests
    return [test.CLs_obs, *test.CLs_exp, outcome.upper_limit_obs, *outcome.upper_limit_exp]


def assert_same(found: list[Computed], undisturbed: dict[str, Outcome]) -> None:
    """Each point once; equal but for the last digits, which depend on its company."""
    assert len({computed.key for computed in found}) == len(found)
    for computed in found:
        expected = pytest.approx(numbers(undisturbed[computed.key]), rel=1e-9)
        assert numbers(computed.outcome) == expected


def reasons(found: list[Computed], tasks: list[FitTask]) -> dict[str, str | None]:
    assert len(found) == len(tasks)
    names = {task.key: task.order["patch_name"] for task in tasks}
    return {names[computed.key]: computed.outcome.error for computed in found}


def worker_of(computed: Computed) -> int:
    return int(computed.outcome.worker.rpartition(":")[2])


def test_our_own_cluster_gives_the_numbers_of_this_machine(stau, store, undisturbed, capfd):
    found = list(run_fits(stau, ours(), store))

    assert len(found) == 57
    assert_same(found, undisturbed)
    assert len({worker_of(computed) for computed in found}) == 2
    assert capfd.readouterr() == ("", "")


def test_a_worker_of_our_own_that_is_killed_changes_nothing(few, store, undisturbed, capfd):
    found = []
    for computed in run_fits(few, ours(), store):
        if not found:
            os.kill(worker_of(computed), signal.SIGKILL)
        found.append(computed)

    assert len(found) == 8
    assert_same(found, undisturbed)
    assert capfd.readouterr() == ("", "")


def test_a_point_that_kills_every_worker_is_one_error(tasks, store, quick, monkeypatch):
    monkeypatch.setattr(runner, "run_chunk", quick.die_of_poison)

    found = list(run_fits(tasks, ours(), store))

    died = "WorkerLostError: the worker died while computing this point (killed, or crashed)"
    assert reasons(found, tasks) == {
        "signal_100_1": None, "signal_100_2": died, "signal_200_1": None, "signal_200_2": None,
    }  # fmt: skip


def test_a_point_that_blocks_every_worker_is_one_error(tasks, store, quick, monkeypatch):
    monkeypatch.setattr(runner, "run_chunk", quick.hang)
    monkeypatch.setattr(runner, "GRACE", 1.0)
    monkeypatch.setattr(runner, "MAX_LOST", 2)
    two = [task for task in tasks if "signal_100" in task.order["patch_name"]]

    found = list(run_fits(two, ours(), store, Patience(deadline=1.0)))

    late = "WorkerLostError: no answer came for 3 s"
    assert reasons(found, two) == {"signal_100_1": None, "signal_100_2": late}


def test_nothing_is_left_of_our_own_cluster_though_it_is_busy(monkeypatch, tmp_path):
    (scratch := tmp_path / "scratch").mkdir()
    monkeypatch.setattr(by_dask.tempfile, "tempdir", str(scratch))
    environment = dict(os.environ)
    before = set(threading.enumerate())

    with ours().open() as executor:
        workers = {executor.submit(os.getpid).result() for _ in range(4)}
        assert any(scratch.iterdir())
        busy = [executor.submit(time.sleep, 60) for _ in range(4)]
        started = time.monotonic()
    assert time.monotonic() - started < 5
    wait_until(lambda: not any(map(is_alive, workers)), patience=1)
    wait_until(lambda: all(future.done() for future in busy), patience=1)
    assert not any(scratch.iterdir())
    assert dict(os.environ) == environment
    assert all(thread.daemon for thread in set(threading.enumerate()) - before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_our_own_cluster_starts_leaves_nothing(capfd, number):
    # as the command has it
    before = signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    started = set(descendants(os.getpid()))
    timer = threading.Timer(0.3, os.kill, (os.getpid(), number))

    timer.start()
    with pytest.raises(KeyboardInterrupt), ours().open():
        time.sleep(10)

    left = [pid for pid in set(descendants(os.getpid())) - started if is_alive(pid)]
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left]
    signal.signal(signal.SIGTERM, before)
    assert not [command for command in commands if b"spawn_main" in command]
    assert capfd.readouterr() == ("", "")


def test_workers_of_our_own_leave_ctrl_c_to_us_and_compute_with_one_thread(monkeypatch):
    monkeypatch.delenv(THREAD_VARIABLES[0], raising=False)
    monkeypatch.setenv(THREAD_VARIABLES[1], "3")

    with ours(1).open() as executor:
        pid = executor.submit(os.getpid).result()
        os.kill(pid, signal.SIGINT)
        assert executor.submit(os.getpid).result() == pid
        assert executor.submit(os.getenv, THREAD_VARIABLES[0]).result() == "1"
        assert executor.submit(os.getenv, THREAD_VARIABLES[1]).result() == "3"


def test_nobody_gets_into_our_own_cluster_without_its_keys():
    from distributed import Security

    with ours(1).open() as executor:
        address = executor._client.scheduler.address
        assert address.startswith("tls://127.0.0.1:")
        for stranger in (Security(), Security.temporary()):
            with pytest.raises((OSError, TypeError)):
                by_dask._connected(address, security=stranger, timeout=1)
        assert executor.submit(len, "still here").result() == 10


def test_a_client_that_cannot_connect_is_closed_at_once():
    def loops() -> int:
        return sum(thread.name == "IO loop" for thread in threading.enumerate())

    before = loops()
    with pytest.raises(TypeError, match="ssl_context"):
        by_dask._connected("tls://127.0.0.1:1", timeout=1)

    assert loops() == before


@pytest.fixture
def address(processes: Processes) -> str:
    """A scheduler, and a worker that is about to join."""
    port = free_port()
    processes.scheduler(port)
    processes.worker(f"tcp://127.0.0.1:{port}")
    return f"tcp://127.0.0.1:{port}"


def test_a_cluster_at_an_address_gives_the_same_numbers_and_survives_its_workers(
    few, store, undisturbed, processes, address, capfd
):
    """A second worker is there before the first one is killed."""
    pool = at(address)
    assert (pool.workers, pool.habits) == (1, Habits(in_flight=1))
    found = []
    for computed in run_fits(few, pool, store):
        if not found:
            processes.worker(address)
            wait_until(lambda: pool.workers == 2)
            os.kill(worker_of(computed), signal.SIGKILL)
        found.append(computed)

    assert len(found) == 8
    assert_same(found, undisturbed)
    assert capfd.readouterr() == ("", "")


def test_a_scheduler_that_is_killed_ends_the_run_which_then_resumes(
    few, store, undisturbed, processes, monkeypatch, capfd
):
    monkeypatch.setattr(DaskPool, "habits", Habits(seconds=0.1, at_least=0.0))
    monkeypatch.setattr(by_dask, "CONNECT", 2.0)
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    scheduler = processes.scheduler(port)
    processes.worker(address)
    found: list[Computed] = []

    def run_until_the_end() -> None:
        for computed in run_fits(few, at(address, queue=20.0), store):
            found.append(computed)
            if len(found) == 1:
                scheduler.kill()

    with pytest.raises(EndpointError, match=f"^no Dask scheduler at {address}: "):
        run_until_the_end()

    kept = store.size()[0]
    assert 1 <= kept == len(found) < 8
    processes.scheduler(port)
    processes.worker(address)
    again = list(run_fits(few, at(address, queue=20.0), store))
    assert len(again) == 8
    assert_same(again, undisturbed)
    assert sum(computed.cached for computed in again) == kept
    assert capfd.readouterr() == ("", "")


def test_a_scheduler_that_comes_back_in_time_costs_nothing(
    few, store, undisturbed, processes, monkeypatch
):
    monkeypatch.setattr(DaskPool, "habits", Habits(seconds=0.1, at_least=0.0))
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    scheduler = processes.scheduler(port)
    processes.worker(address)
    found = []
    for computed in run_fits(few, at(address, queue=20.0), store):
        if not found:
            scheduler.kill()
            scheduler.wait()
            processes.scheduler(port)
            processes.worker(address)  # the others have gone with their scheduler
        found.append(computed)

    assert len(found) == 8
    assert_same(found, undisturbed)
    assert not any(computed.cached for computed in found)


@pytest.mark.parametrize("place", ["nobody", "nonsense", "silence", "no host"])
def test_a_wrong_address_is_told_promptly(place, monkeypatch, capfd):
    monkeypatch.setattr(by_dask, "CONNECT", 1.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = {
            "nobody": f"tcp://127.0.0.1:{free_port()}",
            "nonsense": "nonsense://here",
            "silence": f"tcp://127.0.0.1:{silent.getsockname()[1]}",
            "no host": "tcp://nobody.invalid:8786",
        }[place]
        start = time.monotonic()
        with pytest.raises(EndpointError) as caught, at(address).open():
            pass

    assert time.monotonic() - start < 5
    assert str(caught.value).startswith(f"no Dask scheduler at {address}: ")
    assert str(caught.value).endswith("; is it running, and is this its address?")
    assert capfd.readouterr() == ("", "")


def test_a_scheduler_without_workers_is_told(processes, monkeypatch):
    monkeypatch.setattr(by_dask, "CONNECT", 1.0)
    port = free_port()
    processes.scheduler(port)

    with pytest.raises(EndpointError) as caught, at(f"tcp://127.0.0.1:{port}", queue=0.5).open():
        pass

    assert str(caught.value).startswith("no worker has come to the Dask scheduler within 2 s; ")


def test_workers_of_another_version_and_without_fitspec_are_told(
    tasks, store, processes, monkeypatch
):
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    processes.scheduler(port)
    other = processes.worker(address, "import fitspec; fitspec.__version__ = '99.0'", "--no-nanny")
    found = list(run_fits(tasks, at(address, queue=20.0), store))
    other.kill()

    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert set(reasons(found, tasks).values()) == {
        f"ExecutionError: submitted by fitspec {fitspec.__version__} on Python {python}, but the "
        f"worker has fitspec 99.0 on Python {python}; install the same on both sides"
    }

    processes.worker(address, "import sys; sys.modules['fitspec'] = None", "--no-nanny")
    with pytest.raises(EndpointError, match=r"^the workers of the Dask cluster have no fitspec; "):
        list(run_fits(tasks, at(address, queue=20.0), store))


def test_a_scheduler_without_fitspec_is_told(tasks, store, processes):
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    processes.scheduler(port, "import sys; sys.modules['fitspec'] = None")
    processes.worker(address)

    with pytest.raises(EndpointError, match=r"^the Dask cluster cannot take work: .*fitspec"):
        list(run_fits(tasks, at(address, queue=20.0), store))


def command(results: Path, endpoint: str, *more: str) -> list[str]:
    run = [sys.executable, "-m", "fitspec", "run", "@stau", "-k", "m_stau=120 or m_stau=200"]
    return [*run, "-q", "--endpoint", endpoint, "--json", str(results), *more]


@pytest.fixture
def environment(mirror: Path, tmp_path: Path) -> dict[str, str]:
    own = {"FITSPEC_MIRROR": str(mirror), "FITSPEC_CACHE": str(tmp_path / "cache")}
    own |= {"PYTHONPATH": str(ROOT / "engine"), "TMPDIR": str(tmp_path)}
    return {**os.environ, **own}


def test_a_submitter_that_is_killed_leaves_no_process_and_nothing_is_computed_twice(
    environment, tmp_path
):
    results, kept = tmp_path / "results.json", tmp_path / "cache" / "results"
    killed = subprocess.Popen(command(results, "dask", "-n", "2"), env=environment)
    wait_until(lambda: len(list(kept.glob("??/*.json"))) >= 2)
    started = descendants(killed.pid)
    killed.kill()
    killed.wait()
    wait_until(lambda: not any(map(is_alive, started)), patience=5)
    before = {path: path.stat().st_mtime_ns for path in kept.glob("??/*.json")}

    done = subprocess.run(
        command(results, "dask", "-n", "2"), env=environment, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    points = json.loads(results.read_text())["points"]
    assert 2 <= sum(point["cached"] for point in points) == len(before) < len(points)
    assert all(point["status"] == "ok" for point in points)


def test_the_report_of_a_run_whose_scheduler_is_killed_says_what_is_missing(
    environment, tmp_path, processes
):
    port = free_port()
    scheduler = processes.scheduler(port)
    worker = processes.worker(f"tcp://127.0.0.1:{port}", "", "--no-nanny")
    config = tmp_path / "config.toml"
    config.write_text(f'endpoints.lab = {{ kind = "dask", address = "tcp://127.0.0.1:{port}" }}\n')
    results, kept = tmp_path / "results.json", tmp_path / "cache" / "results"
    process = subprocess.Popen(
        command(results, "lab"), env=environment | {"FITSPEC_CONFIG": str(config)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(lambda: len(list(kept.glob("??/*.json"))) >= 1)
    worker.send_signal(signal.SIGSTOP)  # so that not all is done at once
    scheduler.kill()
    out, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (1, "")
    points = json.loads(results.read_text())["points"]
    errors = {point["error"] for point in points if point["status"] == "error"}
    assert len([point for point in points if point["status"] == "ok"]) == len(
        list(kept.glob("??/*.json"))
    )
    [reason] = errors
    assert f"no Dask scheduler at tcp://127.0.0.1:{port}: " in reason
    assert f"no Dask scheduler at tcp://127.0.0.1:{port}: " in out


def test_what_kills_several_workers_says_so():
    from distributed import KilledWorker

    [explained] = [ours().explain(KilledWorker("run_chunk-1", None, 3))]

    assert type(explained) is WorkerLostError
    assert str(explained).startswith("4 workers died while computing")
