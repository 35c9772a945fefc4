"""What can go wrong on the way, done for real: the report is that of a run without it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
from loopback import chunks
from loopback.processes import until
from loopback.runs import WatchedPool, by_key, differing, in_pairs, pool_at, singly

from fitspec.errors import EndpointError
from fitspec.execute import Computed, Patience, ResultStore, run_fits, runner
from fitspec.inference import Question

pytestmark = [
    pytest.mark.globus,
    # the SDK drops connections without closing them
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


PATIENCE = Patience(deadline=4.0, queue=60.0)
"""Silence of 14 s, once there was an answer, is a loss."""


@pytest.fixture(autouse=True)
def _slow(monkeypatch):
    """Real fits, with time for something to happen."""
    monkeypatch.setattr(runner, "run_chunk", chunks.slowly)


def disturbed(
    tasks, pool: WatchedPool, store: ResultStore, after: int, disturb: Callable[[Computed], None]
):
    """A run in which something happens once a number of outcomes have come."""
    found = []
    for computed in run_fits(tasks, pool, store, PATIENCE):
        found.append(computed)
        if len(found) == after:
            disturb(computed)
    return by_key(found)


def test_a_killed_worker_changes_nothing(chain, pool, tasks, store, local, monkeypatch):
    monkeypatch.setattr(runner, "run_chunk", chunks.killed_once)
    watched = singly(pool)

    found = by_key(run_fits(tasks[10:16], watched, store, PATIENCE))

    assert (chain.daemon.folder / "killed").exists()
    assert len(found) == 6
    assert differing(found, local) == []
    assert [type(error).__name__ for error in watched.explained] == ["WorkerLostError"]
    assert watched.opened == 1


def test_a_point_that_kills_its_worker_every_time_is_one_error(
    pool, tasks, store, local, monkeypatch
):
    monkeypatch.setattr(runner, "run_chunk", chunks.poison)
    names = {task.key: task.order["patch_name"] for task in tasks}

    found = by_key(run_fits(tasks[10:14], in_pairs(pool), store, PATIENCE))

    dead = {names[key]: outcome.error for key, outcome in found.items() if outcome.error}
    reason = "WorkerLostError: a worker of the endpoint died (killed, or crashed)"
    assert dead == {"DS_200_1_Staus": reason}
    fine = {key: outcome for key, outcome in found.items() if not outcome.error}
    assert len(fine) == 3
    assert differing(fine, local) == []


def test_a_point_that_never_ends_is_stopped_by_its_worker(pool, tasks, store, local):
    endless = replace(Question.from_dict(tasks[0].order["question"]), toys=10**9, seed=1)
    slow = replace(tasks[0], order={**tasks[0].order, "question": asdict(endless)})

    found = by_key(run_fits([slow, *tasks[1:3]], singly(pool), store, Patience(deadline=3.0)))

    assert found.pop(slow.key).error == "ExecutionError: not done after 3 s, the deadline"
    assert len(found) == 2
    assert differing(found, local) == []


def test_an_answer_that_never_comes_is_given_up(chain, pool, tasks, store, local, monkeypatch):
    monkeypatch.setattr(runner, "run_chunk", chunks.hang_once)
    monkeypatch.setattr(runner, "GRACE", 3.0)
    watched = singly(pool)

    found = by_key(run_fits(tasks[11:14], watched, store, Patience(deadline=2.0, queue=60.0)))

    assert (chain.daemon.folder / "hung").exists()
    assert len(found) == 3
    assert differing(found, local) == []
    assert watched.opened == 2


def test_the_users_endpoint_process_is_killed(chain, pool, tasks, store, local):
    killed: list[int] = []

    def kill(_: Computed) -> None:
        killed.extend(chain.daemon.user_process())
        chain.daemon.kill_user_process()

    found = disturbed(tasks[:12], singly(pool), store, 3, kill)

    assert len(found) == 12
    assert differing(found, local) == []
    [successor] = chain.daemon.user_process()
    assert killed != [successor]


def test_the_daemon_is_killed_and_started_again(chain, pool, tasks, store, local):
    watched = singly(pool)
    before = chain.daemon.id

    def restart(_: Computed) -> None:
        chain.daemon.kill()
        chain.daemon.start()

    found = disturbed(tasks[:12], watched, store, 3, restart)

    assert chain.daemon.id == before
    assert len(found) == 12
    assert differing(found, local) == []


def test_the_broker_is_killed_and_started_again(chain, pool, tasks, store, local):
    watched = singly(pool_at(chain.daemon.id, workers=6))

    def restart(_: Computed) -> None:
        chain.broker.stop()
        chain.broker.start()

    found = disturbed(tasks[:12], watched, store, 3, restart)

    assert len(found) == 12
    assert differing(found, local) == []


SUBMIT = """\
import sys
from pathlib import Path
import globus_compute_sdk.sdk.client as client
client.get_web_service_url = lambda _=None: sys.argv[1]
from execute.globus.conftest import plan_of_stau
from fitspec.execute import ResultStore, run_fits, runner
from loopback.chunks import slowly
from loopback.processes import until
from loopback.runs import pool_at, singly

runner.run_chunk = slowly
pool = singly(pool_at(sys.argv[2]))
tasks = plan_of_stau(Path(sys.argv[3]))[:12]
for computed in run_fits(tasks, pool, ResultStore(Path(sys.argv[4]))):
    print(computed.key, flush=True)
"""


def test_the_submitting_process_is_killed_and_started_again(
    chain, service, pool, tasks, store, local, tmp_path
):
    before = service.delivered
    command = [sys.executable, "-c", SUBMIT, service.url, chain.daemon.id, str(tmp_path / "cache")]
    with subprocess.Popen([*command, str(store.folder)], stdout=subprocess.PIPE) as process:
        printed = [process.stdout.readline() for _ in range(3)]
        process.kill()
    assert all(printed)
    kept, _ = store.size()
    assert 3 <= kept < 12

    found = list(run_fits(tasks[:12], singly(pool), store))

    assert sum(computed.cached for computed in found) == kept
    assert differing(by_key(found), local) == []
    # what was under way when it was killed is all that was computed twice
    in_flight = 2 * pool.workers
    assert service.delivered - before <= 12 + in_flight


def test_an_endpoint_that_cannot_start_says_why(chain, pool, tasks, store):
    template = chain.daemon.template
    right = template.read_text()
    template.write_text(right.replace("GlobusComputeEngine", "NoSuchEngine"))
    killed = chain.daemon.kills()
    chain.daemon.kill_user_process()
    until(lambda: chain.daemon.kills() > killed, "the daemon knows")
    try:
        with pytest.raises(EndpointError, match=r"'loopback' .*NoSuchEngine.*see its log"):
            by_key(run_fits(tasks[:2], pool, store, Patience(deadline=4.0)))
    finally:
        template.write_text(right)
