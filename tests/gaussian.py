"""Likelihoods at the seam between inference and backends, whose answers are closed forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fitspec.errors import InferenceError
from fitspec.inference import Question
from fitspec.inference.likelihood import Minima, Minimum

Array = npt.NDArray[np.float64]


@dataclass
class Gaussian:
    """-2 ln L(mu) = ((data - mu) / sigma)^2: one measurement of mu itself."""

    observed: float
    sigma: float = 1.0
    poi_bounds: tuple[float, float] = (-10.0, 10.0)
    calls: list[tuple[float, float | None, Any]] = field(default_factory=list)

    def fit(
        self, data: float, mu: float | None = None, start: Any = None, known: Any = ()
    ) -> Minimum:
        self.calls.append((data, mu, start))
        low, high = self.poi_bounds
        poi = min(max(data, low), high) if mu is None else mu
        return self.minimum(poi, data)

    def minimum(self, poi: float, data: float) -> Minimum:
        twice_nll = ((data - poi) / self.sigma) ** 2
        at_bounds = ("mu",) if poi in self.poi_bounds else ()
        return Minimum(poi, poi, twice_nll, iterations=3, edm=1e-9, at_bounds=at_bounds)

    alternatives: tuple[float, ...] = ()

    def oddity(self, parameters: float, data: float) -> str | None:
        return None

    def asimov(self, parameters: float) -> float:
        return parameters

    def nominal(self, mu: float) -> float:
        return mu

    def widen(self, high: float) -> None:
        self.poi_bounds = (self.poi_bounds[0], high)

    def throw(self, parameters: float, number: int, generator: np.random.Generator) -> Array:
        return generator.normal(parameters, self.sigma, number)

    def fit_many(self, toys: Array, mu: float | None, starts: Any) -> Minima:
        poi = np.clip(toys, *self.poi_bounds) if mu is None else np.full(len(toys), mu)
        return Minima(poi, poi, ((toys - poi) / self.sigma) ** 2, self.converge(toys))

    converge: Callable[[Array], Any] = lambda toys: np.ones(len(toys), dtype=bool)


@dataclass
class Stuck(Gaussian):
    """Its free fit to some data stops at a wrong place, unless it starts well."""

    stuck: Callable[[float], bool] = lambda data: True
    stops_at: float = 8.0
    for_good: bool = False

    def fit(
        self, data: float, mu: float | None = None, start: Any = None, known: Any = ()
    ) -> Minimum:
        minimum = super().fit(data, mu, start, known)
        starts_badly = start is None or start == self.stops_at or self.for_good
        if mu is None and self.stuck(data) and starts_badly:
            return self.minimum(self.stops_at, data)
        return minimum


@dataclass
class TwoMinima(Gaussian):
    """Conditional fits from the measurement's starting values end in a higher minimum, or fail."""

    above: float = 2.5
    failing: bool = False

    def fit(
        self, data: float, mu: float | None = None, start: Any = None, known: Any = ()
    ) -> Minimum:
        found = super().fit(data, mu, start, known)
        if mu is None or start is not None:
            return found
        if self.failing:
            raise InferenceError("did not converge")
        return replace(found, twice_nll=found.twice_nll + self.above, iterations=99)


def question(*mus: float, test_statistic: str = "qtilde", **more: Any) -> Question:
    """A question to any of these."""
    settings = ("code4", "code4p", "native", "", "")
    return Question("measurement", mus, test_statistic, *settings, **more)
