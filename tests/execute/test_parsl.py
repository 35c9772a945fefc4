"""Parsl's HighThroughputExecutor with real processes: the numbers, and what dies on the way."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import stand_ins
import stau
from processes import Marked, wait_until

import fitspec
from fitspec.collect import collect
from fitspec.errors import EndpointError, FitspecError, TooLargeError, UsageError, WorkerLostError
from fitspec.execute import Patience, ResultStore, prepare, run_fits, runner
from fitspec.execute.parsl import REMEDY, ParslPool
from fitspec.execute.pool import Endpoint, Habits
from fitspec.plan import FitTask, make_plan
from fitspec.sources import Access
from fitspec.spec import load_spec

pytest.importorskip("parsl")
from fitspec.execute import parsl_kernel

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

TESTS = Path(__file__).parents[1]
HERE = ParslPool(Endpoint("parsl", "parsl", workers=2))
SMALL = Habits(seconds=0.3, at_least=0.0, max_bytes=None, compression=0)
"""Many chunks, so that there are some left when something happens."""


@dataclass
class Watched:
    """A pool whose executors a test can get at."""

    pool: ParslPool = HERE
    habits: Habits = SMALL
    executors: list[Executor] = field(default_factory=list)

    @property
    def workers(self) -> int:
        return self.pool.workers

    @contextlib.contextmanager
    def open(self) -> Iterator[Executor]:
        with self.pool.open() as executor:
            self.executors.append(executor)
            yield executor

    def explain(self, error: BaseException) -> FitspecError:
        return self.pool.explain(error)


@dataclass
class Shared(Watched):
    """A pool that opens nothing: its executor is open, and stays so."""

    executor: Executor | None = None

    @contextlib.contextmanager
    def open(self) -> Iterator[Executor]:
        yield self.executor


@pytest.fixture(scope="module")
def happened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that says that something has happened which should only once."""
    return tmp_path_factory.mktemp("once") / "happened"


@pytest.fixture(scope="module")
def executor(happened: Path) -> Iterator[Executor]:
    """One for all tests that leave it alive; its workers import the tests' stand-ins."""
    with pytest.MonkeyPatch.context() as patch:
        let_workers_import(TESTS, patch)
        patch.setenv("HAPPENED", str(happened))
        with HERE.open() as executor:
            yield executor


@pytest.fixture
def shared(executor: Executor) -> Shared:
    return Shared(executor=executor)


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> Marked:
    prepare()  # local workers, for comparison, are no process of Parsl
    return Marked(monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "results")


@pytest.fixture
def small(analysis: Path) -> list[FitTask]:
    """The four fits of the small analysis."""
    found = collect([load_spec(analysis / "small.toml")], Access(analysis / "cache"))
    return list(make_plan(found).fits.values())


def let_workers_import(folder: Path, patch: pytest.MonkeyPatch) -> None:
    path = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    patch.setenv("PYTHONPATH", os.pathsep.join(path))


def reasons(found, tasks):
    names = {task.key: task.order["patch_name"] for task in tasks}
    return {names[c.key]: c.outcome.error for c in found}


def only_the_culprit(error):
    return {"signal_100_1": None, "signal_100_2": error,
            "signal_200_1": None, "signal_200_2": None}  # fmt: skip


@pytest.mark.data
def test_stau_has_the_numbers_of_local_workers(shared, store, mirror, common_cache):
    tasks = stau.tasks(mirror)

    found = list(run_fits(tasks, replace(shared, habits=HERE.habits), store))

    stau.assert_local(found, tasks, mirror, common_cache)
    assert len({c.outcome.worker for c in found}) == 2


@pytest.mark.data
def test_a_worker_that_is_killed_changes_nothing(
    shared, store, mirror, common_cache, happened, monkeypatch
):
    monkeypatch.setattr(runner, "run_chunk", stand_ins.die_once)
    tasks = stau.some(mirror)

    found = list(run_fits(tasks, shared, store))

    assert happened.exists()
    stau.assert_local(found, tasks, mirror, common_cache)


def test_a_point_that_kills_every_worker_is_one_error(shared, store, small, monkeypatch):
    monkeypatch.setattr(runner, "run_chunk", stand_ins.die_of_poison)

    found = reasons(run_fits(small, shared, store), small)

    [error] = {error for error in found.values() if error}
    assert error.startswith("WorkerLostError: Parsl: task failure due to loss of worker ")
    assert found == only_the_culprit(error)


