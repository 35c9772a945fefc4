"""A fit for its own sake: parameters, correlations, impacts and yields, as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FittedParameter:
    """One parameter at the minimum.

    Attributes:
        name: as in the workspace; parameters of one bin carry its index.
        value: best-fit value.
        uncertainty: from the Hessian of -ln L; None where the fit gives none.
        nominal: what the auxiliary measurement alone says; None without one, and where fixed.
        nominal_uncertainty: its uncertainty.
        pull: (value - nominal) / nominal_uncertainty.
        constraint: uncertainty / nominal_uncertainty.
        fixed: not fitted.
        at_bound: kept by a bound from going further.
    """

    name: str
    value: float
    uncertainty: float | None = None
    nominal: float | None = None
    nominal_uncertainty: float | None = None
    pull: float | None = None
    constraint: float | None = None
    fixed: bool = False
    at_bound: bool = False


@dataclass(frozen=True, slots=True)
class Correlations:
    """Correlation coefficients (N, N) of the parameters (N,) that have an uncertainty."""

    names: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Impact:
    """How far the best-fit POI moves where a parameter is fixed and all others are fitted again.

    Attributes:
        parameter: its name.
        up, down: shifts of the POI with the parameter at its best-fit value plus, and minus, its
            uncertainty; None where that is outside its bounds, or no fit converged.
        nominal_up, nominal_down: the same with the uncertainty that its constraint alone gives.
    """

    parameter: str
    up: float | None
    down: float | None
    nominal_up: float | None
    nominal_down: float | None

    @property
    def size(self) -> float:
        """The larger of the two shifts, by which impacts are ranked."""
        return max(abs(self.up or 0.0), abs(self.down or 0.0))


@dataclass(frozen=True, slots=True)
class Yield:
    """Events that the best fit expects.

    Attributes:
        channel: its name.
        bin: index within it; None for the sum over the channel.
        sample: its name; None for the sum over samples.
        observed: events; None for a sample, which is not observed.
        expected: events at the minimum.
        uncertainty: propagated from the parameters; None where they leave it undetermined.
    """

    channel: str
    bin: int | None
    sample: str | None
    observed: float | None
    expected: float
    uncertainty: float | None


@dataclass(frozen=True, slots=True)
class BestFit:
    """A fit to the observed data, and what it says.

    Attributes:
        poi: name of the POI; None for a model without.
        mu: the value at which the POI was kept; None where it was fitted.
        twice_nll: -2 ln L at the minimum.
        parameters: all of them, in the model's order.
        correlations: None where they were not asked for.
        impacts: the largest first; None where they were not asked for.
        yields: None where they were not asked for.
        notes: what a careful reader should know.
    """

    poi: str | None
    mu: float | None
    twice_nll: float
    parameters: tuple[FittedParameter, ...]
    correlations: Correlations | None = None
    impacts: tuple[Impact, ...] | None = None
    yields: tuple[Yield, ...] | None = None
    notes: tuple[str, ...] = ()

    @property
    def signal(self) -> FittedParameter | None:
        """The POI."""
        return next((p for p in self.parameters if p.name == self.poi), None)

    def to_dict(self) -> dict[str, Any]:
        """Builtins only; each list is a data frame."""
        correlations = self.correlations
        return _record(self) | {
            "parameters": _records(self.parameters),
            "correlations": None if correlations is None else _record(correlations),
            "impacts": None if self.impacts is None else _records(self.impacts),
            "yields": None if self.yields is None else _records(self.yields),
        }


def _records(items: Sequence[Any]) -> list[dict[str, Any]]:
    return [_record(item) for item in items]


def _record(flat: Any) -> dict[str, Any]:
    return {name: getattr(flat, name) for name in flat.__slots__}
