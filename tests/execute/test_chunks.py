"""Chunks: every task once, one workspace each, about as much work as asked for."""

from __future__ import annotations

import json

import pytest
from fit_tasks import BACKGROUNDS, task
from hypothesis import given, settings
from hypothesis import strategies as st

from fitspec.execute.chunks import Backlog, Chunk
from fitspec.execute.costs import Costs
from fitspec.plan import FitTask
from fitspec.worker import UNLIMITED, unpack

KINDS = [{}, {}, {"backend": "pyhf"}, {"toys": 100}]
"""Backends and toys: only the first are quick."""


tasks = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(KINDS)), max_size=30).map(
    lambda drawn: [task(number, kind[0], **kind[1]) for number, kind in enumerate(drawn)]
)
seconds = st.floats(0.0, 50.0)


def backlog_of(tasks: list[FitTask]) -> Backlog:
    backlog = Backlog(Costs())
    backlog.add(tasks)
    return backlog


def all_chunks(backlog: Backlog, seconds: float) -> list[Chunk]:
    chunks = []
    while backlog:
        chunks.append(backlog.take(seconds))
    return chunks


@settings(deadline=None)
@given(tasks, seconds)
def test_every_task_is_in_exactly_one_chunk(tasks, seconds):
    backlog = backlog_of(tasks)
    assert len(backlog) == len(tasks)

    chunks = all_chunks(backlog, seconds)

    taken = [t.key for chunk in chunks for t in chunk.tasks]
    assert sorted(taken) == sorted(t.key for t in tasks)
    assert len(backlog) == 0


@settings(deadline=None)
@given(tasks, seconds)
def test_a_chunk_has_one_background_and_no_more_work_than_asked_for(tasks, seconds):
    backlog = backlog_of(tasks)
    for chunk in all_chunks(backlog, seconds):
        assert len({t.background.digest for t in chunk.tasks}) == 1
        work = sum(map(backlog.costs.of, chunk.tasks))
        assert len(chunk.tasks) == 1 or work <= seconds * (1 + 1e-9)


@settings(deadline=None)
@given(tasks, seconds)
def test_the_order_within_a_workspace_is_kept_and_slow_tasks_have_their_own_chunks(tasks, seconds):
    chunks = all_chunks(backlog_of(tasks), seconds)

    for background in BACKGROUNDS:
        for quick in (True, False):
            kind = [t.key for t in tasks if t.background is background and t.quick is quick]
            assert [t.key for c in chunks for t in c.tasks if t.key in kind] == kind
    assert all(len({t.quick for t in chunk.tasks}) == 1 for chunk in chunks)


def test_chunks_follow_what_tasks_were_measured_to_take():
    backlog = backlog_of([task(number) for number in range(20)])
    assert not backlog.measured
    backlog.costs.learn(task(0), 2.0)
    backlog.costs.learn(task(1), 4.0)

    assert backlog.measured
    assert backlog.seconds() == pytest.approx(60.0)
    assert len(backlog.take(10.0).tasks) == 3
    assert len(backlog.take(0.0).tasks) == 1
    assert len(backlog.take(1000.0).tasks) == 16


def test_what_comes_again_goes_first():
    backlog = backlog_of([task(number) for number in range(3)])
    lost = backlog.take(1.0)
    backlog.again.extend(lost.after_loss())

    assert len(backlog) == 3
    assert backlog.take(1.0).tasks == lost.tasks[:1]


@given(st.integers(1, 40))
def test_halving_isolates_every_task_and_counts(number):
    chunks = [Chunk(tuple(task(n) for n in range(number)))]
    rounds = 0
    while any(len(chunk.tasks) > 1 for chunk in chunks):
        chunks = [half for chunk in chunks for half in chunk.after_loss()]
        rounds += 1

    assert [t.key for c in chunks for t in c.tasks] == [f"key {n}" for n in range(number)]
    assert {chunk.lost for chunk in chunks} == {rounds}
    assert rounds == (number - 1).bit_length()


def test_a_single_task_is_not_halved_and_stays_alone():
    lone = Chunk((task(1),), lost=1, alone=True)

    assert lone.halves() == [lone]
    assert lone.after_loss() == [Chunk((task(1),), lost=2, alone=True)]


def test_a_payload_has_the_background_once_and_every_point():
    chunk = Chunk((task(1), task(2)))

    orders = chunk.payload(UNLIMITED, compression=6)

    assert unpack(orders["background"]) == b"[0]"
    assert [p["patch_name"] for p in json.loads(unpack(orders["points"]))] == ["patch 1", "patch 2"]
