"""Stand-ins for run_chunk that a worker can import: no fits, but deaths and silence."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import CancelledError

import orjson

from fitspec import versions
from fitspec.errors import (
    EndpointAwayError,
    EndpointError,
    ExecutionError,
    TooLargeError,
    WorkerLostError,
)
from fitspec.outcome import HypothesisTest, Outcome
from fitspec.worker import pack, run_chunk, unpack

TEST = HypothesisTest(1.0, 0.5, (0.1, 0.2, 0.3, 0.4, 0.5), 0.1, 0.2, 0.3, 0.4)
CULPRIT = "signal_100_2"


def points(chunk):
    return orjson.loads(unpack(chunk["points"]))


def names(chunk):
    return [point["patch_name"] for point in points(chunk)]


def answer(chunk):
    found = [
        Outcome(
            "ok",
            tests=(TEST,),
            mu_hat=float(len(point["patch"])),
            seconds=1e-4,
            worker=f"there:{os.getpid()}",
        )
        for point in points(chunk)
    ]
    return {
        "program": versions.of_program(),
        "libraries": versions.of_libraries(),
        "outcomes": [pack(outcome.to_json()) for outcome in found],
    }


def die():
    """As the system kills a process; in the middle of its work, not at the very start.

    A worker of Parsl's may then still be sending its last answer, in a thread that holds a lock of
    all workers: that answer is lost, or the lock is never released and no answer comes any more.
    """
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGKILL)


def die_of_poison(chunk):
    if CULPRIT in names(chunk):
        die()
    return answer(chunk)


def hang(chunk):
    if CULPRIT in names(chunk):
        time.sleep(3600)
    return answer(chunk)


def lose(chunk):
    if CULPRIT in names(chunk):
        raise WorkerLostError("manager 7 is gone")
    return answer(chunk)


def lose_strangely(chunk):
    if CULPRIT in names(chunk):
        raise KeyError("a transport's own trouble")
    return answer(chunk)


def cancel(chunk):
    if CULPRIT in names(chunk):
        raise CancelledError
    return answer(chunk)


def be_away(chunk):
    if CULPRIT in names(chunk):
        raise EndpointAwayError("restarting")
    return answer(chunk)


def refuse_more_than_one(chunk):
    if len(points(chunk)) > 1:
        raise TooLargeError("413: too large")
    return answer(chunk)


def refuse_large_answers(chunk):
    if CULPRIT in names(chunk):
        raise TooLargeError("the answer is too large")
    return answer(chunk)


def refuse(chunk):
    raise ExecutionError("fitspec is not installed there")


def close_down(chunk):
    if CULPRIT in names(chunk):
        raise EndpointError("the endpoint is closed for maintenance")
    return answer(chunk)


def answer_one(chunk):
    found = answer(chunk)
    return found | {"outcomes": found["outcomes"][:1]}


def answer_nothing(chunk):
    return answer(chunk) | {"outcomes": []}


def answer_rubbish(chunk):
    return {"program": versions.of_program(), "outcomes": ["rubbish"]}


def answer_with_other_libraries(chunk):
    return answer(chunk) | {"libraries": versions.of_libraries() | {"numpy": "1.0"}}


def answer_as_another_version(chunk):
    return {"program": versions.of_program() | {"fitspec": "99.0"}, "libraries": {}, "outcomes": []}


def die_always(chunk):
    os.kill(os.getpid(), signal.SIGKILL)


def hang_once(chunk):
    """Until all is over; another worker will do better."""
    if CULPRIT in names(chunk) and _first_time():
        time.sleep(3600)
    return answer(chunk)


def die_once(chunk):
    """In the middle of real work."""
    if _first_time():
        die()
    return run_chunk(chunk)


def _first_time():
    """Nobody has asked yet, in any process; the file named by HAPPENED says so."""
    try:
        os.close(os.open(os.environ["HAPPENED"], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def defy():
    """Hang as no library does."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    while True:
        pass
