"""The seam between inference and backends: what a likelihood must be able to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from fitspec.bestfit import BestFit
from fitspec.inference.question import FitQuestion


@dataclass(frozen=True, slots=True)
class Minimum:
    """A minimum of -2 ln L that its minimiser calls converged.

    Attributes:
        parameters: (P,) best-fit parameters, in the backend's own array type.
        poi: best-fit (or fixed) POI; 0 for a background without one.
        twice_nll: -2 ln L, constraint terms included.
        iterations: of the minimiser; None where it does not count them.
        edm: estimated distance to the minimum; None where the minimiser has none.
        at_bounds: names of the parameters that stopped at their bounds.
    """

    parameters: Any
    poi: float
    twice_nll: float
    iterations: int | None
    edm: float | None
    at_bounds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Minima:
    """Minima of -2 ln L for T data sets.

    Attributes:
        parameters: (T, P) best-fit parameters.
        poi: (T,) best-fit (or fixed) POI.
        twice_nll: (T,) -2 ln L, constraint terms included.
        converged: (T,) whether the minimiser calls it so; elsewhere the numbers mean nothing.
    """

    parameters: Any
    poi: npt.NDArray[np.float64]
    twice_nll: npt.NDArray[np.float64]
    converged: npt.NDArray[np.bool_]


class Likelihood(Protocol):
    """A HistFactory likelihood with one POI; data are in the backend's own array type."""

    poi_bounds: tuple[float, float]
    """Range in which the POI is fitted."""
    observed: Any
    """Observed main and auxiliary data."""

    @property
    def alternatives(self) -> Sequence[Any]:
        """More starting values, (P,) each, worth trying where a POI value is against the data."""

    def fit(
        self,
        data: Any,
        mu: float | None = None,
        start: Any = None,
        known: Sequence[Minimum] = (),
    ) -> Minimum:
        """Minimise -2 ln L.

        Args:
            data: observed or Asimov data.
            mu: value at which the POI is fixed; None lets it float.
            start: (P,) starting values; None for the measurement's.
            known: minima of the same from other starts. Where it is certain that this one leads to
                one of them, that is the answer, and nobody has to go there again.

        Raises:
            InferenceError: the minimiser did not converge.
        """

    def oddity(self, parameters: Any, data: Any) -> str | None:
        """What makes these parameters suspicious, although the likelihood has a value there."""

    def widen(self, high: float) -> None:
        """Move the upper bound of the POI."""

    def nominal(self, mu: float) -> Any:
        """(P,) the measurement's starting values, which are those of the nominal model, at mu."""

    def best_fit(self, minimum: Minimum, asked: FitQuestion) -> BestFit:
        """What a minimum of the observed data says about parameters, impacts and yields.

        Args:
            minimum: with the POI kept at ``asked.mu``, or free.
            asked: what is wanted.

        Raises:
            InferenceError: the backend cannot tell.
        """

    def asimov(self, parameters: Any) -> Any:
        """The data that these parameters predict exactly, auxiliary data included."""

    def throw(self, parameters: Any, number: int, generator: np.random.Generator) -> Any:
        """Toys: main and auxiliary data as they might be measured if these parameters were true.

        Returns:
            stack of ``number`` data sets; ``stack[i]`` is one of them, and ``stack[rows]``, with an
            array of indices or a slice, a stack of some.

        Raises:
            InferenceError: a negative number of events is expected.
        """

    def fit_many(self, toys: Any, mu: float | None, starts: Sequence[Any]) -> Minima:
        """Minimise -2 ln L of each of T toys, from one start each.

        Args:
            toys: stack of T data sets.
            mu: value at which the POI is fixed; None lets it float.
            starts: T times (P,) starting values; None for the measurement's.
        """


DataName = Literal["observed", "asimov", "pre-fit asimov", "toy"]
