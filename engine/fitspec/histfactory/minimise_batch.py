"""Newton's method in a box for many data sets at once.

The steps are those of :mod:`fitspec.histfactory.minimise`, taken by T data sets of one model in
parallel, each at its own pace. What is rare is left out: data sets at kinks, at saddle points, or
without an end to their descent are given back as not converged, for the scalar minimiser to look
at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import dpotrf, dpotrs

from fitspec.histfactory.batch import DataStack, Expansions, LikelihoodBatch, Rows
from fitspec.histfactory.interpolation import Array
from fitspec.histfactory.likelihood import Flags
from fitspec.histfactory.minimise import GOOD, MAX_SETS, STALLED, TOLERANCE

MAX_EXPANSIONS = 40
"""Data sets that need more Hessians than this are not worth the others' waiting."""

MAX_HALVINGS = 30
"""Attempts at shortening a step that does not lead down."""


@dataclass(frozen=True, slots=True)
class FoundBatch:
    """Minima of T -ln L in a box.

    Attributes:
        theta: (T, P) parameters.
        nll: (T,) -ln L.
        converged: (T,) this is a minimum; elsewhere the numbers are where a descent ended.
    """

    theta: Array
    nll: Array
    converged: npt.NDArray[np.bool_]


def minimise_batch(
    likelihood: LikelihoodBatch, data: DataStack, starts: Array, fixed: Flags
) -> FoundBatch:
    """The minima of -ln L that are downhill from starting points.

    A minimum is one to the tolerance of :func:`fitspec.histfactory.minimise.minimise`: 1e-10 on the
    estimated distance in -2 ln L, or 1e-6 where rounding allows no further descent.

    Args:
        likelihood: the function; its model has the bounds.
        data: T data sets.
        starts: (T, P) starting values; those outside their bounds are moved to them.
        fixed: (P,) parameters that keep their starting values, whatever their bounds.
    """
    step = likelihood.rows_at_once
    parts = [
        _Descents(likelihood, data[rows], starts[rows], fixed).run()
        for first in range(0, len(data), step)
        for rows in [slice(first, first + step)]
    ]
    if not parts:
        return FoundBatch(starts.copy(), np.empty(0), np.empty(0, dtype=bool))
    return FoundBatch(
        np.concatenate([part.theta for part in parts]),
        np.concatenate([part.nll for part in parts]),
        np.concatenate([part.converged for part in parts]),
    )


@dataclass(frozen=True, slots=True)
class _Newton:
    """Newton steps of t data sets.

    Attributes:
        step: (t, P) to the minimum of the quadratic model inside the box, or near it.
        edm: (t,) how far down that is, in -2 ln L.
        free: (t, P) parameters that no bound holds at the start of the step.
        factors: (t, P, P) Cholesky factors of the Hessians of the free parameters.
        definite: (t,) it is the Hessian; else something positive in its place.
        inside: (t,) the box did not shorten the step.
    """

    step: Array
    edm: Array
    free: Flags
    factors: Array
    definite: Flags
    inside: Flags


