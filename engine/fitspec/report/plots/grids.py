"""Grids of hypotheses: which of them lie on a line or in a plane, and how far each is excluded."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from fitspec.outcome import Band, HypothesisTest
from fitspec.results import CheckResult, Label, PointResult, RunReport, SpecRecord

Array = npt.NDArray[np.float64]

LEAST = 6
"""So many hypotheses make a plane of their own, where all of them are in none."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A hypothesis of a grid.

    Attributes:
        labels: its numeric labels.
        result: what was computed for it.
        reference: observed numbers that it was checked against, by quantity.
    """

    labels: Mapping[str, float]
    result: PointResult
    reference: Mapping[str, float]

    @property
    def reference_limit(self) -> float | None:
        """The upper limit on the POI that is expected, also where that is written in pb."""
        in_pb, xsec = self.reference.get("upper_limit_xsec_obs"), self.result.xsec_pb
        if in_pb is not None and xsec is not None:
            return in_pb / xsec
        return self.reference.get("upper_limit_obs")

    @property
    def reference_CLs(self) -> float | None:  # noqa: N802 (the field's own name)
        """The CLs that is expected of the signal as it is predicted."""
        return self.reference.get("CLs_obs")


@dataclass(frozen=True, slots=True)
class Grid:
    """Hypotheses on a line, or in a plane.

    Attributes:
        analysis: name of the analysis.
        words: what the hypotheses have in common; ``region = A``.
        axes: labels that tell them apart, one or two.
        hypotheses: all of them.
        confidence: level of the exclusion.
        by_limits: upper limits tell whether a hypothesis is excluded; else tests at mu = 1.
    """

    analysis: str
    words: tuple[str, ...]
    axes: tuple[str, ...]
    hypotheses: tuple[Hypothesis, ...]
    confidence: float
    by_limits: bool

    def coordinates(self, hypotheses: Sequence[Hypothesis] | None = None) -> Array:
        """(N, 1) or (N, 2): values of the axes, of some or of all hypotheses."""
        chosen = self.hypotheses if hypotheses is None else hypotheses
        values = [[h.labels[axis] for axis in self.axes] for h in chosen]
        return np.array(values, dtype=float).reshape(-1, len(self.axes))

    def margins(self, hypothesis: Hypothesis) -> tuple[float, Band] | None:
        """How far one is excluded, observed and expected at -2..+2 sigma: 0 is just so.

        It is -ln(upper limit), or counts standard deviations of CLs at mu = 1.
        """
        if not self.by_limits:
            if (test := test_at_one(hypothesis.result)) is None:
                return None
            m2, m1, median, p1, p2 = (self._margin(value) for value in test.CLs_exp)
            return self._margin(test.CLs_obs), (m2, m1, median, p1, p2)
        outcome = hypothesis.result.outcome
        limit, band = outcome.upper_limit_obs, outcome.upper_limit_exp
        if limit is None or band is None or min(limit, *band) <= 0:
            return None
        m2, m1, median, p1, p2 = (-math.log(value) for value in band)
        return -math.log(limit), (m2, m1, median, p1, p2)

    def reference_margin(self, hypothesis: Hypothesis) -> float | None:
        """The same of what was reference, if that is the same quantity."""
        limit, CLs = hypothesis.reference_limit, hypothesis.reference_CLs
        if self.by_limits:
            return -math.log(limit) if limit is not None and limit > 0 else None
        return None if CLs is None else self._margin(CLs)

    def _margin(self, CLs: float) -> float:
        return _deviations(CLs) - _deviations(1 - self.confidence)


def grids(report: RunReport) -> Iterator[Grid]:
    """All grids of a run: of each specification, of each case, and of its best expected ones."""
    for spec in report.specs:
        for words, hypotheses in _groups(report, spec):
            for common, axes, chosen in _grids(hypotheses):
                parts = tuple(dict.fromkeys((*words, *common)))
                by_limits = _by_limits(chosen)
                yield Grid(spec.analysis, parts, axes, chosen, spec.confidence, by_limits)


def _by_limits(hypotheses: Sequence[Hypothesis]) -> bool:
    """Limits are what more of them have than tests at mu = 1, be it computed, or else checked."""
    limits = sum(h.result.outcome.upper_limit_obs is not None for h in hypotheses)
    tests = sum(test_at_one(h.result) is not None for h in hypotheses)
    if limits != tests:
        return limits > tests
    reference = [(h.reference_limit, h.reference_CLs) for h in hypotheses]
    return sum(a is not None for a, _ in reference) >= sum(b is not None for _, b in reference)


def test_at_one(result: PointResult) -> HypothesisTest | None:
    """The test of the signal as it is predicted; of toys, with CLs that they can resolve."""
    tests = result.outcome.tests
    test = next((test for test in tests if math.isclose(test.mu, 1.0)), None)
    return None if test is None else resolved(test)


def resolved(test: HypothesisTest) -> HypothesisTest:
    """A test by toys, with no CLs nearer to 0 or 1 than one toy more would bring it."""
    if test.toys is None:
        return test
    least = 1 / (test.toys.thrown + 1)
    observed, *band = (min(max(value, least), 1 - least) for value in (test.CLs_obs, *test.CLs_exp))
    m2, m1, median, p1, p2 = band
    return replace(test, CLs_obs=observed, CLs_exp=(m2, m1, median, p1, p2))


def _deviations(probability: float) -> float:
    return -NormalDist().inv_cdf(min(max(probability, 1e-300), 1 - 1e-12))


def _groups(
    report: RunReport, spec: SpecRecord
) -> Iterator[tuple[tuple[str, ...], list[Hypothesis]]]:
    """Hypotheses that text labels do not tell apart."""
    reference = _reference(check for check in report.checks if check.spec == spec.path)
    combined_label = spec.settings.get("combine.best_expected")
    best = [
        Hypothesis(
            _numbers(combined.result.labels, without=combined_label),
            combined.result,
            reference.get(combined.id) or reference.get(combined.chosen) or {},
        )
        for combined in report.combined
        if combined.spec == spec.path
    ]
    if best:
        yield ("best expected",), best
    groups: dict[tuple[str, ...], list[Hypothesis]] = {}
    for point in report.points:
        if point.spec == spec.path:
            numbers = _numbers(point.labels, without=combined_label)
            texts = (f"{k} = {v}" for k, v in point.labels.items() if k not in numbers)
            hypothesis = Hypothesis(numbers, point, reference.get(point.id, {}))
            groups.setdefault(tuple(texts), []).append(hypothesis)
    yield from groups.items()


def _reference(checks: Iterable[CheckResult]) -> dict[str, dict[str, float]]:
    """Observed numbers that points were checked against, by point and quantity."""
    found: dict[str, dict[str, float]] = {}
    for check in checks:
        if isinstance(check.expected, float) and (check.mu is None or math.isclose(check.mu, 1.0)):
            found.setdefault(check.id, {})[check.quantity] = check.expected
    return found


def _numbers(labels: Mapping[str, Label], without: str | None = None) -> dict[str, float]:
    return {k: float(v) for k, v in labels.items() if not isinstance(v, str) and k != without}


def _grids(
    hypotheses: Sequence[Hypothesis],
) -> Iterator[tuple[list[str], tuple[str, ...], tuple[Hypothesis, ...]]]:
    """What hypotheses have in common, the labels that tell them apart, and which these are."""
    names = [n for n in hypotheses[0].labels if all(n in h.labels for h in hypotheses)]
    values = np.array([[h.labels[name] for name in names] for h in hypotheses], dtype=float)
    if _rank(values) in {1, 2}:
        yield _fixed(names, values), _axes(names, values), tuple(hypotheses)
    elif _rank(values) == 3:
        for word, mask in _planes(names, values):
            chosen = tuple(h for h, inside in zip(hypotheses, mask, strict=True) if inside)
            yield [word, *_fixed(names, values[mask])], _axes(names, values[mask]), chosen


def _fixed(names: Sequence[str], values: Array) -> list[str]:
    """Labels that are the same for all."""
    same = np.ptp(values, axis=0) == 0
    return [f"{name} = {values[0, i]:g}" for i, name in enumerate(names) if same[i]]


def _rank(values: Array) -> int:
    """Dimension of the space that rows of coordinates are in: 1 of a line, 2 of a plane."""
    if values.size == 0:
        return 0
    spread = np.ptp(values, axis=0)
    return int(np.linalg.matrix_rank((values - values[0]) / np.where(spread > 0, spread, 1.0)))


def _axes(names: Sequence[str], values: Array) -> tuple[str, ...]:
    """The first labels that the others follow from."""
    chosen: list[int] = []
    for column in range(len(names)):
        if _rank(values[:, [*chosen, column]]) > len(chosen):
            chosen.append(column)
    return tuple(names[column] for column in chosen)


def _planes(names: Sequence[str], values: Array) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Planes in which a label, or the difference of two, is the same; the fullest first.

    One most of whose hypotheses are in those before is left out.
    """
    known = np.zeros(len(values), dtype=bool)
    for word, mask in sorted(_slices(names, values), key=lambda found: -int(found[1].sum())):
        new = int((mask & ~known).sum())
        if 2 * new >= mask.sum() and _rank(values[mask]) == 2:
            known |= mask
            yield word, mask


def _slices(names: Sequence[str], values: Array) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    quantities = [(name, values[:, i]) for i, name in enumerate(names)]
    quantities += [
        (f"{first} - {second}", x - y)
        for (first, x), (second, y) in itertools.combinations(quantities, 2)
    ]
    for name, quantity in quantities:
        for value, count in zip(*np.unique(quantity, return_counts=True), strict=True):
            if count >= LEAST:
                yield f"{name} = {value:g}", quantity == value
