"""Upper limits by toys: tests around the asymptotic limits, and what lies between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from fitspec.errors import InferenceError
from fitspec.inference.asymptotics import SIGMAS, deviations
from fitspec.inference.limits import Limits
from fitspec.outcome import HypothesisTest

ASIDE = 1.25
"""Beside the outermost asymptotic limits, by this factor, are the outermost tests by toys, ..."""

FARTHER = 4
"""... and so many more by the same factor, where toys want other limits."""

ALL = 0.9999
"""A CLs of 1, or of more by fluctuation, is no number of standard deviations."""


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


def _curves(test: HypothesisTest) -> tuple[float, ...]:
    """Observed CLs, and expected ones."""
    return (test.CLs_obs, *test.CLs_exp)


def _toy_crossing(tests: Sequence[HypothesisTest], index: int, level: float) -> tuple[float, float]:
    """The last place where one of the curves falls to a level, and its uncertainty."""
    what = "the observed CLs" if index == 0 else f"the expected CLs at {SIGMAS[index - 1]:+d} sigma"
    depths, errors = zip(*(_in_deviations(test, index, level) for test in tests), strict=True)
    mus, wanted = [test.mu for test in tests], deviations(math.log(level))
    for i in reversed(range(len(mus) - 1)):
        rise = depths[i + 1] - depths[i]
        if depths[i] <= wanted < depths[i + 1]:
            slope = rise / (mus[i + 1] - mus[i])
            return mus[i] + (wanted - depths[i]) / slope, max(errors[i : i + 2]) / slope
    raise InferenceError(
        f"{what}, by toys, does not fall to {level:.3g} between mu = "
        f"{mus[0]:.3g} and {mus[-1]:.3g}",
        "throw more toys, or use asymptotics",
    )


def _in_deviations(test: HypothesisTest, index: int, level: float) -> tuple[float, float]:
    """CLs in standard deviations, and its uncertainty in these."""
    if test.toys is None:
        raise InferenceError("a limit by toys needs tests by toys")
    value = _curves(test)[index]
    error = (test.toys.obs_error, *test.toys.exp_error)[index]
    low, middle, high = (
        # where no toy is beyond, half the uncertainty stands for CLs, which is then below the level
        deviations(math.log(min(max(x, min(error, level) / 2), ALL)))
        for x in (value + error, value, value - error)
    )
    return middle, (high - low) / 2