def test_workers_of_another_version_refuse_with_both_versions(shared, store, small, monkeypatch):
    monkeypatch.setattr(fitspec, "__version__", "99.0")

    found = reasons(run_fits(small, shared, store), small)

    assert len(found) == 4
    for error in found.values():
        assert error.startswith("ExecutionError: submitted by fitspec 99.0 on Python 3.")
        assert "but the worker has fitspec 0." in error
    assert store.size() == (0, 0)


def test_workers_compute_with_one_thread_and_without_the_working_directory(executor):
    assert executor.submit(os.getenv, "OMP_NUM_THREADS").result() == "1"
    paths = executor.submit(eval, "__import__('sys').path").result()
    assert not {"", str(Path.cwd())} & set(paths)


def test_ctrl_c_is_the_submitters(executor):
    group = os.getpgrp()
    pid = executor.submit(os.getpid).result()
    blocked = executor.submit(signal.pthread_sigmask, signal.SIG_BLOCK, []).result()
    [htex] = executor._htexes
    status = Path(f"/proc/{htex.interchange_proc.pid}/status").read_text()
    [mask] = [line.split()[1] for line in status.splitlines() if line.startswith("SigBlk")]

    assert os.getpgid(pid) != group or signal.SIGINT in blocked
    assert int(mask, 16) & 1 << signal.SIGINT - 1


