"""The result store: what it gives back, and what becomes of damage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitspec.execute import ResultStore
from fitspec.outcome import FitResult, HypothesisTest, Outcome

KEY = "ab" + "0" * 62
NUMBERS = Outcome(
    status="ok",
    tests=(HypothesisTest(1.0, 0.25, (0.1, 0.2, 0.3, 0.4, 0.5), 0.1, 0.6, 1.5, 2.5),),
    upper_limit_exp=(1.0, 2.0, 3.0, 4.0, 5.0),
    mu_hat=-0.1,
    fits=(FitResult("free", "observed", None, 12.5, True, 7, None),),
    notes=("a note",),
    seconds=0.5,
    worker="here:1",
)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_is_put_can_be_got(tmp_path):
    store = ResultStore(tmp_path / "results")

    store.put(KEY, NUMBERS)

    assert store.get(KEY) == NUMBERS
    assert ResultStore(tmp_path / "results").get(KEY) == NUMBERS


finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(mu=finite, CLs=finite, band=st.tuples(*[finite] * 5), q=finite)
def test_numbers_come_back_to_the_last_bit(tmp_path_factory, mu, CLs, band, q):
    outcome = Outcome("ok", tests=(HypothesisTest(mu, CLs, band, CLs, CLs, q, q),), mu_hat=q)
    store = ResultStore(tmp_path_factory.getbasetemp() / "bits")

    store.put(KEY, outcome)

    assert store.get(KEY) == outcome


def test_a_key_that_was_never_put_is_none(tmp_path):
    assert ResultStore(tmp_path).get(KEY) is None


def test_a_later_outcome_replaces_an_earlier_one(tmp_path):
    store = ResultStore(tmp_path)
    store.put(KEY, NUMBERS)
    later = Outcome("ok", mu_hat=0.5)

    store.put(KEY, later)

    assert store.get(KEY) == later
    assert store.size()[0] == 1


def test_errors_are_not_kept(tmp_path):
    store = ResultStore(tmp_path)

    store.put(KEY, Outcome.failed("out of memory"))

    assert files(tmp_path) == []


def test_without_reading_everything_is_new_but_kept(tmp_path):
    blind = ResultStore(tmp_path, read=False)
    blind.put(KEY, NUMBERS)

    assert blind.get(KEY) is None
    assert ResultStore(tmp_path).get(KEY) == NUMBERS


WHOLE = json.dumps(NUMBERS.to_dict())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        WHOLE[: len(WHOLE) // 2].encode(),
        b"\xff\xfe",
        b"null",
        b"[]",
        b"1",
        b'"text"',
        b"{}",
        b'{"tests": 1}',
        WHOLE.replace('"tests": [', '"tests": [1, ').encode(),
        WHOLE.replace('"mu_hat"', '"mu_hut"').encode(),
        WHOLE.replace('"CLs_exp": [0.1, 0.2, 0.3, 0.4, 0.5]', '"CLs_exp": 0.1').encode(),
        WHOLE.replace('"fits": [{', '"fits": [{"more": 1, ').encode(),
    ],
    ids=[
        "empty", "cut short", "no text", "null", "list", "number", "text", "no keys",
        "tests no list", "test no table", "other keys", "band no list", "other version",
    ],
)  # fmt: skip
def test_a_damaged_file_counts_as_none_and_is_replaced(tmp_path, content):
    store = ResultStore(tmp_path)
    store.put(KEY, NUMBERS)
    [file] = files(tmp_path)
    file.write_bytes(content)

    assert store.get(KEY) is None
    store.put(KEY, NUMBERS)
    assert store.get(KEY) == NUMBERS


def test_what_a_killed_writer_leaves_is_no_outcome(tmp_path, monkeypatch):
    store = ResultStore(tmp_path)
    monkeypatch.setattr(Path, "replace", lambda *_: None)  # it does not come to that
    store.put(KEY, NUMBERS)

    assert len(list(tmp_path.rglob(".*"))) == 1
    assert store.size() == (0, 0)


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()], ids=type)
def test_a_write_that_fails_leaves_nothing_behind(tmp_path, monkeypatch, failure):
    store = ResultStore(tmp_path)

    def fail(self: Path, target: Path) -> None:
        raise failure

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(type(failure)):
        store.put(KEY, NUMBERS)

    assert files(tmp_path) == []


def test_a_write_that_fails_leaves_the_earlier_outcome(tmp_path, monkeypatch):
    store = ResultStore(tmp_path)
    store.put(KEY, NUMBERS)

    def fail(self: Path, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        store.put(KEY, Outcome("ok", mu_hat=3.0))

    assert store.get(KEY) == NUMBERS
    assert len(files(tmp_path)) == 1


def test_a_folder_that_cannot_be_made_is_an_oserror(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(OSError, match="file"):
        ResultStore(tmp_path / "file" / "results").put(KEY, NUMBERS)


def test_the_size_counts_outcomes_and_their_bytes(tmp_path):
    store = ResultStore(tmp_path / "results")
    assert store.size() == (0, 0)

    store.put(KEY, NUMBERS)
    store.put("cd" + KEY, NUMBERS)

    assert store.size() == (2, sum(path.stat().st_size for path in files(tmp_path)))


def test_a_cleared_store_is_empty(tmp_path):
    store = ResultStore(tmp_path / "results")
    store.put(KEY, NUMBERS)

    store.clear()
    store.clear()  # of nothing

    assert store.get(KEY) is None
    assert store.size() == (0, 0)
