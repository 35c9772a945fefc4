"""Upper limits on the POI: the value at which CLs has fallen to 1 - confidence level.

The observed and the five expected limits are found by root finding on the CLs curve itself, or by
linear interpolation between the values of a scan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fitspec.errors import ConvergenceError, InferenceError
from fitspec.inference.asymptotics import SIGMAS, deviations, excluding_root
from fitspec.inference.curve import Curve
from fitspec.results import Band, HypothesisTest

PRECISION = 1e-6
"""Relative, of a limit: far below what anybody needs, and one evaluation away from 1e-3."""

FARTHEST = 1e9
"""A limit beyond this multiple of where the search began is none."""

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


def toy_limits(test: Callable[[float], HypothesisTest], asymptotic: Limits, level: float) -> Limits:
    """Upper limits by toys: tests at, and around, the asymptotic limits, interpolated.

    CLs, counted in standard deviations, is nearly a straight line in mu.

    Args:
        test: of any POI value, by toys.
        asymptotic: where to look.
        level: 1 - confidence level.

    Raises:
        InferenceError: a limit that is far from all asymptotic ones, or toys that tell nothing.
    """
    near = sorted({asymptotic.observed, *asymptotic.expected})
    mus = [near[0] / ASIDE, *near, near[-1] * ASIDE]
    tests = [test(mu) for mu in mus]
    for _ in range(FARTHER):
        below = any(value < level for value in _curves(tests[0]))
        above = any(value >= level for value in _curves(tests[-1]))
        if below:
            tests.insert(0, test(tests[0].mu / ASIDE))
        if above:
            tests.append(test(tests[-1].mu * ASIDE))
        if not below and not above:
            break
    found = [_toy_crossing(tests, index, level) for index in range(1 + len(SIGMAS))]
    limits, errors = zip(*found, strict=True)
    CLb = np.interp(limits[0], [t.mu for t in tests], [1 - t.p_b for t in tests])
    return Limits(limits[0], limits[1:], float(CLb), errors[0], errors[1:])


ASIDE = 1.25
"""Beside the outermost asymptotic limits, by this factor, are the outermost tests by toys, ..."""

FARTHER = 4
"""... and so many more by the same factor, where toys want other limits."""


def _curves(test: HypothesisTest) -> tuple[float, ...]:
    """Observed CLs, and expected ones."""
    return (test.CLs_obs, *test.CLs_exp)


def _toy_crossing(tests: Sequence[HypothesisTest], index: int, level: float) -> tuple[float, float]:
    """The last place where one of the curves falls to a level, and its uncertainty."""
    what = "the observed CLs" if index == 0 else f"the expected CLs at {SIGMAS[index - 1]:+d} sigma"
    depths, errors = zip(*(_in_deviations(test, index) for test in tests), strict=True)
    mus, wanted = [test.mu for test in tests], deviations(math.log(level))
    for i in reversed(range(len(mus) - 1)):
        rise = depths[i + 1] - depths[i]
        if depths[i] <= wanted < depths[i + 1]:
            slope = rise / (mus[i + 1] - mus[i])
            return mus[i] + (wanted - depths[i]) / slope, max(errors[i : i + 2]) / slope
    raise InferenceError(
        f"{what}, by toys, does not fall to {level:.3g} between mu = {mus[0]:.3g} and {mus[-1]:.3g}",
        "throw more toys, or use asymptotics",
    )


def _in_deviations(test: HypothesisTest, index: int) -> tuple[float, float]:
    """CLs in standard deviations, and its uncertainty in these."""
    if test.toys is None:
        raise InferenceError("a limit by toys needs tests by toys")
    value = _curves(test)[index]
    error = (test.toys.obs_error, *test.toys.exp_error)[index]
    low, middle, high = (
        # where no toy is beyond, half the uncertainty stands for CLs
        deviations(math.log(min(max(x, error / 2), ALL)))
        for x in (value + error, value, value - error)
    )
    return middle, (high - low) / 2


ALL = 0.9999
"""A CLs of 1, or of more by fluctuation, is no number of standard deviations."""


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
            if nearest < self._start / FARTHEST:
                raise InferenceError(f"{self._name} excludes mu = {nearest:.2g} already")
            self._at(nearest / 4)
        low = max(under)
        while not (over := [mu for mu in self._known if mu > low]):
            if low > self._start * FARTHEST:
                raise InferenceError(
                    f"{self._name} does not exclude even mu = {low:.2g}",
                    "the signal is too small to be seen, or it changes nothing",
                )
            farther = low * self._growth(level / self._known[low] if self._known[low] > 0 else 10)
            if self._at(farther) < level:
                low = farther
        return low, min(over)

    def _growth(self, estimate: float) -> float:
        """Steps that overshoot a little where the function is a straight line, as it often is."""
        return min(max(1.1 * estimate, 1.5), 10.0)
