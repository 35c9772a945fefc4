"""What a fit task takes: guessed from what it asks for, then measured."""

from __future__ import annotations

from dataclasses import dataclass, field

from fitspec.inference import Question
from fitspec.plan import FitTask

_NATIVE_TEST = 0.03
_NATIVE_LIMITS = 0.15
_NATIVE_FIT = 0.1
_NATIVE_IMPACTS = 1.0
_PYHF = 200.0
"""How much longer pyhf takes, with numpy and scipy."""


@dataclass
class Costs:
    """Seconds by kind of task: the same workspace, and the same question to it."""

    _sums: dict[tuple[str, int], tuple[float, int]] = field(default_factory=dict)

    def of(self, task: FitTask) -> float:
        """Seconds that a task takes: the mean of those measured, or a guess."""
        if (key := _kind(task)) in self._sums:
            seconds, number = self._sums[key]
            return seconds / number
        return _guess(Question.from_dict(task.order["question"]))

    def measured(self, task: FitTask) -> bool:
        """A task of its kind has come back."""
        return _kind(task) in self._sums

    def learn(self, task: FitTask, seconds: float) -> None:
        """A task took so long on its worker."""
        before, number = self._sums.get(_kind(task), (0.0, 0))
        self._sums[_kind(task)] = (before + seconds, number + 1)


def _kind(task: FitTask) -> tuple[str, int]:
    return task.background.digest, hash(str(task.order["question"]))


def _guess(question: Question) -> float:
    """The published analyses' order of magnitude, on one core."""
    seconds = _NATIVE_TEST * max(len(question.mus), 1)
    if question.toys is not None:
        # each toy is fitted freely and at the tested value, under both hypotheses
        seconds *= question.toys
    if question.level is not None:
        seconds += _NATIVE_LIMITS * (question.toys or 1)
    if question.fit is not None:
        seconds += _NATIVE_IMPACTS if question.fit.impacts else _NATIVE_FIT
    return seconds * (_PYHF if question.backend == "pyhf" else 1.0)