class _Descents:
    """Minimisations side by side: where they are, and which of them have ended."""

    def __init__(
        self, likelihood: LikelihoodBatch, data: DataStack, starts: Array, fixed: Flags
    ) -> None:
        p = likelihood.model.parameters
        self._likelihood = likelihood
        self._data = data
        self._low = np.where(fixed, starts, p.low)
        self._high = np.where(fixed, starts, p.high)
        self._theta = np.clip(starts, self._low, self._high)
        self._value = np.full(len(starts), np.inf)
        self._converged = np.zeros(len(starts), dtype=bool)

    def run(self) -> FoundBatch:
        """Down to the minima; whoever has ended leaves the stack."""
        rows = np.arange(len(self._theta))
        for _ in range(MAX_EXPANSIONS):
            rows = self._descend(rows)
            if not rows.size:
                break
        return FoundBatch(self._theta, self._value, self._converged)

    def _descend(self, rows: Rows) -> Rows:
        """One Hessian each, and the steps it is good for; returns who has not ended."""
        e = self._likelihood.expand(self._theta[rows], self._data[rows])
        self._value[rows] = e.value
        sound = np.isfinite(e.value) & np.isfinite(e.hessian).all(axis=(1, 2))
        if not sound.all():
            rows = rows[sound]
            if not rows.size:
                return rows
            e = Expansions(*(part[sound] for part in e))
        newton = self._newton(rows, e.gradient, e.hessian, e.scoring)
        ended = newton.edm <= TOLERANCE
        self._converged[rows[ended & newton.definite]] = True
        stepping = np.flatnonzero(~ended)
        moved, gradient = self._search(rows, newton, stepping)
        stuck = stepping[~np.isin(stepping, moved)]
        self._converged[rows[stuck[newton.edm[stuck] <= STALLED]]] = True
        steady = newton.definite[moved] & newton.inside[moved]
        self._coast(rows, newton, moved[steady], gradient[steady])
        return rows[moved[~self._converged[rows[moved]]]]

    def _newton(self, rows: Rows, gradient: Array, hessian: Array, scoring: Array) -> _Newton:
        theta = self._theta[rows]
        low, high = self._low[rows] - theta, self._high[rows] - theta
        free = self._free(rows, gradient)
        factors, definite = _cholesky(hessian, free)
        matrix = hessian
        if not definite.all():
            matrix = np.where(definite[:, None, None], hessian, scoring)
            for row in np.flatnonzero(~definite):
                matrix[row], factors[row] = _made_positive(matrix[row], free[row])
        step = _solve(factors, -gradient, free)
        inside = np.all((low <= step) & (step <= high) | ~free, axis=1)
        out = np.flatnonzero(~inside)
        if out.size:
            step[out] = _into_box(
                step[out], matrix[out], gradient[out], low[out], high[out], free[out]
            )
        edm = -(gradient * step).sum(axis=1)
        return _Newton(step, edm, free, factors, definite, inside)

    def _free(self, rows: Rows, gradient: Array) -> Flags:
        theta = self._theta[rows]
        at_low = (theta <= self._low[rows]) & (gradient >= 0)
        at_high = (theta >= self._high[rows]) & (gradient <= 0)
        return ~(at_low | at_high)

    def _search(self, rows: Rows, newton: _Newton, stepping: Rows) -> tuple[Rows, Array]:
        """Go along the steps, as far as leads down.

        Returns:
            who of the ``stepping`` has gone, and the gradients (., P) there.
        """
        t = np.ones(len(rows))
        gone, gradients = [], []
        for _ in range(MAX_HALVINGS):
            if not stepping.size:
                break
            here, edm = rows[stepping], newton.edm[stepping]
            trial = self._moved(here, t[stepping, None] * newton.step[stepping])
            value, gradient = self._likelihood.slope(trial, self._data[here])
            down = value <= self._value[here] - 1e-4 * t[stepping] * edm
            self._theta[here[down]], self._value[here[down]] = trial[down], value[down]
            gone.append(stepping[down])
            gradients.append(gradient[down])
            stepping, edm, value = stepping[~down], edm[~down], value[~down]
            above = value - self._value[rows[stepping]] + t[stepping] * edm
            t[stepping] *= np.clip(t[stepping] * edm / (2 * above), 0.1, 0.5)
        if not gone:
            return np.empty(0, dtype=np.intp), np.empty((0, newton.step.shape[1]))
        return np.concatenate(gone), np.concatenate(gradients)

    def _moved(self, rows: Rows, step: Array) -> Array:
        """Where steps lead; what they take to a bound is exactly there, whatever the rounding."""
        theta, low, high = self._theta[rows], self._low[rows], self._high[rows]
        moved = np.clip(theta + step, low, high)
        moved = np.where(step == low - theta, low, moved)
        return np.where(step == high - theta, high, moved)

    def _coast(self, rows: Rows, newton: _Newton, coasting: Rows, gradient: Array) -> None:
        """More steps with the Hessians at hand, for those whom they bring on well."""
        before = newton.edm[coasting]
        while coasting.size:
            here, free = rows[coasting], newton.free[coasting]
            step = _solve(newton.factors[coasting], -gradient, free)
            edm = -(gradient * step).sum(axis=1)
            same = (self._free(here, gradient) == free).all(axis=1)
            self._converged[here[same & (edm <= TOLERANCE)]] = True
            trial = self._theta[here] + step
            inside = ((self._low[here] <= trial) & (trial <= self._high[here])).all(axis=1)
            on = same & inside & (edm > TOLERANCE) & (edm <= GOOD * before)
            coasting, before, here, trial = coasting[on], edm[on], here[on], trial[on]
            if not on.any():
                break
            value, gradient = self._likelihood.slope(trial, self._data[here])
            noise = 1e-14 * (np.abs(value) + np.abs(self._data.constant[here]))
            down = value <= self._value[here] + noise
            coasting, before, gradient = coasting[down], before[down], gradient[down]
            self._theta[here[down]], self._value[here[down]] = trial[down], value[down]


