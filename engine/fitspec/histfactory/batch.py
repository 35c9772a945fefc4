"""The likelihood of many data sets of one model at once: every array has their axis in front.

The formulas are those of :mod:`fitspec.histfactory.likelihood`, whose arrays are too small for a
leading axis of 1 to cost nothing; here T data sets share what it costs to call numpy. They differ
where a bin without events is expected to have less than none, see :data:`BELOW_NOTHING`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt

from fitspec.histfactory.interpolation import ADDITIVE, POWERS, Array, powers
from fitspec.histfactory.likelihood import NOTHING, TINY, Data
from fitspec.histfactory.model import Model

Rows = npt.NDArray[np.intp]

BELOW_NOTHING = 0.1
"""Events. Without any in a bin, its term of -ln L is the expectation itself, and interpolated
systematics could make that a negative number without end. Below 0 the term bends (an exponential
with this scale, continuously differentiable) and does not go below minus this."""

MEMORY = 32 * 2**20
"""Bytes that the arrays of one expansion may take: beyond the caches, more data sets at once are
no faster."""


@dataclass(frozen=True, slots=True)
class DataStack:
    """T data sets of one model.

    Attributes:
        main: (T, B) events.
        auxiliary: (T, P) auxiliary measurements, 0 for parameters without a constraint.
        constant: (T,) what they contribute to the nll whatever the parameters.
    """

    main: Array
    auxiliary: Array
    constant: Array

    def __len__(self) -> int:
        return len(self.main)

    @overload
    def __getitem__(self, rows: int) -> Data: ...
    @overload
    def __getitem__(self, rows: Rows | slice) -> DataStack: ...
    def __getitem__(self, rows: int | Rows | slice) -> Data | DataStack:
        """One data set, or a stack of some."""
        if isinstance(rows, int):
            return Data(self.main[rows], self.auxiliary[rows], float(self.constant[rows]))
        return DataStack(self.main[rows], self.auxiliary[rows], self.constant[rows])


class Expansions(NamedTuple):
    """T nlls to second order: values (T,), gradients (T, P), Hessians and scoring (T, P, P)."""

    value: Array
    gradient: Array
    hessian: Array
    scoring: Array


class LikelihoodBatch:
    """-ln L of a model for T data sets, each with its own parameters.

    Args:
        model: the arrays.
        normsys: interpolation code of normsys, ``code1`` or ``code4``.
        histosys: interpolation code of histosys, ``code0``, ``code2`` or ``code4p``.
    """

    def __init__(self, model: Model, normsys: str = "code4", histosys: str = "code4p") -> None:
        self.model = model
        self._polynomial = normsys == "code4"
        self._additive = ADDITIVE[histosys]
        p = model.parameters
        self._precision = np.where(p.normal, p.sigma**-2.0, 0.0)
        self._poisson = np.flatnonzero(p.poisson)
        self._scaled = model.scaled.astype(float)
        self._bin = np.arange(len(model.bins)).repeat(model.cells)
        self._scales_of = _padded(model.scaled)

    def stack(self, main: Array, auxiliary: Array) -> DataStack:
        """Data sets with the terms that do not depend on parameters.

        Args:
            main: (T, B) events, none of them negative.
            auxiliary: (T, P) auxiliary measurements.
        """
        from scipy.special import gammaln

        p = self.model.parameters
        counted = auxiliary[:, self._poisson]
        constant = gammaln(main + 1).sum(axis=1) + gammaln(counted + 1).sum(axis=1)
        constant -= (counted * np.log(p.factor[self._poisson])).sum(axis=1)
        constant += np.log(p.sigma[p.normal] * math.sqrt(2 * math.pi)).sum()
        return DataStack(main, auxiliary, constant)

    @property
    def rows_at_once(self) -> int:
        """How many data sets are expanded with arrays of :data:`MEMORY`."""
        m = self.model
        p, c, k = len(m.parameters.names), len(m.nominal), len(m.samples)
        f, n = len(m.scaled) + len(m.log_hi), len(m.log_hi)
        return max(1, MEMORY // (8 * (p * (c + 4 * p + f) + 2 * f * c + 6 * n * k)))

    def value(self, theta: Array, data: DataStack) -> Array:
        """(T,) -ln L at parameters (T, P); infinite where something impossible is observed."""
        return self._value(theta, data, self._rates(theta, 0).bins)

    def slope(self, theta: Array, data: DataStack) -> tuple[Array, Array]:
        """(T,) -ln L and its gradients (T, P) at parameters (T, P)."""
        rates = self._rates(theta, 1)
        _, weight = self._weights(rates, data)
        return self._value(theta, data, rates.bins), self._gradient(theta, data, rates, weight)

    def expand(self, theta: Array, data: DataStack) -> Expansions:
        """-ln L to second order at parameters (T, P).

        At a kink of an interpolation (codes 0 and 1) the derivatives are those of its right side.
        """
        m = self.model
        t, p = theta.shape
        rates = self._rates(theta, 2)
        curvature, weight = self._weights(rates, data)
        gradient = self._gradient(theta, data, rates, weight)

        # d ln F / d theta and d lambda / d theta, cell by cell
        n = m.normsys.stop - m.normsys.start
        relative = np.empty((t, m.factors.stop - m.factors.start, len(m.nominal)))
        np.take(rates.normsys[0], m.sample, axis=2, out=relative[:, :n])
        np.divide(self._scaled, rates.scales[:, :, None], out=relative[:, n:])
        jacobian = np.zeros((t, p, len(m.nominal)))
        slopes = jacobian[:, m.additive]
        np.multiply(m.up, rates.up[1][:, :, None], out=slopes)
        slopes += m.down * rates.down[1][:, :, None]
        slopes *= rates.factor[:, None]
        scaled = relative * rates.cells[:, None]
        jacobian[:, m.factors] += scaled

        # curvature of the Poisson terms, then of the rates
        by_bin = np.add.reduceat(jacobian, m.first_cell, axis=2)
        scoring = (by_bin * curvature[:, None]) @ by_bin.transpose(0, 2, 1)
        diagonal = scoring.reshape(t, -1)[:, :: p + 1]
        diagonal += self._precision
        counted = data.auxiliary[:, self._poisson]
        diagonal[:, self._poisson] += counted / theta[:, self._poisson] ** 2

        scaled *= 0.5
        jacobian[:, m.factors] -= scaled
        jacobian *= weight[:, None]
        mixed = jacobian @ relative.transpose(0, 2, 1)
        f = relative.shape[1]
        own = mixed.reshape(t, -1)[:, m.factors.start * f :: f + 1]
        own[:, n:f] = 0  # a rate is linear in a scale
        by_sample = self._by_sample(weight * rates.cells)
        bend = rates.normsys[1] - rates.normsys[0] ** 2
        own[:, :n] += 0.5 * (bend @ by_sample[:, :, None])[:, :, 0]
        hessian = scoring.copy()
        hessian[:, :, m.factors] += mixed
        hessian[:, m.factors] += mixed.transpose(0, 2, 1)
        per_base = weight * rates.factor
        diagonal = hessian.reshape(t, -1)[:, :: p + 1]
        diagonal[:, m.additive] += rates.up[2] * (per_base @ m.up.T)
        diagonal[:, m.additive] += rates.down[2] * (per_base @ m.down.T)
        return Expansions(self._value(theta, data, rates.bins), gradient, hessian, scoring)

    def _rates(self, theta: Array, derivatives: int) -> _Rates:
        m = self.model
        alpha = theta[:, m.additive]
        weights = self._additive(alpha.ravel(), alpha.ravel() >= 0)
        up, down = (weight.reshape(3, *alpha.shape) for weight in weights)
        base = m.nominal + up[0] @ m.up + down[0] @ m.down
        normsys = self._normsys(theta[:, m.normsys], derivatives)
        scales = theta[:, m.scales]
        scales = np.where(np.abs(scales) < TINY, TINY, scales)
        factor = np.ones_like(base)
        with_unit = np.column_stack([scales, np.ones(len(scales))])
        for of_cell in self._scales_of:
            factor *= with_unit[:, of_cell]
        factor *= normsys[0].prod(axis=1)[:, m.sample]
        cells = base * factor
        return _Rates(
            bins=np.add.reduceat(cells, m.first_cell, axis=1),
            cells=cells,
            factor=factor,
            up=up,
            down=down,
            normsys=normsys[1:] / normsys[0],
            scales=scales,
        )

    def _normsys(self, alpha: Array, derivatives: int) -> Array:
        """(derivatives + 1, T, N, K) factors of normsys, and their derivatives."""
        m = self.model
        t, n = alpha.shape
        d, k = derivatives + 1, len(m.samples)
        outside = np.abs(alpha) >= (1 if self._polynomial else 0)
        if self._polynomial:  # one matrix product a parameter
            table = powers(alpha.T.ravel())[:, :d].reshape(n, t, d, POWERS).transpose(0, 2, 1, 3)
            products = table.reshape(n, d * t, POWERS) @ m.coefficients
            factors = products.reshape(n, d, t, k).transpose(1, 2, 0, 3)
        else:
            factors = np.empty((d, t, n, k))
        row, column = outside.nonzero()
        if row.size:
            above = (alpha >= 0)[row, column, None]
            rate = np.where(above, m.log_hi[column], -m.log_lo[column])
            value = np.exp(rate * alpha[row, column, None])
            for order in range(d):
                factors[order, row, column] = value
                value = value * rate
        return factors

    def _value(self, theta: Array, data: DataStack, bins: Array) -> Array:
        p = self.model.parameters
        seen = data.main > 0
        impossible = (seen & (bins <= NOTHING)).any(axis=1)
        logarithms = np.log(np.where(seen & (bins > NOTHING), bins, 1.0))
        bent = BELOW_NOTHING * np.expm1(np.minimum(bins, 0.0) / BELOW_NOTHING)
        value = np.where(bins < 0, bent, bins).sum(axis=1) - (data.main * logarithms).sum(axis=1)
        value += 0.5 * (self._precision * (theta - data.auxiliary) ** 2).sum(axis=1)
        if self._poisson.size:
            gamma, counted = theta[:, self._poisson], data.auxiliary[:, self._poisson]
            value += gamma @ p.factor[self._poisson] - (counted * np.log(gamma)).sum(axis=1)
        value += data.constant
        return np.where(impossible | ~np.isfinite(value), np.inf, value)

    def _weights(self, rates: _Rates, data: DataStack) -> tuple[Array, Array]:
        """Second derivatives of -ln L by the expectation of a bin, and first ones by cell."""
        seen = data.main > 0
        bins = np.where(seen, rates.bins, 1.0)
        ratio = data.main / bins
        bent = np.exp(np.where(seen, 0.0, np.minimum(rates.bins, 0.0) / BELOW_NOTHING))
        below = ~seen & (rates.bins < 0)
        curvature = np.where(below, bent / BELOW_NOTHING, ratio / bins)
        return curvature, (bent - ratio)[:, self._bin]

    def _gradient(self, theta: Array, data: DataStack, rates: _Rates, weight: Array) -> Array:
        m, p = self.model, self.model.parameters
        gradient = self._precision * (theta - data.auxiliary)
        per_base = weight * rates.factor
        gradient[:, m.additive] += rates.up[1] * (per_base @ m.up.T)
        gradient[:, m.additive] += rates.down[1] * (per_base @ m.down.T)
        weighted = weight * rates.cells
        by_sample = self._by_sample(weighted)
        gradient[:, m.normsys] += (rates.normsys[0] @ by_sample[:, :, None])[:, :, 0]
        gradient[:, m.scales] += (weighted @ self._scaled.T) / rates.scales
        if self._poisson.size:
            counted = data.auxiliary[:, self._poisson]
            gradient[:, self._poisson] += (
                p.factor[self._poisson] - counted / theta[:, self._poisson]
            )
        return gradient

    def _by_sample(self, of_cells: Array) -> Array:
        """(T, K) sums over the cells of each sample."""
        t, k = len(of_cells), len(self.model.samples)
        places = (np.arange(t) * k)[:, None] + self.model.sample
        sums = np.bincount(places.ravel(), of_cells.ravel(), t * k)
        return np.asarray(sums, dtype=float).reshape(t, k)


class _Rates(NamedTuple):
    """What a model expects at T points, as in :mod:`fitspec.histfactory.likelihood`.

    Attributes:
        bins: (T, B) expected events.
        cells: (T, C) the same by sample.
        factor: (T, C) product of all factors.
        up, down: (3, T, H) weights of the histosys, with derivatives.
        normsys: (derivatives, T, N, K) f' / f and f'' / f of the normsys factors f.
        scales: (T, Z) parameters that are factors themselves, none of them 0.
    """

    bins: Array
    cells: Array
    factor: Array
    up: Array
    down: Array
    normsys: Array
    scales: Array


def _padded(scaled: npt.NDArray[np.bool_]) -> list[Rows]:
    """Which scales a cell has: its first, second, ..., each (C,); Z where it has no more."""
    none, cells = scaled.shape
    counts = scaled.sum(axis=0)
    padded = np.full((int(counts.max(initial=0)), cells), none)
    scale_of = [np.flatnonzero(column) for column in scaled.T]
    for cell, scales in enumerate(scale_of):
        padded[: len(scales), cell] = scales
    return list(padded)
