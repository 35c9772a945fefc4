"""p-values from toys: data thrown from the model, and the test statistic of each.

Toys of a hypothesis are thrown from its conditional fit to the observed data: for the test of a POI
value mu from the fits at mu (signal + background) and at 0 (background only), for a discovery from
those at 0 and at 1. Auxiliary data are thrown, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fitspec.errors import InferenceError
from fitspec.inference.asymptotics import SIGMAS
from fitspec.inference.likelihood import Likelihood
from fitspec.inference.profile import Profile
from fitspec.inference.question import Question
from fitspec.outcome import Band, Discovery, HypothesisTest, Toys

Array = npt.NDArray[np.float64]
Numbers = tuple[float, ...]

BATCH = 250
"""Toys thrown at once, by one generator: however many are asked for, the first are the same."""

TIE = 1e-6
"""Values of q as near as this are the same: minimisers tell them apart no better, and with discrete
data, or at q = 0, many toys have the very q that is observed."""

MAX_FAILED = 0.01
"""More toys without a minimum than this part of all might change the answer."""


def toy_test(
    likelihood: Likelihood, observed: Profile, mu: float, q_asimov: float, question: Question
) -> HypothesisTest:
    """Test one POI value with toys.

    Expected values are CLs at the quantiles of q that belong to -2..+2 sigma of background-only
    toys.

    Args:
        likelihood: of the model.
        observed: its fits to the observed data.
        mu: tested value of the POI.
        q_asimov: test statistic of the Asimov data, for the record.
        question: test statistic, number of toys, precision and seed.

    Raises:
        InferenceError: too many toys without a minimum, or none like the observed data.
    """
    q = observed.statistic(mu, question.test_statistic)
    signal = _Toys(likelihood, "signal + background", observed.at(mu).parameters, mu, question)
    background = _Toys(likelihood, "background-only", observed.at(0.0).parameters, mu, question)

    def error() -> float:
        return _cls(signal.tail(q), background.tail(q))[1]

    thrown = _throw([background, signal], question, error)
    p_sb, CLb = signal.tail(q), background.tail(q)
    if CLb.value == 0:
        raise InferenceError(
            f"none of {thrown} background-only toys has a q as large as the observed {q:.4g}",
            "throw more toys",
        )
    CLs, CLs_error = _cls(p_sb, CLb)
    expected, expected_error = [], []
    for level in _LEVELS:
        above, below = signal.at_quantile(background, level)
        ratio = above.value / below
        expected.append(ratio)
        expected_error.append(above.error / below)
    return HypothesisTest(
        mu=mu,
        CLs_obs=CLs,
        CLs_exp=_band(expected),
        p_sb=p_sb.value,
        p_b=1 - CLb.value,
        q=q,
        q_asimov=q_asimov,
        toys=Toys(
            thrown=thrown,
            failed=signal.failed + background.failed,
            obs_error=CLs_error,
            exp_error=_band(expected_error),
            p_sb_error=p_sb.error,
            p_b_error=CLb.error,
        ),
    )


def toy_discovery(
    likelihood: Likelihood, observed: Profile, q0_asimov: float, question: Question
) -> Discovery:
    """Test the background-only hypothesis with toys.

    Expected values are p0 at the quantiles of q0 that belong to -2..+2 sigma of toys with a signal
    of strength 1.

    Args:
        likelihood: of the model.
        observed: its fits to the observed data.
        q0_asimov: test statistic of the Asimov data, for the record.
        question: number of toys, precision and seed.

    Raises:
        InferenceError: too many toys without a minimum.
    """
    q0 = observed.statistic(0.0, "q0")
    background = _Toys(likelihood, "background-only", observed.at(0.0).parameters, 0.0, question)
    signal = _Toys(likelihood, "signal + background", observed.at(1.0).parameters, 0.0, question)
    thrown = _throw([background, signal], question, lambda: background.tail(q0).error)
    p0 = background.tail(q0)
    expected = [background.at_quantile(signal, level)[0] for level in _LEVELS]
    return Discovery(
        p0=p0.value,
        p0_exp=_band([p.value for p in expected]),
        significance=_significance(p0.value),
        q0=q0,
        q0_asimov=q0_asimov,
        toys=Toys(
            thrown=thrown,
            failed=signal.failed + background.failed,
            obs_error=p0.error,
            exp_error=_band([p.error for p in expected]),
        ),
    )


def statistics(
    likelihood: Likelihood, toys: Any, mu: float, test_statistic: str, truth: Any
) -> Array:
    """Test statistic of each toy, as :meth:`fitspec.inference.profile.Profile.statistic` has it.

    Free fits start from the parameters that made the toys, conditional ones from the free fit's.
    What does not end in two minima, the lower one being the free fit's, is fitted again from the
    measurement's starting values, and if need be as observed data are.

    Args:
        likelihood: of the model.
        toys: stack of T toys.
        mu: tested value of the POI, 0 for ``q0``.
        test_statistic: ``q``, ``qtilde`` or ``q0``.
        truth: (P,) parameters that made the toys.

    Returns:
        (T,) values; NaN for a toy without a minimum.
    """
    q = _fitted(likelihood, toys, mu, test_statistic, [truth] * len(toys))
    if (rows := np.flatnonzero(~(q >= -TIE))).size:
        q[rows] = _fitted(likelihood, toys[rows], mu, test_statistic, [None] * len(rows))
    for row in np.flatnonzero(~(q >= -TIE)).tolist():
        q[row] = _fitted_alone(likelihood, toys[row], mu, test_statistic)
    return np.maximum(q, 0.0)


def _fitted(
    likelihood: Likelihood, toys: Any, mu: float, test_statistic: str, starts: Sequence[Any]
) -> Array:
    """Test statistics from one start each; NaN without minima, negative without the free one."""
    free = likelihood.fit_many(toys, None, starts)
    q = np.where(free.converged, 0.0, np.nan)
    wrong_side = free.poi < 0 if test_statistic == "q0" else free.poi > mu
    asked = np.flatnonzero(free.converged & ~wrong_side)
    denominator = free.twice_nll.copy()
    if test_statistic == "qtilde":
        below = asked[free.poi[asked] < 0]
        denominator[below] = _conditional(likelihood, toys, 0.0, below, free.parameters)
    q[asked] = _conditional(likelihood, toys, mu, asked, free.parameters) - denominator[asked]
    return q


def _conditional(
    likelihood: Likelihood, toys: Any, mu: float, rows: npt.NDArray[np.intp], starts: Any
) -> Array:
    """-2 ln L of conditional fits to some toys; NaN where there is no minimum."""
    found = likelihood.fit_many(toys[rows], mu, starts[rows])
    return np.where(found.converged, found.twice_nll, np.nan)


def _fitted_alone(likelihood: Likelihood, toy: Any, mu: float, test_statistic: str) -> float:
    """Test statistic from several starts; NaN without sound minima."""
    try:
        profile = Profile(likelihood, toy, "toy")
        profile.settle([mu])
        q = profile.statistic(mu, test_statistic)
    except InferenceError:
        return math.nan
    odd = any(likelihood.oddity(m.parameters, toy) for m in (profile.free, profile.at(mu)))
    return math.nan if odd else q


@dataclass(frozen=True, slots=True)
class _Estimate:
    """A p-value and its standard uncertainty."""

    value: float
    error: float


class _Toys:
    """The toys of one hypothesis and their test statistics.

    Args:
        likelihood: of the model.
        name: of the hypothesis.
        truth: (P,) parameters that make the toys.
        mu: tested value of the POI.
        question: test statistic and seed.
    """

    def __init__(
        self,
        likelihood: Likelihood,
        name: Literal["background-only", "signal + background"],
        truth: Any,
        mu: float,
        question: Question,
    ) -> None:
        self.name = name
        self._likelihood, self._truth, self._mu = likelihood, truth, mu
        self._statistic, self._seed = question.test_statistic, question.seed
        self._q = np.empty(0)
        self.failed = 0

    def throw(self, batch: int, number: int) -> None:
        """The first toys of a batch, each batch with a generator of its own."""
        hypothesis = 0 if self.name == "background-only" else 1
        sequence = np.random.SeedSequence(self._seed, spawn_key=(hypothesis, batch))
        generator = np.random.default_rng(sequence)
        toys = self._likelihood.throw(self._truth, BATCH, generator)[:number]
        q = statistics(self._likelihood, toys, self._mu, self._statistic, self._truth)
        found = q[~np.isnan(q)]
        self.failed += number - len(found)
        self._q = np.sort(np.concatenate([self._q, found]))

    def tail(self, q: float) -> _Estimate:
        """P(toy >= q), with the standard deviation of its posterior for Jeffreys' prior.

        Unlike the naive one this is not 0 where no toy, or every toy, is above.
        """
        total = len(self._q)
        if total == 0:
            return _Estimate(0.0, 0.5)
        above = self._above(q)
        smoothed = (above + 0.5) / (total + 1)
        return _Estimate(above / total, math.sqrt(smoothed * (1 - smoothed) / (total + 2)))

    def at_quantile(self, other: _Toys, level: float) -> tuple[_Estimate, float]:
        """P(toy >= q) at a quantile of another hypothesis' q, and that one's P(toy >= q) there.

        The quantile is known no better than its level, sqrt(level (1 - level) / T).
        """
        total = len(other._q)
        spread = math.sqrt(level * (1 - level) / total)
        q, low, high = (
            float(np.quantile(other._q, min(max(x, 0.0), 1.0), method="inverted_cdf"))
            for x in (level, level - spread, level + spread)
        )
        here = self.tail(q)
        moved = (self.tail(low).value - self.tail(high).value) / 2
        return _Estimate(here.value, math.hypot(here.error, moved)), other.tail(q).value

    def _above(self, q: float) -> int:
        return len(self._q) - int(np.searchsorted(self._q, q - TIE))


def _throw(samples: Sequence[_Toys], question: Question, error: Callable[[], float]) -> int:
    """Throw batches until enough is known; returns how many toys of each hypothesis there are."""
    maximum = question.toys or 0
    thrown = 0
    while thrown < maximum and (
        thrown == 0 or question.precision is None or error() > question.precision
    ):
        number = min(BATCH, maximum - thrown)
        for toys in samples:
            toys.throw(thrown // BATCH, number)
        thrown += number
        _require_minima(samples, maximum)  # with more failures than this there is no hope
    _require_minima(samples, thrown)
    return thrown


def _require_minima(samples: Sequence[_Toys], thrown: int) -> None:
    for toys in samples:
        if toys.failed > MAX_FAILED * thrown:
            raise InferenceError(
                f"{toys.failed} of {thrown} {toys.name} toys have no minimum",
                "look for bins where next to nothing is expected",
            )


def _cls(p_sb: _Estimate, CLb: _Estimate) -> tuple[float, float]:
    """CLs and its uncertainty, the two p-values being independent."""
    if CLb.value == 0:
        return math.inf, math.inf
    CLs = p_sb.value / CLb.value
    return CLs, math.hypot(p_sb.error, CLs * CLb.error) / CLb.value


def _significance(p0: float) -> float | None:
    """As a number of standard deviations (arXiv:1007.1727 eq. 53), 0 without an excess.

    None where no toy is as extreme as the data: then it is more than could be told.
    """
    from scipy.special import ndtri

    return None if p0 == 0 else max(0.0, -float(ndtri(p0)))


def _band(values: Sequence[float]) -> Band:
    first, second, third, fourth, fifth = values
    return first, second, third, fourth, fifth


_LEVELS = tuple(0.5 * math.erfc(n / math.sqrt(2)) for n in SIGMAS)
"""Quantiles of q that belong to -2..+2 sigma: the larger q, the smaller CLs and p0."""
