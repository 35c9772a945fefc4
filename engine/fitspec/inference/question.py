"""What is asked of one likelihood: all that, besides workspace and patch, decides its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FitQuestion:
    """What is asked of a fit to the observed data for its own sake; parameters always are.

    Attributes:
        mu: value at which the POI is kept; None lets it float.
        correlations: of the parameters.
        impacts: of the constrained parameters on the POI.
        top: number of impacts that are wanted, the largest; None for all.
        yields: by channel, bin and sample.
        alone: nothing else is asked; a model without a POI will then do.
    """

    mu: float | None = None
    correlations: bool = False
    impacts: bool = False
    top: int | None = None
    yields: bool = False
    alone: bool = True


@dataclass(frozen=True, slots=True)
class Question:
    """Builtins only, once a dictionary, so that it travels to any worker.

    Attributes:
        measurement: name of the measurement.
        mus: POI values to test.
        test_statistic: ``q``, ``qtilde`` or ``q0``.
        normsys: interpolation code of normsys modifiers.
        histosys: interpolation code of histosys modifiers.
        backend: ``native`` or ``pyhf``.
        tensor: pyhf's tensor library.
        optimizer: pyhf's optimizer.
        level: 1 - confidence level of the upper limits; None for no limits.
        method: of the limits: ``root`` or ``scan``, which interpolates between ``mus``.
        expected: ``post-fit`` or ``pre-fit``.
        poi: name of the POI; None for the measurement's.
        fit: what is asked of the fit to the observed data; None for nothing.
        toys: toys to throw for each hypothesis, at most; None asks for asymptotic p-values.
        precision: standard uncertainty of CLs, or p0, that ends the throwing; None throws them all.
        seed: of the toys.
    """

    measurement: str
    mus: tuple[float, ...]
    test_statistic: str
    normsys: str
    histosys: str
    backend: str
    tensor: str
    optimizer: str
    level: float | None = None
    method: str = "root"
    expected: str = "post-fit"
    poi: str | None = None
    fit: FitQuestion | None = None
    toys: int | None = None
    precision: float | None = None
    seed: int = 0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Question:
        """Rebuild what :func:`dataclasses.asdict` made of a question."""
        fit = data.get("fit")
        return cls(**{**data, "fit": None if fit is None else FitQuestion(**fit)})

    @property
    def fit_alone(self) -> bool:
        """A fit is asked for, and no test."""
        return self.fit is not None and self.fit.alone
