"""Chunks: every task once, one workspace each, no more than asked for."""

from __future__ import annotations

import zlib
from itertools import chain

from hypothesis import given, settings
from hypothesis import strategies as st

from fitspec.execute.chunks import make_chunks
from fitspec.plan import FitTask
from fitspec.sources import Background

BACKGROUNDS = [Background(f"{n}.json", f"[{n}]".encode(), f"sha256:{n}", {}) for n in range(3)]


KINDS = [("native", None), ("native", None), ("pyhf", None), ("native", 100)]
"""Backends and toys: only the first are quick."""


def task(number: int, background: int, kind: tuple[str, int | None] = ("native", None)) -> FitTask:
    question = {"number": number, "backend": kind[0], "toys": kind[1]}
    order = {"patch_name": f"patch {number}", "patch": b"[]", "question": question}
    return FitTask(f"key {number}", BACKGROUNDS[background], order)


tasks = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(KINDS)), max_size=30).map(
    lambda drawn: [task(number, *kind) for number, kind in enumerate(drawn)]
)
size = st.integers(1, 10)


@settings(deadline=None)
@given(tasks, size)
def test_every_task_is_in_exactly_one_chunk(tasks, size):
    chunked = chain.from_iterable(chunk.tasks for chunk in make_chunks(tasks, size))

    assert sorted(t.key for t in chunked) == sorted(t.key for t in tasks)


@settings(deadline=None)
@given(tasks, size)
def test_a_chunk_has_one_background_and_is_never_empty_or_too_large(tasks, size):
    for chunk in make_chunks(tasks, size):
        assert len({t.background.digest for t in chunk.tasks}) == 1
        assert 1 <= len(chunk.tasks) <= size


@settings(deadline=None)
@given(tasks, size)
def test_the_order_within_a_workspace_is_kept(tasks, size):
    chunks = make_chunks(tasks, size)

    for background in BACKGROUNDS:
        for quick in (True, False):
            kind = [t.key for t in tasks if t.background is background and t.quick is quick]
            assert [t.key for c in chunks for t in c.tasks if t.key in kind] == kind


@settings(deadline=None)
@given(tasks, size)
def test_slow_tasks_travel_alone(tasks, size):
    for chunk in make_chunks(tasks, size):
        assert len(chunk.tasks) == 1 or all(task.quick for task in chunk.tasks)


@settings(deadline=None)
@given(tasks, size)
def test_only_the_last_chunk_of_quick_tasks_of_a_workspace_is_not_full(tasks, size):
    chunks = [chunk for chunk in make_chunks(tasks, size) if chunk.tasks[0].quick]

    for background in BACKGROUNDS:
        sizes = [len(c.tasks) for c in chunks if c.tasks[0].background is background]
        assert all(full == size for full in sizes[:-1])


def test_a_payload_holds_the_workspace_once_and_the_orders_in_order():
    tasks = [task(0, 1), task(1, 1)]

    [chunk] = make_chunks(tasks, 2)
    payload = chunk.payload()

    assert zlib.decompress(payload["background"]) == BACKGROUNDS[1].raw
    assert payload["points"] == [t.order for t in tasks]


def test_singles_are_the_same_tasks_each_alone():
    tasks = [task(0, 1), task(1, 1)]

    [chunk] = make_chunks(tasks, 5)

    assert [list(single.tasks) for single in chunk.singles()] == [[tasks[0]], [tasks[1]]]
