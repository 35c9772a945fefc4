"""Answers of strangers: what is no answer is an error of the chunk, whatever it is."""

from __future__ import annotations

import base64
import zlib

import orjson
import pytest
import stand_ins
from fit_tasks import task

from fitspec import versions
from fitspec.errors import ExecutionError
from fitspec.execute import answers
from fitspec.execute.answers import read_answer
from fitspec.outcome import Outcome
from fitspec.worker import pack

ORDERS = [task(1).order, task(2).order]
WHOLE = Outcome("ok", tests=(stand_ins.TEST,), mu_hat=1.0).to_dict()


def answer(*outcomes: object) -> dict[str, object]:
    packed = [pack(orjson.dumps(outcome)) for outcome in outcomes]
    return {
        "program": versions.of_program(),
        "libraries": versions.of_libraries(),
        "outcomes": packed,
    }


def test_an_answer_is_read():
    assert read_answer(answer(WHOLE, WHOLE), ORDERS) == [Outcome.from_json(orjson.dumps(WHOLE))] * 2


def test_an_answer_may_be_partial():
    assert len(read_answer(answer(WHOLE), ORDERS)) == 1


@pytest.mark.parametrize(
    "rubbish",
    [
        None,
        b"",
        [],
        "answer",
        {},
        {"program": versions.of_program()},
        answer() | {"outcomes": None},
        answer() | {"outcomes": [7]},
        answer() | {"outcomes": ["no base64!"]},
        answer() | {"outcomes": [base64.b64encode(b"not compressed").decode()]},
        answer("text"),
        answer({}),
        answer(WHOLE | {"status": "fine"}),
        answer(WHOLE | {"mu_hat": "1.0"}),
        answer(WHOLE | {"more": 1}),
        answer(WHOLE | {"tests": [{"mu": 1.0}]}),
        answer() | {"outcomes": [pack(b'{"status": NaN}')]},
    ],
    ids=str,
)
def test_what_is_no_answer_is_an_error(rubbish):
    with pytest.raises(ExecutionError, match=r"^what came back is no answer: \w+; do not trust"):
        read_answer(rubbish, ORDERS)


def test_an_empty_answer_is_an_error():
    with pytest.raises(ExecutionError, match="without any outcome"):
        read_answer(answer(), ORDERS)


def test_more_outcomes_than_asked_for_are_not_looked_at():
    assert len(read_answer(answer(WHOLE, WHOLE, "rubbish"), ORDERS)) == 2


def test_tests_of_what_nobody_asked_for_are_an_error():
    other = [dict(WHOLE["tests"][0], mu=2.0)]

    with pytest.raises(ExecutionError, match=r"^tests of other POI values came back: \[2\.0\]"):
        read_answer(answer(WHOLE | {"tests": other}), ORDERS)


def test_a_bomb_does_not_go_off(monkeypatch):
    monkeypatch.setattr(answers, "MAX_OUTCOME", 1_000_000)
    bomb = base64.b64encode(zlib.compress(b" " * 1_000_001)).decode()

    with pytest.raises(ExecutionError, match="an outcome of more than 1 MB came back"):
        read_answer(answer() | {"outcomes": [bomb]}, ORDERS)


def test_the_same_version_of_other_code_is_another_program():
    program = versions.of_program()
    theirs = {**answer(WHOLE), "program": program | {"code": "0123456789ab"}}

    with pytest.raises(ExecutionError) as caught:
        read_answer(theirs, ORDERS)

    assert f"(code {program['code']}), but the worker has fitspec" in str(caught.value)
    assert str(caught.value).endswith("(code 0123456789ab); install the same on both sides")


def test_another_version_is_named_with_ours():
    theirs = {**answer(WHOLE), "program": versions.of_program() | {"python": "2.7"}}

    with pytest.raises(ExecutionError, match=r"but the worker has fitspec \S+ on Python 2\.7; "):
        read_answer(theirs, ORDERS)
