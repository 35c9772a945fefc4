"""The unmodified SDK and endpoint between here and the workers: numbers, and what is refused."""

from __future__ import annotations

import base64
import json
import pickle
import re
import secrets
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from execute.globus.conftest import run_stau
from loopback import chunks
from loopback.processes import free_port
from loopback.runs import by_key, differing, flat, in_pairs, pool_at, singly

from fitspec.cli import run_command_line
from fitspec.errors import EndpointError
from fitspec.execute import run_fits, runner

pytestmark = [
    pytest.mark.globus,
    # the SDK drops connections without closing them
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


def points(results: Path) -> dict[str, dict[str, Any]]:
    """What results.json says of each point; who computed it, and how fast, aside."""
    found = json.loads(results.read_text())
    assert found["summary"]["failed"] == found["summary"]["errors"] == 0
    aside = {"fits", "seconds", "worker", "cached"}
    return {p["id"]: {k: v for k, v in p.items() if k not in aside} for p in found["points"]}


def test_a_run_on_an_endpoint_gives_the_results_of_this_machine(
    loopback_config, local_results, tmp_path, capsys
):
    code = run_stau(tmp_path / "results.json", "--endpoint", "loopback")

    assert code == 0, capsys.readouterr()
    found, expected = points(tmp_path / "results.json"), points(local_results)
    assert len(found) == 57
    (numbers, others), (expected_numbers, expected_others) = flat(found), flat(expected)
    assert numbers == pytest.approx(expected_numbers, rel=1e-9, abs=1e-9)
    assert others == expected_others
    environment = json.loads((tmp_path / "results.json").read_text())["environment"]
    assert "loopback" in environment["endpoint"]


class _Trap:
    """Writes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_from_the_endpoint_is_never_loaded(
    pool, service, tasks, store, tmp_path, monkeypatch
):
    sprung = tmp_path / "sprung"
    trap = base64.encodebytes(pickle.dumps(_Trap(sprung))).decode()
    forged = f"00\n{trap}"
    monkeypatch.setattr(service, "forge", lambda result: result.model_copy(update={"data": forged}))

    [outcome] = by_key(run_fits(tasks[:1], pool, store)).values()

    problem = "ExecutionError: endpoint 'loopback' answered with something else than JSON"
    assert outcome.error.startswith(problem)
    assert not sprung.exists()
    pickle.loads(pickle.dumps(_Trap(sprung)))
    assert sprung.exists()  # the trap works


def test_nor_is_source_code(pool, service, tasks, store, tmp_path, monkeypatch):
    """The SDK's list of what may be read needs a strategy for code; all of them run it."""
    sprung = tmp_path / "sprung"
    forged = f"st\nf:def f(): pass\nopen({str(sprung)!r}, 'w')"
    monkeypatch.setattr(service, "forge", lambda result: result.model_copy(update={"data": forged}))

    [outcome] = by_key(run_fits(tasks[:1], pool, store)).values()

    assert "something else than JSON" in outcome.error
    assert not sprung.exists()


def test_an_answer_that_is_too_large_is_asked_for_in_halves(pool, tasks, store, local, monkeypatch):
    monkeypatch.setattr(runner, "run_chunk", chunks.answer_too_much)
    watched = in_pairs(pool)

    found = by_key(run_fits(tasks[:4], watched, store))

    assert differing(found, local) == []
    assert {type(error).__name__ for error in watched.explained} == {"TooLargeError"}


def test_submissions_keep_to_what_the_service_takes(
    pool, service, tasks, store, local, monkeypatch
):
    monkeypatch.setattr("fitspec.execute.globus_line.MAX_SUBMISSION", 150_000)
    before = len(service.submissions)

    found = by_key(run_fits(tasks[:6], singly(pool_at(str(pool.id), workers=6)), store))

    assert differing(found, local) == []
    assert len(service.submissions) - before >= 2
    assert max(service.submissions[before:]) < 170_000


def test_a_refused_submission_is_sent_in_halves_and_the_executor_renewed(
    pool, service, tasks, store, local, monkeypatch
):
    monkeypatch.setattr("loopback.service.MAX_SUBMISSION", 80_000)
    watched = in_pairs(pool)

    found = by_key(run_fits(tasks[:8], watched, store))

    assert differing(found, local) == []
    assert {type(error).__name__ for error in watched.explained} == {"TooLargeError"}
    assert watched.opened == 1


def test_a_point_that_no_submission_can_hold_costs_the_others_nothing(
    pool, tasks, store, local, monkeypatch
):
    large = replace(tasks[0], order={**tasks[0].order, "patch": secrets.token_bytes(4_000_000)})

    found = by_key(run_fits([large, *tasks[1:4]], singly(pool), store))

    error = found.pop(large.key).error
    assert re.fullmatch(r"TooLargeError: \d\.\d MB are more than the service takes", error)
    assert len(found) == 3
    assert differing(found, local) == []


def test_workers_of_another_version_refuse_with_both_versions(pool, tasks, store, monkeypatch):
    monkeypatch.setattr(runner, "run_chunk", chunks.of_another_version)

    found = by_key(run_fits(tasks[:3], pool, store))

    assert len(found) == 3
    for outcome in found.values():
        assert outcome.error.startswith("ExecutionError: submitted by fitspec 0.")
        assert "but the worker has fitspec 99.0 on Python 3." in outcome.error
    assert store.size() == (0, 0)


def test_an_endpoint_without_fitspec_is_given_up(pool, tasks, store, monkeypatch):
    monkeypatch.setattr(runner, "run_chunk", chunks.without_fitspec)

    with pytest.raises(EndpointError, match=r"No module named 'fitspec'; install the same fitspec"):
        by_key(run_fits(tasks, pool, store))


def test_a_wrong_uuid_is_told_at_once(pool, tasks, store):
    wrong = pool_at(str(uuid4()))
    start = time.monotonic()

    with pytest.raises(EndpointError, match=f"knows no endpoint 'loopback' .{wrong.id}"):
        by_key(run_fits(tasks, wrong, store))

    assert time.monotonic() - start < 5


def test_no_network_is_told_at_once(pool, tasks, store, monkeypatch):
    nobody = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setattr("globus_compute_sdk.sdk.client.get_web_service_url", lambda _=None: nobody)
    start = time.monotonic()

    with pytest.raises(EndpointError, match=r"cannot be reached: .*check the network"):
        by_key(run_fits(tasks, pool, store))

    assert time.monotonic() - start < 5


def test_a_run_that_has_begun_outlasts_an_outage(pool, service, tasks, store, local, monkeypatch):
    urls = iter([service.url, f"http://127.0.0.1:{free_port()}"])
    monkeypatch.setattr(
        "globus_compute_sdk.sdk.client.get_web_service_url", lambda _=None: next(urls, service.url)
    )
    monkeypatch.setattr("fitspec.execute.globus.OUTAGE", (0.1,))
    with pool.open():
        pass

    found = by_key(run_fits(tasks[:2], pool, store))

    assert differing(found, local) == []
    assert next(urls, None) is None


def test_who_is_not_authorised_is_told_at_once(pool, service, tasks, store, monkeypatch):
    monkeypatch.setattr(service, "revoked", True)

    with pytest.raises(EndpointError, match="not authorised to use endpoint 'loopback'"):
        by_key(run_fits(tasks, pool, store))


def test_an_endpoint_that_is_offline_is_told_at_once(service, tasks, store):
    stopped = service.register_endpoint(None)["endpoint_id"]
    service.endpoints[stopped] = 0.0

    with pytest.raises(EndpointError, match=r"endpoint 'sleepy' \(.*\) is offline; globus-compute"):
        by_key(run_fits(tasks, pool_at(stopped, "sleepy"), store))


def test_without_a_login_or_a_terminal_nobody_waits(pool, tasks, store, monkeypatch):
    monkeypatch.delenv("GLOBUS_COMPUTE_CLIENT_ID")
    monkeypatch.delenv("GLOBUS_COMPUTE_CLIENT_SECRET")
    start = time.monotonic()

    with pytest.raises(EndpointError, match=r"not logged in to Globus.*; log in once with"):
        by_key(run_fits(tasks, pool, store))

    assert time.monotonic() - start < 5


LEAVE = """\
import sys, time
import globus_compute_sdk.sdk.client as client
client.get_web_service_url = lambda _=None: sys.argv[1]
from loopback.runs import pool_at

with pool_at(sys.argv[2]).open() as executor:
    future = executor.submit(time.sleep, 3)
    time.sleep(1.5)
    assert not future.done()
print(time.time())
"""


def test_what_is_in_flight_keeps_nobody_from_leaving(chain, service):
    command = [sys.executable, "-c", LEAVE, service.url, chain.daemon.id]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert time.time() - float(done.stdout) < 2
    assert done.stderr == ""


def test_a_check_tells_both_sides_and_what_a_trip_takes(capsys, loopback_config):
    code = run_command_line(["endpoint", "check", "loopback"])

    out = capsys.readouterr().out
    assert code == 0, out
    lines = dict(line.strip().split(None, 1) for line in out.splitlines() if line.strip())
    assert lines["here"] == lines["there"]
    assert "chunks/s" in lines["throughput"]
