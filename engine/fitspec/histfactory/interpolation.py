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


def additive_code0(alpha: Array, right: npt.NDArray[np.bool_]) -> Array:
    """Piecewise linear; the kink at 0 takes its derivative from the side in ``right``."""
    slopes = np.stack([right, ~right]).astype(float)
    return np.stack([alpha * slopes, slopes, np.zeros_like(slopes)], axis=1)


def additive_code2(alpha: Array, _: npt.NDArray[np.bool_]) -> Array:
    """Quadratic inside +-1, linear outside, as pyhf has it (with a jump at +-1)."""
    one = np.ones_like(alpha)
    up = np.stack([(alpha + alpha**2) / 2, 0.5 + alpha, one])
    down = np.stack([(alpha - alpha**2) / 2, 0.5 - alpha, -one])
    above, below = alpha > 1, alpha < -1
    for outside, origin, slopes in ((above, 1.0, (1.5, -0.5)), (below, 0.0, (-0.5, 1.5))):
        shift = alpha[outside] - origin
        for part, slope in zip((up, down), slopes, strict=True):
            part[0, outside], part[1, outside], part[2, outside] = slope * shift, slope, 0.0
    return np.stack([up, down])


def additive_code4p(alpha: Array, _: npt.NDArray[np.bool_]) -> Array:
    """Polynomial inside +-1, linear outside; twice continuously differentiable."""
    weights: Array = (_CODE4P @ _table(alpha)).reshape(2, 3, len(alpha))
    outside = (np.abs(alpha) > 1).nonzero()[0]
    if outside.size:
        alpha = alpha[outside]
        slopes = np.stack([alpha > 0, alpha < 0]).astype(float)
        weights[:, 0, outside], weights[:, 1, outside] = alpha * slopes, slopes
        weights[:, 2, outside] = 0
    return weights


ADDITIVE: dict[str, Callable[[Array, npt.NDArray[np.bool_]], Array]] = {
    "code0": additive_code0,
    "code2": additive_code2,
    "code4p": additive_code4p,
}
"""Weights of a histosys: ``delta = u(alpha) (hi - nominal) + d(alpha) (nominal - lo)``.

Each takes ``alpha`` (P,) and whether its right-hand side is meant where a code has a kink (P,), and
returns (2, 3, P) ``u`` and ``d``: value, first and second derivative.
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
    derivatives: Array = _table(alpha).T @ _DERIVATIVES
    return derivatives.reshape(len(alpha), 3, POWERS)


def _table(alpha: Array) -> Array:
    """(7, P): alpha^0 ... alpha^6."""
    table = np.empty((POWERS, len(alpha)))
    table[0], table[1:] = 1, alpha
    np.multiply.accumulate(table, axis=0, out=table)
    return table


def _differentiation() -> Array:
    """(3, 7, 7): coefficients of a polynomial to its own, its first and its second derivative's."""
    once = np.diag(np.arange(1.0, POWERS), 1)
    return np.stack([np.eye(POWERS), once, once @ once])


_DIFFERENTIATED = _differentiation()
_DERIVATIVES = np.hstack(list(_DIFFERENTIATED))

# code 4p, from the powers of alpha: half of alpha, plus or minus an even polynomial
_ODD, _EVEN = np.array([0, 8, 0, 0, 0, 0, 0]) / 16, np.array([0, 0, 15, 0, -10, 0, 3]) / 16
_CODE4P = np.concatenate([_DIFFERENTIATED @ (_ODD + _EVEN), _DIFFERENTIATED @ (_ODD - _EVEN)])