def _into_box(
    step: Array, matrix: Array, gradient: Array, low: Array, high: Array, free: Flags
) -> Array:
    """The best steps (t, P) inside boxes, as the scalar minimiser finds them."""
    at_low, at_high = free & (step < low), free & (step > high)
    scale = np.where(free, np.diagonal(matrix, axis1=1, axis2=2), 1.0)
    result = np.where(free, np.clip(-gradient / scale, low, high), 0.0)  # where nothing is better
    todo = np.arange(len(step))
    for _ in range(MAX_SETS):
        m, g, lo, hi = matrix[todo], gradient[todo], low[todo], high[todo]
        loose = free[todo] & ~at_low & ~at_high
        factors, positive = _cholesky(m, loose)
        step = np.where(at_low, lo, np.where(at_high, hi, 0.0))
        step += _solve(factors, -(g + _times(m, step)), loose)
        push = g + _times(m, step)
        low_now = (loose & (step < lo)) | (at_low & (push >= 0))
        high_now = (loose & (step > hi)) | (at_high & (push <= 0))
        settled = ((low_now == at_low) & (high_now == at_high)).all(axis=1) & positive
        result[todo[settled]] = step[settled]
        again = positive & ~settled
        todo, at_low, at_high = todo[again], low_now[again], high_now[again]
        if not todo.size:
            break
    return result


def _times(matrix: Array, vector: Array) -> Array:
    """(t, P) products of matrices (t, P, P) and vectors (t, P)."""
    product: Array = (matrix @ vector[:, :, None])[:, :, 0]
    return product


def _cholesky(matrix: Array, free: Flags) -> tuple[Array, Flags]:
    """Factors of the free parameters' blocks, the rest being unit matrices, and who has one."""
    blocks = matrix * (free[:, :, None] & free[:, None, :])
    diagonal = blocks.reshape(len(blocks), -1)[:, :: blocks.shape[1] + 1]
    diagonal += ~free
    positive = np.ones(len(blocks), dtype=bool)
    for row, block in enumerate(blocks):
        _, failed = dpotrf(block.T, lower=True, overwrite_a=True, clean=False)
        positive[row] = not failed
    return blocks, positive


def _made_positive(matrix: Array, free: Flags) -> tuple[Array, Array]:
    """A matrix that is never negative, made positive by a shift, and its factor."""
    shift, shifted = 0.0, matrix
    while True:
        factors, positive = _cholesky(shifted[None], free[None])
        if positive[0]:
            return shifted, factors[0]
        shift = max(100 * shift, 1e-10 * float(matrix.diagonal().max()), 1e-10)
        shifted = matrix + shift * np.eye(len(matrix))


def _solve(factors: Array, right_side: Array, free: Flags) -> Array:
    """Solutions for the free parameters, 0 for the others."""
    solution = np.where(free, right_side, 0.0)
    for factor, row in zip(factors, solution, strict=True):
        row[:] = dpotrs(factor.T, row, lower=True)[0]
    return solution
