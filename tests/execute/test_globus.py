"""Globus Compute without its service: settings, what errors mean, and what is never read."""

from __future__ import annotations

import base64
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fitspec.errors import (
    EndpointError,
    ExecutionError,
    MissingExtraError,
    TooLargeError,
    UsageError,
    WorkerLostError,
)
from fitspec.execute.endpoints import pool_of
from fitspec.execute.globus import GlobusPool
from fitspec.execute.pool import Endpoint

pytest.importorskip("globus_compute_sdk", reason="pip install 'fitspec[globus]'")

RIVER = Endpoint("globus-compute", "river", id="8d9e1b42-e0b2-4cd9-a72b-c02b088004ad")
ID = RIVER.id


@pytest.fixture
def pool() -> GlobusPool:
    return GlobusPool(RIVER)


def test_an_endpoints_settings(pool):
    assert pool_of(RIVER) == pool
    assert pool.workers == 8
    assert GlobusPool(replace(RIVER, workers=64)).workers == 64
    assert pool.habits.in_flight is None
    assert pool.habits.max_bytes < 4_000_000


@pytest.mark.parametrize("uuid", [None, "river"])
def test_an_endpoint_needs_its_uuid(uuid):
    with pytest.raises(UsageError, match=r"endpoint 'river': id '.*' is no UUID; .*-endpoint list"):
        GlobusPool(replace(RIVER, id=uuid))


def test_the_sdk_is_imported_when_it_is_needed():
    code = (
        "import sys; from fitspec.execute.globus import GlobusPool; from fitspec.execute.pool"
        f" import Endpoint; GlobusPool(Endpoint('globus-compute', 'river', id='{ID}')).habits;"
        " assert not {'globus_sdk', 'globus_compute_sdk', 'pika'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_the_sdk_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    with pytest.raises(MissingExtraError, match=r"pip install 'fitspec\[globus\]'"):
        GlobusPool(RIVER)


def failed(text: str) -> Exception:
    from globus_compute_sdk.errors import TaskExecutionFailed

    return TaskExecutionFailed(text)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("parsl.executors.high_throughput.errors.WorkerLost: Task failure due to loss of worker 1",
         WorkerLostError, "a worker of the endpoint died"),
        ("parsl.executors.high_throughput.errors.ManagerLost: Task failure due to loss of manager",
         WorkerLostError, "a worker of the endpoint died"),
        ("globus_compute_sdk.errors.error_types.MaxResultSizeExceeded: Task result of 11000000B",
         TooLargeError, "so large an answer"),
        ("Traceback\nModuleNotFoundError: No module named 'fitspec'",
         EndpointError, "cannot run fitspec: ModuleNotFoundError: No module named 'fitspec'; inst"),
        ("Traceback\nImportError: libgfortran.so.5: cannot open shared object file",
         EndpointError, "'river' cannot run fitspec: ImportError: libgfortran.so.5"),
        ("Function 7 not permitted on endpoint 8", EndpointError, "ask its owner to allow it"),
        ("Unable to start user endpoint process for me [exit code: 77; (YAMLError) line 3]",
         EndpointError, "'river' does not start: Unable to start .*line 3.; see its log"),
        ("Failed to start or unexpected error:\n  (ClickException) 'A' is not a valid engine",
         EndpointError, r"start: Failed to start or .* \(Click.* 'A' is not a valid"),
        ("Unknown task exception: (ScalingFailed) sbatch: error: invalid account",
         EndpointError, "does not start: .*invalid account"),
        ("Traceback\nOSError: [Errno 28] No space left on device",
         WorkerLostError, r"the endpoint failed: OSError: \[Errno 28\] No space left"),
        ("", WorkerLostError, "no reason given"),
    ],
)  # fmt: skip
def test_what_a_failure_there_means(pool, text, kind, message):
    error = pool.explain(failed(text))

    assert type(error) is kind
    with pytest.raises(kind, match=message):
        raise error


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (413, TooLargeError, "does not take so much at once: HTTP 413, why"),
        (404, EndpointError, f"knows no endpoint 'river' .{ID}.: HTTP 404, why"),
        (401, EndpointError, "not authorised to use endpoint 'river'"),
        (403, EndpointError, "not authorised to use endpoint 'river'"),
        (503, WorkerLostError, "out of order: HTTP 503, why"),
        (422, EndpointError, "refuses work for endpoint 'river' .*: HTTP 422, why"),
    ],
)
def test_what_the_services_refusal_means(pool, status, kind, message):
    import requests
    from globus_sdk import GlobusAPIError

    response = requests.Response()
    response.status_code = status
    response.headers["Content-Type"] = "application/json"
    response._content = json.dumps({"code": "X", "message": "why"}).encode()
    response.request = requests.Request("POST", "https://example.org").prepare()

    error = pool.explain(GlobusAPIError(response))

    assert type(error) is kind
    with pytest.raises(kind, match=message):
        raise error


def test_what_is_not_known_is_lost(pool):
    error = pool.explain(RuntimeError("SDK thread quit unexpectedly."))

    assert type(error) is WorkerLostError


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_but_json_is_read(tmp_path, pool):
    from globus_compute_sdk.errors import DeserializationError
    from globus_compute_sdk.serialize.base import SerializationStrategy

    from fitspec.execute.globus_line import JSONSerializer

    sprung = tmp_path / "sprung"
    trap = base64.encodebytes(pickle.dumps(_Trap(sprung))).decode()
    known = set(SerializationStrategy._CACHE) - {"11\n"}

    for header in sorted(known):
        for content in (trap, f"f:def f(): pass\nopen({str(sprung)!r}, 'w')", f"00\n:{trap}"):
            with pytest.raises(DeserializationError):
                JSONSerializer().deserialize(header + content)

    assert len(known) >= 9
    assert not sprung.exists()
    assert JSONSerializer().deserialize('11\n{"a": [1.5]}') == {"a": [1.5]}
    refused = Exception("Malformed or unexpected data structure")
    refused.__cause__ = DeserializationError("refused")
    assert type(pool.explain(refused)) is ExecutionError
