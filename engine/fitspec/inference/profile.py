"""The profile likelihood of one data set: which fits are made, from where, and which one counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fitspec.errors import ConvergenceError, InferenceError
from fitspec.inference.likelihood import DataName, Likelihood, Minimum
from fitspec.outcome import FitResult

SLACK = 1e-4
"""How far, in -2 ln L, two fits of the same may end apart before somebody should know."""

STRAIN = 1.0
"""A POI value that is against the data, by more than this in -2 ln L, pulls the other parameters to
where there may be more minima: more starts are worth their time."""

NOTES_SHOWN = 2
"""Of one kind: who wants to know more fits has to look at them."""


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
        self._minima: dict[float | None, Minimum] = {}
        self._gaps: dict[float | None, float] = {}
        self._fit(None, truth)

    @property
    def free(self) -> Minimum:
        """The free fit."""
        return self._minima[None]

    @property
    def fits(self) -> list[FitResult]:
        """The fits that count, the free one first."""
        return [self._result(mu, minimum) for mu, minimum in self._minima.items()]

    @property
    def notes(self) -> list[str]:
        """What is odd about these fits: a sentence for the first of a kind, and how many more."""
        gaps = [
            f"{self._describe(mu)} has several minima: "
            f"two starts ended {gap:.2g} apart; the lower one is used"
            for mu, gap in self._gaps.items()
        ]
        oddities = [
            f"{self._describe(mu)} {oddity}"
            for mu, minimum in self._minima.items()
            if (oddity := self._likelihood.oddity(minimum.parameters, self._data)) is not None
        ]
        return [note for notes in (gaps, oddities) for note in _shortened(notes)]

    def at(self, mu: float) -> Minimum:
        """The conditional fit at a POI value."""
        if mu not in self._minima:
            try:
                self._fit(mu, self.free.parameters, None)
            except ConvergenceError:
                if (nearest := self._nearest(mu)) is None:
                    raise
                self._fit(mu, nearest)
            if self._minima[mu].twice_nll > self.free.twice_nll + STRAIN:
                self._fit(mu, *self._likelihood.alternatives)
        return self._minima[mu]

    def _nearest(self, mu: float) -> Any:
        """Parameters of the conditional fit at the nearest POI value; None if there is none."""
        made = [m for m in self._minima if m is not None]
        return self._minima[min(made, key=lambda m: abs(m - mu))].parameters if made else None

    def release(self, bound: float) -> None:
        """The free fit again, where the upper bound of the POI, which is gone, has stopped it."""
        if self.free.poi >= bound:
            stopped = self._minima.pop(None)
            self._minima = {None: self._likelihood.fit(self._data, start=stopped.parameters)}

    def explore(self) -> None:
        """Make the free fit again from the likelihood's other starting values."""
        self._fit(None, *self._likelihood.alternatives)

    def settle(self, mus: Iterable[float]) -> None:
        """Make all conditional fits, and the free fit again from the lowest of them.

        Raises:
            InferenceError: the free fit stays above a conditional one.
        """
        known = dict.fromkeys([*mus, *(mu for mu in self._minima if mu is not None)])
        if not known:
            return
        lowest_mu = min(known, key=lambda mu: self.at(mu).twice_nll)
        lowest, before = self.at(lowest_mu), self.free.twice_nll
        if self._truth is None or before > lowest.twice_nll + SLACK:
            self._fit(None, lowest.parameters)
        if self.free.twice_nll < before - SLACK:  # the others may be caught where it was
            for mu in known:
                self._fit(mu, self.free.parameters)
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

    def _fit(self, mu: float | None, *starts: Any) -> None:
        """Fit from these starts; the lowest minimum counts, with the one known before."""
        found = [self._minima[mu]] if mu in self._minima else []
        failures = []
        for start in starts:
            try:
                found.append(self._likelihood.fit(self._data, mu, start, found))
            except InferenceError as error:
                failures.append(error)
        if not found:
            raise failures[0]
        lowest = min(found, key=lambda minimum: minimum.twice_nll)
        gap = max(minimum.twice_nll for minimum in found) - lowest.twice_nll
        if gap > SLACK:
            self._gaps[mu] = max(gap, self._gaps.get(mu, 0.0))
        self._minima[mu] = lowest

    def _describe(self, mu: float | None) -> str:
        which = "the free fit" if mu is None else "the fit"
        return f"{which} to {self._name} data" + ("" if mu is None else f" at mu = {mu:g}")

    def _result(self, mu: float | None, minimum: Minimum) -> FitResult:
        return FitResult(
            kind="free" if mu is None else "conditional",
            data=self._name,
            mu=mu,
            twice_nll=minimum.twice_nll,
            converged=True,
            iterations=minimum.iterations,
            edm=minimum.edm,
            at_bounds=minimum.at_bounds,
        )


def _shortened(notes: list[str]) -> list[str]:
    """Few notes as they are; of many, as a search for limits makes them, the first ones."""
    if len(notes) <= NOTES_SHOWN:
        return notes
    rest = len(notes) - NOTES_SHOWN
    return [*notes[: NOTES_SHOWN - 1], f"{notes[NOTES_SHOWN - 1]}; so it is for {rest} more fits"]
