"""Grids of hypotheses: which of them lie on a line or in a plane, and how far each is excluded."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from fitspec.outcome import Band, HypothesisTest
from fitspec.results import CheckResult, Label, PointResult, RunReport, SpecRecord

Array = npt.NDArray[np.float64]

LEVEL = 0.05
"""CLs of what is just excluded at 95% confidence level."""

LEAST = 6
"""So many hypotheses make a plane of their own, where all of them are in none."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A hypothesis of a grid.

    Attributes:
        labels: its numeric labels.
        result: what was computed for it.
        published: observed numbers that it was checked against, by quantity.
    """

    labels: Mapping[str, float]
    result: PointResult
    published: Mapping[str, float]

    @property
    def published_limit(self) -> float | None:
        """The published upper limit on the POI, also where it was published in pb."""
        in_pb, xsec = self.published.get("upper_limit_xsec_obs"), self.result.xsec_pb
        if in_pb is not None and xsec is not None:
            return in_pb / xsec
        return self.published.get("upper_limit_obs")

    @property
    def published_CLs(self) -> float | None:  # noqa: N802 (the field's own name)
        """The published CLs of the signal as it is predicted."""
        return self.published.get("CLs_obs")


@dataclass(frozen=True, slots=True)
class Grid:
    """Hypotheses on a line, or in a plane.

    Attributes:
        analysis: name of the analysis.
        words: what the hypotheses have in common; ``region = A``.
        axes: labels that tell them apart, one or two.
        hypotheses: all of them.
    """

    analysis: str
    words: tuple[str, ...]
    axes: tuple[str, ...]
    hypotheses: tuple[Hypothesis, ...]

    def coordinates(self, hypotheses: Sequence[Hypothesis] | None = None) -> Array:
        """(N, 1) or (N, 2): values of the axes, of some or of all hypotheses."""
        chosen = self.hypotheses if hypotheses is None else hypotheses
        values = [[h.labels[axis] for axis in self.axes] for h in chosen]
        return np.array(values, dtype=float).reshape(-1, len(self.axes))


def grids(report: RunReport) -> Iterator[Grid]:
    """All grids of a run: of each specification, of each case, and of its best expected ones."""
    for spec in report.specs:
        for words, hypotheses in _groups(report, spec):
            yield from _grids(spec.analysis, words, hypotheses)


def margins(result: PointResult) -> tuple[float, Band] | None:
    """How far a hypothesis is excluded, observed and expected at -2..+2 sigma: 0 is just so.

    It is -ln(upper limit); where there is no limit, standard deviations of CLs at mu = 1.
    """
    limit, band = result.outcome.upper_limit_obs, result.outcome.upper_limit_exp
    if limit is not None and band is not None and min(limit, *band) > 0:
        m2, m1, median, p1, p2 = (-math.log(value) for value in band)
        return -math.log(limit), (m2, m1, median, p1, p2)
    if (test := test_at_one(result)) is not None:
        m2, m1, median, p1, p2 = (margin_of(value) for value in test.CLs_exp)
        return margin_of(test.CLs_obs), (m2, m1, median, p1, p2)
    return None


def published_margin(hypothesis: Hypothesis) -> float | None:
    """The same of what was published."""
    limit, CLs = hypothesis.published_limit, hypothesis.published_CLs
    if limit is not None and limit > 0:
        return -math.log(limit)
    return None if CLs is None else margin_of(CLs)


def test_at_one(result: PointResult) -> HypothesisTest | None:
    """The test of the signal as it is predicted."""
    return next((test for test in result.outcome.tests if test.mu == 1.0), None)


def margin_of(CLs: float) -> float:
    """Standard deviations of a CLs beyond those of 0.05."""
    return _deviations(CLs) - _deviations(LEVEL)


def _deviations(probability: float) -> float:
    return -NormalDist().inv_cdf(min(max(probability, 1e-300), 1 - 1e-12))


def _groups(
    report: RunReport, spec: SpecRecord
) -> Iterator[tuple[tuple[str, ...], list[Hypothesis]]]:
    """Hypotheses that text labels do not tell apart."""
    published = _published(check for check in report.checks if check.spec == spec.path)
    best = [
        Hypothesis(
            _numbers(combined.result.labels, without=spec.settings.get("combine.best_expected")),
            combined.result,
            published.get(combined.id) or published.get(combined.chosen) or {},
        )
        for combined in report.combined
        if combined.spec == spec.path
    ]
    if best:
        yield ("best expected",), best
    groups: dict[tuple[str, ...], list[Hypothesis]] = {}
    for point in report.points:
        if point.spec == spec.path:
            texts = (f"{k} = {v}" for k, v in point.labels.items() if isinstance(v, str))
            numbers = _numbers(point.labels)
            hypothesis = Hypothesis(numbers, point, published.get(point.id, {}))
            groups.setdefault(tuple(texts), []).append(hypothesis)
    yield from groups.items()


def _published(checks: Iterable[CheckResult]) -> dict[str, dict[str, float]]:
    """Observed numbers that points were checked against, by point and quantity."""
    found: dict[str, dict[str, float]] = {}
    for check in checks:
        if isinstance(check.expected, float) and check.mu in {None, 1.0}:
            found.setdefault(check.id, {})[check.quantity] = check.expected
    return found


def _numbers(labels: Mapping[str, Label], without: str | None = None) -> dict[str, float]:
    return {k: float(v) for k, v in labels.items() if not isinstance(v, str) and k != without}


def _grids(
    analysis: str, words: tuple[str, ...], hypotheses: Sequence[Hypothesis]
) -> Iterator[Grid]:
    names = [n for n in hypotheses[0].labels if all(n in h.labels for h in hypotheses)]
    values = np.array([[h.labels[name] for name in names] for h in hypotheses], dtype=float)
    if _rank(values) in {1, 2}:
        yield Grid(analysis, words, _axes(names, values), tuple(hypotheses))
    elif _rank(values) == 3:
        for word, mask in _planes(names, values):
            chosen = [h for h, inside in zip(hypotheses, mask, strict=True) if inside]
            yield Grid(analysis, (*words, word), _axes(names, values[mask]), tuple(chosen))


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