def test_a_worker_without_fitspec_is_an_endpoint_error(executor, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("def there(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here

    error = HERE.explain(executor.submit(only_here.there).exception())

    assert type(error) is EndpointError
    assert str(error) == (
        "the workers have no fitspec that could be used: No module named 'only_here'; "
        f"install fitspec {fitspec.__version__} where the configuration starts them"
    )


@pytest.mark.data
def test_a_manager_that_is_killed_changes_nothing_and_leaving_leaves_nothing(
    store, mirror, common_cache, marked, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    let_workers_import(TESTS, monkeypatch)
    pool, tasks, found = Watched(), stau.some(mirror), []
    before = set(threading.enumerate())
    with contextlib.closing(run_fits(tasks, pool, store)) as running:
        for computed in running:
            if not found:
                [manager] = [
                    pid for pid in marked.alive("process_worker_pool")
                    if "bash" not in Path(f"/proc/{pid}/comm").read_text()
                ]  # fmt: skip
                os.kill(manager, signal.SIGKILL)
            found.append(computed)
            if len(found) == len(tasks):
                hanging = [pool.executors[0].submit(stand_ins.defy) for _ in range(4)]
                time.sleep(0.5)
                start = time.monotonic()

    assert time.monotonic() - start < 5
    stau.assert_local(found, tasks, mirror, common_cache)
    assert len(pool.executors) == 1
    assert len({c.outcome.worker for c in found}) > 2  # also of a new block
    assert all(future.cancelled() for future in hanging)
    wait_until(lambda: not marked.alive(), patience=5)
    assert {thread for thread in threading.enumerate() if not thread.daemon} <= before
    assert [path.name for path in tmp_path.rglob("*") if "arsl" in path.name] == []
    assert not (tmp_path / "runinfo").exists()
    assert capfd.readouterr() == ("", "")


def test_a_block_that_is_killed_while_it_starts_is_replaced(small, store, marked):
    def kill_the_first() -> None:
        wait_until(lambda: marked.alive("process_worker_pool"))
        for pid in marked.alive("process_worker_pool"):
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_the_first)
    killer.start()
    found = list(run_fits(small, HERE, store))
    killer.join()

    assert [c.outcome.error for c in found] == [None] * 4


def test_blocks_that_never_work_are_given_up(small, store, marked, monkeypatch):
    monkeypatch.setattr(parsl_kernel, "WORKER_INIT", "echo no room >&2; exit 3")

    with pytest.raises(EndpointError, match="Parsl gets no workers: no room"):
        list(run_fits(small, HERE, store))
    wait_until(lambda: not marked.alive(), patience=5)


@pytest.mark.data
def test_an_interchange_that_is_killed_changes_nothing(store, mirror, common_cache, marked, capfd):
    pool, tasks, found = Watched(), stau.some(mirror), []
    for computed in run_fits(tasks, pool, store):
        if not found:
            [interchange] = marked.alive("interchange")
            os.kill(interchange, signal.SIGKILL)
        found.append(computed)

    stau.assert_local(found, tasks, mirror, common_cache)
    assert len(pool.executors) == 2
    with pytest.raises(RuntimeError):
        pool.executors[0].submit(os.getpid)
    wait_until(lambda: not marked.alive(), patience=5)
    assert capfd.readouterr() == ("", "")


LEAVE_WHILE_SENDING = """\
import os, signal, time
from fitspec.execute import parsl_kernel

parsl_kernel.REPLY = 1.0  # seconds to wait for the dead
for _ in range(2):
    with parsl_kernel.open_kernel(parsl_kernel.local_config(1)) as executor:
        executor.submit(os.getpid).result()
        [htex] = executor._htexes
        os.kill(htex.interchange_proc.pid, signal.SIGKILL)
        time.sleep(0.1)
        executor.submit(os.getpid)
        time.sleep(0.05)
"""


def test_leaving_waits_for_what_is_being_sent_to_a_dead_interchange(marked, tmp_path):
    """In a process of its own: a socket closed meanwhile aborts it."""
    (tmp_path / "leave.py").write_text(LEAVE_WHILE_SENDING)

    done = subprocess.run([sys.executable, tmp_path / "leave.py"], capture_output=True, timeout=60)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    wait_until(lambda: not marked.alive(), patience=5)


def test_a_point_that_hangs_beyond_all_deadlines_is_tried_on_other_workers(
    store, small, marked, tmp_path, monkeypatch
):
    let_workers_import(TESTS, monkeypatch)
    monkeypatch.setenv("HAPPENED", str(tmp_path / "hung"))
    monkeypatch.setattr(runner, "run_chunk", stand_ins.hang_once)
    monkeypatch.setattr(runner, "GRACE", 3.0)
    pool = Watched()

    found = reasons(run_fits(small, pool, store, Patience(deadline=1.0, queue=60.0)), small)

    assert found == only_the_culprit(None)
    assert len(pool.executors) >= 2
    wait_until(lambda: not marked.alive(), patience=5)


@pytest.mark.data
def test_a_submitter_that_is_killed_leaves_nothing_and_nothing_is_computed_twice(
    shared, mirror, common_cache, marked, tmp_path, monkeypatch
):
    monkeypatch.setenv("FITSPEC_MIRROR", str(mirror))
    store = ResultStore(tmp_path / "cache" / "results")
    command = [sys.executable, "-m", "fitspec", "run", "@stau", "--endpoint", "parsl", "-n", "2"]
    submitter = subprocess.Popen([*command, "-q"])
    wait_until(lambda: store.size()[0] >= 5)
    submitter.kill()
    submitter.wait()
    wait_until(lambda: not marked.alive(), patience=5)
    kept = store.size()[0]

    tasks = stau.tasks(mirror)
    found = list(run_fits(tasks, shared, store))

    assert 5 <= kept < len(tasks)
    assert sum(c.cached for c in found) == kept
    stau.assert_local(found, tasks, mirror, common_cache)


CONFIG = """\
from parsl import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider

class Impatient(LocalProvider):
    status_polling_interval = 0.3

config = Config(
    executors=[HighThroughputExecutor(address="127.0.0.1", provider=Impatient({provider}))],
    strategy_period=0.1,
)
"""


@pytest.fixture
def configured(tmp_path):
    """A pool with a configuration file."""

    def make(text: str, **settings: object) -> ParslPool:
        (tmp_path / "config.py").write_text(text)
        return ParslPool(Endpoint("parsl", "river", config=tmp_path / "config.py", **settings))

    return make


def test_blocks_that_do_not_work_are_an_endpoint_error_in_their_own_words(
    configured, small, store, tmp_path, monkeypatch, marked
):
    monkeypatch.chdir(tmp_path)
    pool = configured(CONFIG.format(provider="worker_init='echo no modules here >&2; exit 3'"))

    with pytest.raises(EndpointError) as caught:
        list(run_fits(small, pool, store))

    remedy = f"correct {tmp_path / 'config.py'}"
    assert str(caught.value) == f"Parsl gets no workers: no modules here; {remedy}"
    wait_until(lambda: not marked.alive(), patience=5)
    assert not (tmp_path / "runinfo").exists()


def test_workers_with_another_parsl_are_an_endpoint_error(
    configured, small, store, tmp_path, marked
):
    other = 'import parsl.version\nparsl.version.VERSION = "1999.01.01"\n'
    (tmp_path / "sitecustomize.py").write_text(other)
    pool = configured(CONFIG.format(provider=f"worker_init='export PYTHONPATH={tmp_path}'"))

    with pytest.raises(EndpointError) as caught:
        list(run_fits(small, pool, store))

    assert "parsl.v=1999.01.01 does not match" in str(caught.value)
    assert caught.value.remedy == "install the same Parsl and Python there as here"
    wait_until(lambda: not marked.alive(), patience=5)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("config = 7\n", ": its 'config' is a int, no parsl.Config; " + REMEDY),
        ("settings = 7\n", ": its 'config' is none, no parsl.Config; " + REMEDY),
        ("x = 1\nconfig = (\n", ":2: '(' was never closed; " + REMEDY),
        ("\nimport parsl\n\ndef f():\n    raise ValueError('bad\\n news')\nf()\n",
         ":5: ValueError: bad news; correct it"),
        ("import no_such_module\n",
         ":1: ModuleNotFoundError: No module named 'no_such_module'; correct it"),
        ("open('/no/such/file')\n",
         ":1: FileNotFoundError: [Errno 2] No such file or directory: '/no/such/file'; correct it"),
        ("raise SystemExit(1)\n", ":1: SystemExit: 1; correct it"),
    ],
    ids=["no config", "nothing", "syntax", "exception", "import", "file", "exit"],
)  # fmt: skip
def test_a_configuration_that_is_none_is_a_usage_error(configured, tmp_path, text, problem):
    with pytest.raises(UsageError) as caught, configured(text).open():
        pass

    assert str(caught.value) == f"{tmp_path / 'config.py'}{problem}"


