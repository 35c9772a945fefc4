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
from fitspec.histfactory.model import Model

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
        self._scaled = model.scaled.astype(float)
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
        return self._value(theta, data, self._rates(theta, None).bins)

    def slope(self, theta: Array, data: Data) -> tuple[float, Array]:
        """-ln L and its gradient (P,) at parameters (P,)."""
        rates = self._rates(theta, None)
        _, weight = self._weights(rates, data)
        gradient = self._gradient(theta, data, rates, weight)
        return self._value(theta, data, rates.bins), gradient

    def expand(self, theta: Array, data: Data, right: Flags | None = None) -> Expansion:
        """-ln L to second order.

        Args:
            theta: (P,) parameters.
            data: observed or Asimov data.
            right: (P,) which side's derivatives are meant at a kink; default the right.
        """
        m = self.model
        rates = self._rates(theta, right)
        curvature, weight = self._weights(rates, data)
        gradient = self._gradient(theta, data, rates, weight)

        # d ln F / d theta and d lambda / d theta, cell by cell
        relative = np.empty((m.factors.stop - m.factors.start, len(m.nominal)))
        n = m.normsys.stop - m.normsys.start
        np.take(rates.normsys[:, 0], m.sample, axis=1, out=relative[:n])
        np.multiply(self._scaled, (1 / rates.scales)[:, None], out=relative[n:])
        jacobian = np.zeros((len(theta), len(m.nominal)))
        slopes = jacobian[m.additive]
        np.multiply(m.up, rates.up[1][:, None], out=slopes)
        slopes += m.down * rates.down[1][:, None]
        slopes *= rates.factor
        scaled = relative * rates.cells
        jacobian[m.factors] += scaled

        # curvature of the Poisson terms, then of the rates
        by_bin = np.add.reduceat(jacobian, m.first_cell, axis=1)
        scoring = (by_bin * curvature) @ by_bin.T
        diagonal = scoring.reshape(-1)[:: len(theta) + 1]
        diagonal += self._precision
        diagonal[self._poisson] += data.auxiliary[self._poisson] / theta[self._poisson] ** 2

        scaled *= 0.5
        jacobian[m.factors] -= scaled
        jacobian *= weight
        mixed = jacobian @ relative.T
        own = mixed.reshape(-1)[m.factors.start * len(relative) :: len(relative) + 1]
        own[n : len(relative)] = 0  # a rate is linear in a scale
        by_sample = np.bincount(m.sample, weight * rates.cells, len(m.samples))
        own[:n] += 0.5 * ((rates.normsys[:, 1] - rates.normsys[:, 0] ** 2) @ by_sample)
        hessian = scoring.copy()
        hessian[:, m.factors] += mixed
        hessian[m.factors] += mixed.T
        per_base = weight * rates.factor
        diagonal = hessian.reshape(-1)[:: len(theta) + 1]
        diagonal[m.additive] += rates.up[2] * (m.up @ per_base)
        diagonal[m.additive] += rates.down[2] * (m.down @ per_base)
        return Expansion(self._value(theta, data, rates.bins), gradient, hessian, scoring)

    def _rates(self, theta: Array, right: Flags | None) -> _Rates:
        m = self.model
        if right is None:
            right = theta >= 0
        up, down = self._additive(theta[m.additive], right[m.additive])
        base = m.nominal + up[0] @ m.up + down[0] @ m.down
        normsys = self._normsys(theta[m.normsys], right[m.normsys])
        scales = theta[m.scales]
        scales = np.where(np.abs(scales) < TINY, TINY, scales)
        factor = np.where(m.scaled, scales[:, None], 1.0).prod(axis=0)
        factor *= normsys[:, 0].prod(axis=0)[m.sample]
        cells = base * factor
        return _Rates(
            bins=np.add.reduceat(cells, m.first_cell),
            cells=cells,
            factor=factor,
            up=up,
            down=down,
            normsys=normsys[:, 1:] / normsys[:, :1],
            scales=scales,
        )

    def _normsys(self, alpha: Array, right: Flags) -> Array:
        """(N, 3, K) factors of normsys, and their first and second derivatives."""
        m = self.model
        outside = np.arange(len(alpha))
        if self._polynomial:
            factors = powers(alpha) @ m.coefficients
            outside = outside[np.abs(alpha) >= 1]
        else:
            factors = np.empty((len(alpha), 3, len(m.samples)))
        if outside.size:
            above = right[outside, None]
            rate = np.where(above, m.log_hi[outside], -m.log_lo[outside])
            value = np.exp(rate * alpha[outside, None])
            factors[outside] = np.stack([value, rate * value, rate**2 * value], axis=1)
        return factors

    def _value(self, theta: Array, data: Data, bins: Array) -> float:
        p = self.model.parameters
        seen = data.main > 0
        where_seen = bins[seen]
        if (where_seen <= NOTHING).any():
            return math.inf
        value = bins.sum() - data.main[seen] @ np.log(where_seen)
        pull = theta - data.auxiliary
        value += 0.5 * (self._precision * pull) @ pull
        if self._poisson.size:
            gamma, counted = theta[self._poisson], data.auxiliary[self._poisson]
            value += p.factor[self._poisson] @ gamma - counted @ np.log(gamma)
        value = float(value) + data.constant
        return value if math.isfinite(value) else math.inf

    def _weights(self, rates: _Rates, data: Data) -> tuple[Array, Array]:
        """n / lambda^2 by bin, and d nll / d lambda = 1 - n / lambda by cell."""
        bins = np.where(data.main > 0, rates.bins, 1.0)
        ratio = data.main / bins
        return ratio / bins, (1 - ratio).repeat(self.model.cells)

    def _gradient(self, theta: Array, data: Data, rates: _Rates, weight: Array) -> Array:
        m, p = self.model, self.model.parameters
        gradient = self._precision * (theta - data.auxiliary)
        per_base = weight * rates.factor
        gradient[m.additive] += rates.up[1] * (m.up @ per_base)
        gradient[m.additive] += rates.down[1] * (m.down @ per_base)
        weighted = weight * rates.cells
        gradient[m.normsys] += rates.normsys[:, 0] @ np.bincount(m.sample, weighted, len(m.samples))
        gradient[m.scales] += (self._scaled @ weighted) / rates.scales
        if self._poisson.size:
            counted = data.auxiliary[self._poisson]
            gradient[self._poisson] += p.factor[self._poisson] - counted / theta[self._poisson]
        return gradient


class _Rates(NamedTuple):
    """What a model expects at one point, and the pieces its derivatives are made of.

    Attributes:
        bins: (B,) expected events.
        cells: (C,) the same by sample.
        factor: (C,) product of all factors.
        up, down: (3, H) weights of the histosys, with derivatives.
        normsys: (N, 2, K) f' / f and f'' / f of the normsys factors f.
        scales: (Z,) parameters that are factors themselves, none of them 0.
    """

    bins: Array
    cells: Array
    factor: Array
    up: Array
    down: Array
    normsys: Array
    scales: Array


def _sum_log_factorials(counts: Array) -> float:
    """Sum of ln Gamma(n + 1)."""
    return math.fsum(map(math.lgamma, (counts + 1).tolist()))
