"""The HistFactory likelihood with its exact first and second derivatives.

    lambda_c = (nominal_c + delta_c) F_c          lambda_b = sum of lambda_c over the cells of bin b

``delta`` is the sum of the histosys, ``F`` the product of all factors; the main term is Poisson in
every bin, and constrained parameters have a normal or a Poisson term (CERN-OPEN-2012-016, eq. 6).
All formulas are for ln L, and ``nll`` is -ln L with its constants, as pyhf has it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fitspec.errors import InferenceError
from fitspec.histfactory.interpolation import ADDITIVE, Array, powers
from fitspec.histfactory.model import Index, Model

Flags = npt.NDArray[np.bool_]

TINY = 1e-60
"""Stands for a factor of exactly 0, so that a product can be divided by it again: small enough to
be nothing in a sum, large enough that the product of several is still a number."""

NOTHING = 1e-50
"""Fewer events than this are expected only where such factors leave none."""


@dataclass(frozen=True, slots=True)
class Data:
    """Observed or Asimov data.

    Attributes:
        main: (B,) events.
        auxiliary: (P,) auxiliary measurements, 0 for parameters without a constraint.
        constant: what they contribute to the nll whatever the parameters.
    """

    main: Array
    auxiliary: Array
    constant: float


class Expansion(NamedTuple):
    """The nll to second order at a point: value, gradient (P,), Hessian (P, P).

    ``scoring`` (P, P) is the part of the Hessian that is never negative: what is left where data
    and expectation agree, or the model is linear.
    """

    value: float
    gradient: Array
    hessian: Array
    scoring: Array


class Likelihood:
    """-ln L of a model, and what the model expects.

    Args:
        model: the arrays.
        normsys: interpolation code of normsys, ``code1`` or ``code4``.
        histosys: interpolation code of histosys, ``code0``, ``code2`` or ``code4p``.

    Attributes:
        model: the arrays.
        kinked: (P,) parameters at whose 0 the derivative jumps (codes 0 and 1).
    """

    def __init__(self, model: Model, normsys: str = "code4", histosys: str = "code4p") -> None:
        self.model = model
        self._polynomial = normsys == "code4"
        self._additive = ADDITIVE[histosys]
        p = model.parameters
        self._precision = np.where(p.normal, p.sigma**-2.0, 0.0)
        self._poisson = np.flatnonzero(p.poisson)
        self._scaled = model.scaled.astype(float, order="C")
        self._shifts = np.stack([model.up, model.down], axis=1).copy(order="C")  # (H, 2, C)
        self._shifts_flat = self._shifts.reshape(-1, len(model.nominal))
        self._bin = np.arange(len(model.bins)).repeat(model.cells)
        self._in_bin = (self._bin[:, None] == np.arange(len(model.bins))).astype(float)
        self._factor, self._first_factor = _factors_of_cells(model)
        self.kinked = np.zeros(len(p.names), dtype=bool)
        self.kinked[model.additive] |= histosys == "code0"
        self.kinked[model.normsys] |= normsys == "code1"

    def data(self, main: Array, auxiliary: Array) -> Data:
        """Data with the terms that do not depend on parameters.

        Args:
            main: (B,) events.
            auxiliary: (P,) auxiliary measurements.

        Raises:
            InferenceError: naming a bin with a negative number of events.
        """
        if (main < 0).any():
            b = int(np.argmin(main))
            channel, index = self.model.bins[b]
            raise InferenceError(f"{main[b]:.3g} events in bin {index} of channel {channel!r}")
        p = self.model.parameters
        counted = auxiliary[p.poisson]
        constant = float(np.log(p.sigma[p.normal] * math.sqrt(2 * math.pi)).sum())
        constant += _sum_log_factorials(main) + _sum_log_factorials(counted)
        constant -= float((counted * np.log(p.factor[p.poisson])).sum())
        return Data(main, auxiliary, constant)

    def observed(self) -> Data:
        """The data of the workspace."""
        return self.data(self.model.observed, self.model.parameters.auxdata)

    def asimov(self, theta: Array) -> Data:
        """The data that parameters (P,) predict exactly, auxiliary data included."""
        p = self.model.parameters
        return self.data(self.expected(theta), np.where(p.normal, theta, p.factor * theta))

    def expected(self, theta: Array) -> Array:
        """(B,) expected events at parameters (P,)."""
        bins = self._rates(theta, None).bins
        return np.where(np.abs(bins) < NOTHING, 0.0, bins)

    def cells(self, theta: Array) -> Array:
        """(C,) expected events by cell at parameters (P,)."""
        cells = self._rates(theta, None).cells
        return np.where(np.abs(cells) < NOTHING, 0.0, cells)

    def value(self, theta: Array, data: Data) -> float:
        """-ln L at parameters (P,); infinite where something impossible is observed."""
        return self._at(theta, data).value

    def slope(self, theta: Array, data: Data) -> tuple[float, Array]:
        """-ln L and its gradient (P,) at parameters (P,)."""
        m = self.model
        value, rates, seen, gradient = self._at(theta, data)
        weight = (1 - data.main / seen)[self._bin]
        gradient[m.additive] += self._shifted(rates.shifts[:, 1], weight * rates.factor)
        weighted = weight * rates.cells
        by_sample = np.bincount(m.sample, weighted, len(m.samples))
        gradient[m.normsys] += (rates.normsys[:, 1] / rates.normsys[:, 0]) @ by_sample
        gradient[m.scales] += (self._scaled @ weighted) / rates.scales
        return value, gradient

    def expand(self, theta: Array, data: Data, right: Flags | None = None) -> Expansion:
        """-ln L to second order.

        Args:
            theta: (P,) parameters.
            data: observed or Asimov data.
            right: (P,) which side's derivatives are meant at a kink; default the right.
        """
        return self._expansion(theta, data, self._at(theta, data, right))

    def expand_below(
        self, ceiling: float, theta: Array, data: Data
    ) -> tuple[float, Expansion | None]:
        """-ln L, and to second order only where it is not above a ceiling: it costs a third."""
        at = self._at(theta, data)
        return at.value, None if at.value > ceiling else self._expansion(theta, data, at)

    def _expansion(self, theta: Array, data: Data, at: _Point) -> Expansion:
        m = self.model
        value, rates, seen, gradient = at
        ratio = data.main / seen
        weight = (1 - ratio)[self._bin]  # d nll / d lambda

        # d ln F / d theta and d lambda / d theta, cell by cell; of the factors' only half at first
        slopes = rates.normsys[:, 1] / rates.normsys[:, 0]
        n = len(slopes)
        relative = np.empty((m.factors.stop - m.factors.start, len(m.nominal)))
        slopes.take(m.sample, 1, relative[:n], "clip")  # "raise" would go through a buffer
        np.divide(self._scaled, rates.scales[:, None], out=relative[n:])
        half = relative * (0.5 * rates.cells)
        jacobian = np.zeros((len(theta), len(m.nominal)))
        shifts = rates.shifts[:, 1].T[:, None].copy() @ self._shifts
        np.multiply(shifts[:, 0], rates.factor, out=jacobian[m.additive])
        jacobian[m.factors] += half
        mixed = (jacobian * weight) @ relative.T
        jacobian[m.factors] += half
        gradient += jacobian @ weight

        # curvature of the Poisson terms, then of the rates
        by_bin = jacobian @ self._in_bin
        scoring = (by_bin * (ratio / seen)) @ by_bin.T
        diagonal = scoring.reshape(-1)[:: len(theta) + 1]
        diagonal += self._precision
        if self._poisson.size:
            diagonal[self._poisson] += data.auxiliary[self._poisson] / theta[self._poisson] ** 2

        own = mixed.reshape(-1)[m.factors.start * len(relative) :: len(relative) + 1]
        own[n : len(relative)] = 0  # a rate is linear in a scale
        by_sample = np.bincount(m.sample, weight * rates.cells, len(m.samples))
        bends = rates.normsys[:, 2] / rates.normsys[:, 0] - slopes * slopes
        own[:n] += 0.5 * (bends @ by_sample)
        hessian = scoring.copy()
        hessian[:, m.factors] += mixed
        hessian[m.factors] += mixed.T
        diagonal = hessian.reshape(-1)[:: len(theta) + 1]
        diagonal[m.additive] += self._shifted(rates.shifts[:, 2], weight * rates.factor)
        return Expansion(value, gradient, hessian, scoring)

    def _at(self, theta: Array, data: Data, right: Flags | None = None) -> _Point:
        rates = self._rates(theta, right)
        constraints, gradient = self._constraints(theta, data)
        seen = np.where(data.main > 0, rates.bins, 1.0)
        value = math.inf
        if seen.min(initial=1.0) > NOTHING:
            main = float(rates.bins.sum() - data.main @ np.log(seen))
            value = main + constraints + data.constant
        return _Point(value if math.isfinite(value) else math.inf, rates, seen, gradient)

    def _rates(self, theta: Array, right: Flags | None) -> _Rates:
        m = self.model
        if right is None:
            right = theta >= 0
        shifts = self._additive(theta[m.additive], right[m.additive])
        base = shifts[:, 0].T.reshape(-1) @ self._shifts_flat
        base += m.nominal
        normsys = self._normsys(theta[m.normsys], right[m.normsys])
        scales = theta[m.scales]
        scales = np.where(np.abs(scales) < TINY, TINY, scales)
        factors = np.concatenate([scales, np.multiply.reduce(normsys[:, 0])])
        factor = np.multiply.reduceat(factors[self._factor], self._first_factor)
        cells = base * factor
        return _Rates(np.add.reduceat(cells, m.first_cell), cells, factor, shifts, normsys, scales)

    def _normsys(self, alpha: Array, right: Flags) -> Array:
        """(N, 3, K) factors of normsys, and their first and second derivatives."""
        m = self.model
        if self._polynomial:
            factors = powers(alpha) @ m.coefficients
            outside = (np.abs(alpha) >= 1).nonzero()[0]
        else:
            factors = np.empty((len(alpha), 3, len(m.samples)))
            outside = np.arange(len(alpha))
        if outside.size:
            rate = np.where(right[outside, None], m.log_hi[outside], -m.log_lo[outside])
            value = np.exp(rate * alpha[outside, None])
            for order in range(3):
                factors[outside, order] = value
                value = value * rate
        return factors

    def _shifted(self, weights: Array, per_base: Array) -> Array:
        """(H,) sums over cells of shifts with weights (2, H), times something of each cell."""
        up, down = (self._shifts_flat @ per_base).reshape(-1, 2).T * weights
        both: Array = up + down
        return both

    def _constraints(self, theta: Array, data: Data) -> tuple[float, Array]:
        """What the constraint terms add to the nll and its gradient (P,)."""
        pull = theta - data.auxiliary
        gradient = self._precision * pull
        value = 0.5 * float(gradient @ pull)
        if self._poisson.size:
            gamma, counted = theta[self._poisson], data.auxiliary[self._poisson]
            rate = self.model.parameters.factor[self._poisson]
            value += float(rate @ gamma - counted @ np.log(gamma))
            gradient[self._poisson] += rate - counted / gamma
        return value, gradient


class _Rates(NamedTuple):
    """What a model expects at one point, and the pieces its derivatives are made of.

    Attributes:
        bins: (B,) expected events.
        cells: (C,) the same by sample.
        factor: (C,) product of all factors.
        shifts: (2, 3, H) weights of the histosys, up and down, with derivatives.
        normsys: (N, 3, K) normsys factors, with derivatives.
        scales: (Z,) parameters that are factors themselves, none of them 0.
    """

    bins: Array
    cells: Array
    factor: Array
    shifts: Array
    normsys: Array
    scales: Array


class _Point(NamedTuple):
    """-ln L at one point, and what its derivatives begin with.

    Attributes:
        value: -ln L.
        rates: what is expected.
        seen: (B,) expected events where there are any in the data; 1 elsewhere, to divide by.
        gradient: (P,) of the constraint terms.
    """

    value: float
    rates: _Rates
    seen: Array
    gradient: Array


def _factors_of_cells(model: Model) -> tuple[Index, Index]:
    """Indices of all cells' factors, one cell after the other, and where each begins.

    They count the scales first, then the products of each sample's normsys, which every cell has.
    """
    by_sample = model.sample == np.arange(len(model.samples))[:, None]
    cell, factor = np.concatenate([model.scaled, by_sample]).T.nonzero()
    return factor, np.searchsorted(cell, np.arange(len(model.nominal)))


def _sum_log_factorials(counts: Array) -> float:
    """Sum of ln Gamma(n + 1)."""
    return math.fsum(map(math.lgamma, (counts + 1).tolist()))
