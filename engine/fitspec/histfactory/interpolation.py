"""Interpolation codes: how a systematic variation acts between, and beyond, its +-1 sigma points.

Codes and formulas are pyhf's (its ``interpolators`` package; CERN-OPEN-2012-016 section 4.1), with
first and second derivatives. ``alpha`` is the nuisance parameter, 0 at the nominal model.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

POWERS = 7
"""Coefficients of code 4's polynomial, constant term included."""


def additive_code0(alpha: Array, right: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """Piecewise linear; the kink at 0 takes its derivative from the side in ``right``."""
    up = right.astype(float)
    return _linear(alpha, up, 1 - up)


def additive_code2(alpha: Array, _: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """Quadratic inside +-1, linear outside, as pyhf has it (with a jump at +-1)."""
    one = np.ones_like(alpha)
    up = np.stack([(alpha + alpha**2) / 2, 0.5 + alpha, one])
    down = np.stack([(alpha - alpha**2) / 2, 0.5 - alpha, -one])
    above, below = alpha > 1, alpha < -1
    for outside, origin, slopes in ((above, 1.0, (1.5, -0.5)), (below, 0.0, (-0.5, 1.5))):
        shift = alpha[outside] - origin
        for part, slope in zip((up, down), slopes, strict=True):
            part[0, outside], part[1, outside], part[2, outside] = slope * shift, slope, 0.0
    return up, down


def additive_code4p(alpha: Array, _: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """Polynomial inside +-1, linear outside; twice continuously differentiable."""
    square = alpha * alpha
    even = np.empty((3, len(alpha)))
    even[0] = square * (0.9375 + square * (0.1875 * square - 0.625))
    even[1] = alpha * (1.875 + square * (1.125 * square - 2.5))
    even[2] = 1.875 + square * (5.625 * square - 7.5)
    outside = np.flatnonzero(square > 1)
    if outside.size:
        even[0, outside] = 0.5 * np.abs(alpha[outside])
        even[1, outside] = 0.5 * np.sign(alpha[outside])
        even[2, outside] = 0.0
    odd = np.zeros((3, len(alpha)))
    odd[0] = 0.5 * alpha
    odd[1] = 0.5
    return odd + even, odd - even


def _linear(alpha: Array, up: Array, down: Array) -> tuple[Array, Array]:
    zero = np.zeros_like(alpha)
    return np.stack([alpha * up, up, zero]), np.stack([alpha * down, down, zero])


ADDITIVE: dict[str, Callable[[Array, npt.NDArray[np.bool_]], tuple[Array, Array]]] = {
    "code0": additive_code0,
    "code2": additive_code2,
    "code4p": additive_code4p,
}
"""Weights of a histosys: ``delta = u(alpha) (hi - nominal) + d(alpha) (nominal - lo)``.

Each takes ``alpha`` (P,) and whether its right-hand side is meant where a code has a kink (P,), and
returns ``u`` and ``d`` (3, P): value, first and second derivative.
"""

# from the values, first and second derivatives of the exponentials at +-1 to the coefficients of
# alpha, ..., alpha^6 of the polynomial between them
_CODE4 = (
    np.array(
        [
            [15, -15, -7, -7, 1, -1],
            [24, 24, -9, 9, 1, 1],
            [-10, 10, 10, 10, -2, 2],
            [-24, -24, 14, -14, -2, -2],
            [3, -3, -3, -3, 1, -1],
            [8, 8, -5, 5, 1, 1],
        ]
    )
    / 16
)


def code4_coefficients(log_hi: Array, log_lo: Array) -> Array:
    """Polynomial of a normsys with code 4 inside +-1.

    Args:
        log_hi, log_lo: (K,) logarithms of the factors at alpha = +1 and -1.

    Returns:
        (7, K) coefficients of alpha^0 ... alpha^6.
    """
    hi, lo = np.exp(log_hi), np.exp(log_lo)
    ends = np.stack([hi - 1, lo - 1, log_hi * hi, -log_lo * lo, log_hi**2 * hi, log_lo**2 * lo])
    coefficients = np.ones((POWERS, len(hi)))
    coefficients[1:] = _CODE4 @ ends
    return coefficients


def powers(alpha: Array) -> Array:
    """(P, 3, 7): alpha^0 ... alpha^6 with first and second derivatives."""
    table = np.zeros((len(alpha), 3, POWERS))
    table[:, 0, 0] = 1
    table[:, 0, 1:] = alpha[:, None]
    np.multiply.accumulate(table[:, 0], axis=1, out=table[:, 0])
    table[:, 1, 1:] = table[:, 0, :-1] * _N[1:]
    table[:, 2, 2:] = table[:, 0, :-2] * (_N[2:] * _N[1:-1])
    return table


_N = np.arange(POWERS, dtype=float)
