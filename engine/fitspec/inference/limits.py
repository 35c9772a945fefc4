"""Upper limits on the POI: the value at which CLs has fallen to 1 - confidence level.

The observed and the five expected limits are found by root finding on the CLs curve itself, or by
linear interpolation between the values of a scan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fitspec.errors import ConvergenceError, InferenceError
from fitspec.inference.asymptotics import SIGMAS, deviations, excluding_root
from fitspec.inference.curve import Curve
from fitspec.outcome import Band, HypothesisTest

PRECISION = 1e-6
"""Relative, of a limit: far below what anybody needs, and one evaluation away from 1e-3."""

NEAREST, FARTHEST = 1e-9, 1e6
"""A limit beyond these multiples of where the search began is none."""

ROUNDS = 5
"""Searches until one finds no free fit too high any more."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper limits on the POI.

    Attributes:
        observed: where the observed CLs is 1 - confidence level.
        expected: (5,) the same for CLs expected at -2..+2 sigma; arXiv:1007.1727 eq. 89.
        CLb: 1 - p_b of the observed data at the observed limit; None where no fit was made there.
        observed_error, expected_error: standard uncertainties that toys leave.
    """

    observed: float
    expected: Band
    CLb: float | None = None
    observed_error: float | None = None
    expected_error: Band | None = None

    def fields(self) -> dict[str, Any]:
        """As an outcome calls them."""
        return {
            "upper_limit_obs": self.observed,
            "upper_limit_exp": self.expected,
            "upper_limit_CLb": self.CLb,
            "upper_limit_obs_error": self.observed_error,
            "upper_limit_exp_error": self.expected_error,
        }


def find_limits(curve: Curve, level: float, start: float) -> Limits:
    """Upper limits by root finding, also beyond the POI's upper bound.

    Args:
        curve: CLs of any POI value.
        level: 1 - confidence level.
        start: POI value, above 0, where the search begins.

    Raises:
        InferenceError: CLs does not fall to ``level`` anywhere near.
        ConvergenceError: a fit that did not converge.
    """
    for _ in range(ROUNDS):
        expected = _Rising(curve.expected_root, start, "the expected CLs")
        band = tuple(expected.reaches(excluding_root(level, sigma)) for sigma in SIGMAS)
        observed = _Rising(
            lambda mu: deviations(curve.p_values(mu).log_CLs), band[2], "the observed CLs"
        )
        limit = observed.reaches(deviations(math.log(level)))
        if curve.settle():
            CLb = 1 - curve.p_values(limit).p_b
            return Limits(limit, band, CLb)  # type: ignore[arg-type]
    raise ConvergenceError("each search for a limit ends with a lower minimum of a free fit")


def interpolate_limits(tests: Sequence[HypothesisTest], level: float) -> Limits:
    """Upper limits by linear interpolation of CLs between tested POI values, as pyhf's scan.

    Args:
        tests: at two POI values or more.
        level: 1 - confidence level.

    Raises:
        InferenceError: a limit is outside the scan.
    """
    in_order = sorted(tests, key=lambda test: test.mu)
    mus = [test.mu for test in in_order]
    observed = _crossing(mus, [test.CLs_obs for test in in_order], level, "the observed CLs")
    expected = tuple(
        _crossing(
            mus,
            [test.CLs_exp[i] for test in in_order],
            level,
            f"the expected CLs at {sigma:+d} sigma",
        )
        for i, sigma in enumerate(SIGMAS)
    )
    return Limits(observed, expected)  # type: ignore[arg-type]


def _crossing(mus: Sequence[float], values: Sequence[float], level: float, what: str) -> float:
    """The last place where values fall to a level."""
    for i in reversed(range(len(mus) - 1)):
        above, below = values[i], values[i + 1]
        if above >= level > below:
            return mus[i] + (mus[i + 1] - mus[i]) * (above - level) / (above - below)
    edge, where = (values[0], mus[0]) if values[0] < level else (values[-1], mus[-1])
    side = "start" if values[0] < level else "end"
    raise InferenceError(
        f"{what} is {edge:.3g} at the {side} of the scan, mu = {where:g}: the limit at "
        f"{level:.3g} is outside",
        'widen poi.scan, or leave poi.method at "root"',
    )


class _Rising:
    """A function of mu that rises from below any level at 0; what it gave is remembered."""

    def __init__(self, function: Callable[[float], float], start: float, name: str) -> None:
        self._function = function
        self._start = start
        self._name = name
        self._known: dict[float, float] = {}

    def reaches(self, level: float) -> float:
        """The largest value of mu at which the function rises to a level, as far as is known."""
        from scipy.optimize import brentq

        low, high = self._bracket(level)
        if self._at(high) == level:
            return high
        return float(
            brentq(lambda mu: self._at(float(mu)) - level, low, high, xtol=1e-300, rtol=PRECISION)
        )

    def _at(self, mu: float) -> float:
        if mu not in self._known:
            self._known[mu] = self._function(mu)
        return self._known[mu]

    def _bracket(self, level: float) -> tuple[float, float]:
        """Two values, the function below a level at the first, and not at the second."""
        self._at(self._start)
        while not (under := [mu for mu, value in self._known.items() if value < level]):
            nearest = min(self._known)
            if nearest < self._start * NEAREST:
                raise InferenceError(f"{self._name} excludes mu = {nearest:.2g} already")
            self._at(nearest / 4)
        low = max(under)
        while not (over := [mu for mu in self._known if mu > low]):
            if low > self._start * FARTHEST:
                raise InferenceError(
                    f"{self._name} does not exclude even mu = {low:.2g}",
                    "the signal is too small to be seen, or its own uncertainties hide it",
                )
            farther = low * self._growth(level / self._known[low] if self._known[low] > 0 else 10)
            if self._at(farther) < level:
                low = farther
        return low, min(over)

    def _growth(self, estimate: float) -> float:
        """Steps that overshoot a little where the function is a straight line, as it often is."""
        return min(max(1.1 * estimate, 1.5), 10.0)
