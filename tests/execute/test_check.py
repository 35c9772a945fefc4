"""Checking an endpoint: both sides' versions, measured trips, and clear words where it fails."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass
from typing import Any

import pytest

from fitspec import versions
from fitspec.errors import EndpointError, ExecutionError, FitspecError, WorkerLostError
from fitspec.execute.check import CROWDS, LOAD, TRIPS, Finding, check_endpoint
from fitspec.execute.local import LocalPool
from fitspec.execute.pool import Habits, explain
from fitspec.worker import run_chunk

Answering = Callable[[Any], Any]


@dataclass
class There(Executor):
    """Answers as it is told; None: never."""

    answering: Answering
    payloads: list[Any]

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        assert function is run_chunk
        self.payloads += args
        future: Future[Any] = Future()
        try:
            if (answer := self.answering(*args)) is not None:
                future.set_result(answer)
        except Exception as error:
            future.set_exception(error)
        return future


class PoolThere:
    workers = 1
    habits = Habits()

    def __init__(self, answering: Answering = run_chunk) -> None:
        self.answering = answering
        self.payloads: list[Any] = []
        self.is_open = False

    @contextlib.contextmanager
    def open(self) -> Iterator[Executor]:
        self.is_open = True
        try:
            yield There(self.answering, self.payloads)
        finally:
            self.is_open = False

    def explain(self, error: BaseException) -> FitspecError:
        return explain(error)


def texts(findings: Iterator[Finding]) -> dict[str, str]:
    return {finding.name: finding.text for finding in findings}


def test_processes_of_this_machine_pass():
    found = texts(check_endpoint(LocalPool(workers=2), 60.0))

    assert list(found) == ["here", "there", "first answer", "round trip", "throughput", "transfer"]
    assert found["here"] == found["there"]
    program = versions.of_program()
    assert found["there"].startswith(
        f"fitspec {program['fitspec']} (code {program['code']}), Python {program['python']}, numpy "
    )
    first, trip, rate, speed = (
        float(re.match(r"[\d.]+", found[name])[0])
        for name in ("first answer", "round trip", "throughput", "transfer")
    )
    assert first > 1e-3 * trip > 0
    assert rate > 1 / first
    assert speed > 0


def test_what_is_sent_is_what_is_told():
    pool = PoolThere()

    found = texts(check_endpoint(pool, 1.0))

    sizes = [len(payload["background"]) for payload in pool.payloads]
    assert len(sizes) == 1 + TRIPS + sum(CROWDS) + 1
    assert sizes[-1] == pytest.approx(LOAD, rel=0.01)
    assert max(sizes[:-1]) < 100
    assert found["transfer"].endswith(", 1.0 MB in one chunk")


def test_the_round_trip_is_measured():
    def slowly(chunk):
        time.sleep(0.01)
        return run_chunk(chunk)

    found = texts(check_endpoint(PoolThere(slowly), 60.0))

    assert 10.0 <= float(found["round trip"].partition(" ms, median of 5")[0]) < 100.0
    assert 10.0 < float(found["throughput"].partition(" chunks/s, 64 at once")[0]) <= 100.0


def test_a_slow_endpoint_is_not_kept_for_long():
    pool = PoolThere(lambda chunk: time.sleep(0.3) or run_chunk(chunk))

    found = texts(check_endpoint(pool, 60.0))

    assert found["throughput"].endswith(" chunks/s, 4 at once")
    assert len(pool.payloads) == 1 + TRIPS + 4 + 1


def other(part: str, **changes: str) -> Answering:
    return lambda chunk: (answer := run_chunk(chunk)) | {part: {**answer[part], **changes}}


def test_another_program_is_an_error_after_its_versions_are_told():
    findings = check_endpoint(PoolThere(other("program", fitspec="9.9", python="3.99")), 1.0)
    seen = []

    with pytest.raises(ExecutionError) as caught:
        seen.extend(iter(lambda: next(findings), None))

    assert [finding.name for finding in seen] == ["here", "there", "first answer"]
    assert seen[1].text.startswith("fitspec 9.9 (code ")
    ours = versions.of_program()
    assert str(caught.value) == (
        f"submitted by fitspec {ours['fitspec']} on Python {ours['python']}, but the worker has "
        "fitspec 9.9 on Python 3.99; install the same on both sides"
    )
    assert caught.value.exit_code == 1


def test_other_libraries_are_a_note():
    found = texts(check_endpoint(PoolThere(other("libraries", numpy="1.25.0")), 1.0))

    assert "numpy 1.25.0" in found["there"]
    assert found["note"] == "other libraries: the last digits may differ"


RUBBISH = {
    "nothing in it": {},
    "no versions": {"program": {}, "libraries": {}},
    "no text": {"program": dict.fromkeys(versions.of_program(), 1), "libraries": {}},
    "text that would garble the terminal": {
        "program": {**versions.of_program(), "fitspec": "\x1b[2J"},
        "libraries": versions.of_libraries(),
    },
    "no dictionary": ["1.0"],
}


@pytest.mark.parametrize("answer", RUBBISH.values(), ids=RUBBISH)
def test_what_is_no_answer_is_not_shown(answer):
    with pytest.raises(ExecutionError) as caught:
        list(check_endpoint(PoolThere(lambda _: answer), 1.0))

    assert str(caught.value).startswith("what came back is no answer: ")


def test_silence_has_an_end():
    pool = PoolThere(lambda _: None)

    with pytest.raises(EndpointError, match=r"^no answer came within 0.1 s; is it running\?"):
        list(check_endpoint(pool, 0.1))
    assert not pool.is_open


def test_silence_later_on_has_an_end_too():
    pool = PoolThere(lambda chunk: run_chunk(chunk) if len(pool.payloads) <= 3 else None)

    with pytest.raises(EndpointError, match=r"^no answer came within 0.1 s"):
        list(check_endpoint(pool, 0.1))


def test_an_executors_own_trouble_is_explained():
    def lost(_):
        raise OSError("the line is dead")

    with pytest.raises(WorkerLostError, match=r"^the answer was lost: OSError: the line is dead"):
        list(check_endpoint(PoolThere(lost), 1.0))


def test_workers_that_die_are_told():
    class Dying(LocalPool):
        @contextlib.contextmanager
        def open(self) -> Iterator[Executor]:
            with LocalPool.open(self) as executor:
                with contextlib.suppress(BrokenExecutor):
                    executor.submit(os._exit, 1).result()
                yield executor

    with pytest.raises(EndpointError, match=r"^its workers die: .*; see their log$"):
        list(check_endpoint(Dying(workers=1), 30.0))
