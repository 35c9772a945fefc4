"""Asymptotic distributions of q_mu and q~_mu: Cowan, Cranmer, Gross, Vitells, arXiv:1007.1727."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fitspec.errors import InferenceError
from fitspec.outcome import Band

SIGMAS = (-2, -1, 0, 1, 2)

RESOLUTION = 1e-9
"""A q as small as this may be what minimisers leave of 0."""


@dataclass(frozen=True, slots=True)
class PValues:
    """p-values of one test: p_sb, p_b (CLb = 1 - p_b), CLs = p_sb / CLb, and its logarithm."""

    p_sb: float
    p_b: float
    CLs: float
    log_CLs: float


def p_values(q: float, q_asimov: float, test_statistic: str) -> PValues:
    """p-values of an observed test statistic.

    With sigma from the background-only Asimov data, mu / sigma = sqrt(q_asimov), both test
    statistics become a normal variable ``t`` under background only, shifted by sqrt(q_asimov)
    under signal + background:

    - ``q`` (eq. 14, 57-58), and ``qtilde`` (eq. 16) where q <= mu^2/sigma^2:
      t = sqrt(q) - sqrt(q_asimov);
    - ``qtilde`` above that (eq. 64-66): t = (q - q_asimov) / (2 sqrt(q_asimov)), which would make
      much of the rounding of a q that is 0, and is not used for such.

    Args:
        q: observed test statistic, at least 0.
        q_asimov: the same for the background-only Asimov data, at least 0.
        test_statistic: ``q`` or ``qtilde``.

    Raises:
        InferenceError: the test has no power at all (q_asimov = 0, but q > 0).
    """
    root, root_asimov = math.sqrt(q), math.sqrt(q_asimov)
    if test_statistic == "q" or root <= root_asimov or q <= RESOLUTION:
        t = root - root_asimov
    elif root_asimov > 0:
        t = (q - q_asimov) / (2 * root_asimov)
    else:
        raise InferenceError(
            f"q = {q:.3g} but its Asimov value is 0: signal and background predict the same",
            "check that the patch adds a signal",
        )
    # a difference of logarithms: both tails may be far too small for a ratio
    log_CLs = _log_tail(t + root_asimov) - _log_tail(t)
    return PValues(
        p_sb=math.exp(_log_tail(t + root_asimov)),
        p_b=math.exp(_log_tail(-t)),
        CLs=math.exp(log_CLs),
        log_CLs=log_CLs,
    )


def expected_band(q_asimov: float) -> Band:
    """CLs at -2..+2 sigma of the background-only hypothesis (eq. 89).

    Args:
        q_asimov: test statistic of background-only Asimov data, at least 0.
    """
    root = math.sqrt(q_asimov)
    return tuple(  # type: ignore[return-value]
        math.exp(_log_tail(root - n) - _log_tail(-float(n))) for n in SIGMAS
    )


def excluding_root(level: float, sigma: int) -> float:
    """sqrt(q_asimov) of the POI value whose expected CLs at some sigma is ``level`` (eq. 89).

    Args:
        level: 1 - confidence level of the limit.
        sigma: of the background-only hypothesis, -2..+2.
    """
    return sigma + deviations(math.log(level) + _log_tail(-float(sigma)))


def deviations(log_p: float) -> float:
    """Standard deviations that a one-sided p-value stands for, from its logarithm."""
    from scipy.special import ndtri_exp

    return -float(ndtri_exp(log_p))


def discovery_p_values(q0: float, q0_asimov: float) -> tuple[float, Band]:
    """p0 of an observed q0 (eq. 12, 52), and its expected values, ascending.

    sqrt(q0) is a normal variable around sqrt(q0_asimov) under the signal that made the Asimov data
    (eq. 50, 79).

    Args:
        q0: observed test statistic, at least 0.
        q0_asimov: the same for the Asimov data of a signal, at least 0.
    """
    expected = tuple(math.exp(_log_tail(math.sqrt(q0_asimov) - n)) for n in SIGMAS)
    return math.exp(_log_tail(math.sqrt(q0))), expected  # type: ignore[return-value]


def _log_tail(x: float) -> float:
    """ln P(X >= x) of a standard normal variable."""
    from scipy.special import log_ndtr

    return float(log_ndtr(-x))
