"""What a task takes: a guess of the right order, then the mean of what was measured."""

from __future__ import annotations

import pytest
from fit_tasks import task

from fitspec.execute.costs import Costs

FIT = {"mu": None, "correlations": False, "impacts": True, "top": None, "yields": False,
       "alone": False}  # fmt: skip


def guess(**changes: object) -> float:
    return Costs().of(task(1, **changes))


def test_a_measured_task_takes_the_mean_of_its_kind():
    costs = Costs()
    for seconds in (1.0, 2.0, 6.0):
        costs.learn(task(1), seconds)

    assert costs.measured(task(2))
    assert costs.of(task(2)) == pytest.approx(3.0)


@pytest.mark.parametrize("other", [{"background": 1}, {"mus": [1.0, 2.0]}, {"level": 0.95}])
def test_another_workspace_or_question_is_another_kind(other):
    costs = Costs()
    costs.learn(task(1), 100.0)

    assert not costs.measured(task(2, **other))
    assert costs.of(task(2, **other)) < 10.0


@pytest.mark.parametrize(
    "more",
    [{"mus": [0.5, 1.0]}, {"level": 0.95}, {"toys": 10}, {"fit": FIT}, {"backend": "pyhf"}],
    ids=lambda more: next(iter(more)),
)
def test_who_asks_for_more_is_guessed_to_take_longer(more):
    assert guess(**more) > guess()


def test_guesses_are_of_the_order_of_what_published_analyses_take():
    assert 0.003 < guess() < 0.3
    assert 1.0 < guess(backend="pyhf") < 60.0
    assert 10.0 < guess(toys=2000) < 300.0