def test_a_configuration_that_is_not_there_is_a_usage_error(tmp_path):
    missing = tmp_path / "config.py"

    with pytest.raises(UsageError) as caught:
        _ = ParslPool(Endpoint("parsl", "river", config=missing)).workers

    assert str(caught.value) == f"{missing}: No such file or directory; {REMEDY}"


EXECUTOR = """\
from functools import partial
from parsl import Config
from parsl.executors import HighThroughputExecutor, ThreadPoolExecutor as Threads
from parsl.providers import LocalProvider, SlurmProvider as Slurm
Htex = partial(HighThroughputExecutor, address="127.0.0.1")
config = Config(executors=[{executor}])
"""


@pytest.mark.parametrize(
    ("executor", "workers", "in_flight"),
    [
        ("Htex(max_workers_per_node=8, provider=Slurm(nodes_per_block=3, max_blocks=4))", 96, 2),
        ("Htex(cores_per_worker=2, provider=Slurm(cores_per_node=64, max_blocks=2))", 64, 2),
        ("Htex(provider=Slurm(max_blocks=2))", 1, None),
        ("Htex(max_workers_per_node=3, provider=LocalProvider(max_blocks=2))", 6, 2),
        ("Threads(max_threads=3)", 3, 2),
        ("Htex(max_workers_per_node=3), Threads(max_threads=4)", 7, 2),
    ],
    ids=["per node", "cores", "unknown", "here", "threads", "two"],
)
def test_workers_are_those_that_a_configuration_can_start(configured, executor, workers, in_flight):
    pool = configured(EXECUTOR.format(executor=executor))

    assert (pool.workers, pool.habits.in_flight) == (workers, in_flight)
    asked = replace(pool, endpoint=replace(pool.endpoint, workers=5))
    assert (asked.workers, asked.habits.in_flight) == (5, 2)


def test_what_goes_wrong_is_explained():
    from parsl.executors.high_throughput.errors import ManagerLost, VersionMismatch
    from parsl.serialize.errors import SerializationError

    lost = HERE.explain(ManagerLost(b"a7", "node12"))
    assert type(lost) is WorkerLostError
    assert str(lost) == "Parsl: task failure due to loss of manager a7 on host node12"
    other = HERE.explain(VersionMismatch("py.v=3.12", "py.v=3.11"))
    assert type(other) is EndpointError
    assert str(other) == (
        "Parsl gets no workers: Manager version info py.v=3.11 does not match interchange version "
        "info py.v=3.12; install the same Parsl and Python there as here"
    )
    assert type(HERE.explain(SerializationError("run_chunk"))) is TooLargeError
    assert type(HERE.explain(KeyError("x"))) is WorkerLostError
    assert issubclass(BrokenExecutor, RuntimeError)
