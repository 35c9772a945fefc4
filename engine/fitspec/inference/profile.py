"""The profile likelihood of one data set: which fits are made, from where, and which one counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fitspec.errors import ConvergenceError, InferenceError
from fitspec.inference.likelihood import DataName, Likelihood, Minimum
from fitspec.results import FitResult

SLACK = 1e-4
"""How far, in -2 ln L, two fits of the same may end apart before somebody should know."""


class Profile:
    """A free fit and conditional ones, each made once and from at least two starts.

    Interpolated systematics make some likelihoods multi-modal, and each start may be caught in
    another minimum: the lowest counts.

    Args:
        likelihood: of the model.
        data: observed or Asimov.
        name: of the data.
        truth: (P,) parameters that made Asimov data: its minimum is there.
    """

    def __init__(
        self, likelihood: Likelihood, data: Any, name: DataName, truth: Any = None
    ) -> None:
        self._likelihood = likelihood
        self._data = data
        self._name = name
        self._truth = truth
        self._conditional: dict[float, Minimum] = {}
        self._fits: dict[float | None, FitResult] = {}
        self.notes: list[str] = []
        self.free = self._lowest(None, [truth])

    @property
    def fits(self) -> list[FitResult]:
        """The fits that count, the free one first."""
        return list(self._fits.values())

    def at(self, mu: float) -> Minimum:
        """The conditional fit at a POI value."""
        if mu not in self._conditional:
            self._conditional[mu] = self._lowest(mu, [None, self.free.parameters])
        return self._conditional[mu]

    def settle(self, mus: Iterable[float]) -> None:
        """Make all conditional fits, and the free fit again from the lowest of them.

        Raises:
            InferenceError: the free fit stays above a conditional one.
        """
        known = [*mus, *self._conditional]
        lowest_mu = min(known, key=lambda mu: self.at(mu).twice_nll)
        lowest = self.at(lowest_mu)
        if self._truth is None or self.free.twice_nll > lowest.twice_nll + SLACK:
            self.free = self._lowest(None, [lowest.parameters], self.free)
        if self.free.twice_nll > lowest.twice_nll + SLACK:
            raise ConvergenceError(
                f"the free fit to {self._name} data stays above the fit at mu = {lowest_mu:g}",
                "try another optimizer",
            )

    def statistic(self, mu: float, name: str) -> float:
        """q_mu (arXiv:1007.1727 eq. 14), q~_mu (eq. 16), or q_0 (eq. 12, with ``mu`` 0).

        For q~ the denominator is the fit at mu = 0 where the free fit prefers a negative signal;
        with a POI bounded at 0 the free fit is that fit.
        """
        wrong_side = self.free.poi < 0 if name == "q0" else self.free.poi > mu
        if wrong_side:
            return 0.0
        below_zero = name == "qtilde" and self.free.poi < 0
        denominator = self.at(0.0) if below_zero else self.free
        return max(0.0, self.at(mu).twice_nll - denominator.twice_nll)

    def _lowest(
        self, mu: float | None, starts: Iterable[Any], known: Minimum | None = None
    ) -> Minimum:
        """The lowest minimum, of those found from these starts and one known before."""
        found = [] if known is None else [known]
        failures = []
        for start in starts:
            try:
                found.append(self._likelihood.fit(self._data, mu, start))
            except InferenceError as error:
                failures.append(error)
        if not found:
            raise failures[0]
        lowest = min(found, key=lambda minimum: minimum.twice_nll)
        gap = max(minimum.twice_nll for minimum in found) - lowest.twice_nll
        if gap > SLACK:
            which = "the free fit" if mu is None else "the fit"
            where = "" if mu is None else f" at mu = {mu:g}"
            self.notes.append(
                f"{which} to {self._name} data{where} has several minima: "
                f"two starts ended {gap:.2g} apart; the lower one is used"
            )
        self._fits[mu] = FitResult(
            kind="free" if mu is None else "conditional",
            data=self._name,
            mu=mu,
            twice_nll=lowest.twice_nll,
            converged=True,
            iterations=lowest.iterations,
            edm=lowest.edm,
            at_bounds=lowest.at_bounds,
        )
        return lowest
