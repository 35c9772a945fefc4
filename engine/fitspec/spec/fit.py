"""The ``[fit]`` table: a fit to the observed data for its own sake."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from fitspec.spec.types import Model


class Fit(Model):
    """A fit to the observed data for its own sake: parameters with uncertainties, and more."""

    mu: float | None = None
    """POI value of the fit, 0 for background only; absent: the POI is fitted."""
    correlations: bool = False
    """Of all parameters."""
    impacts: bool | Annotated[int, Field(ge=1)] = False
    """Of the constrained parameters on the POI: all, or so many of the largest."""
    yields: bool = False
    """By channel, bin and sample."""

    @model_validator(mode="after")
    def _impacts_move_the_poi(self) -> Fit:
        if self.mu is not None and self.impacts is not False:
            raise ValueError(
                f"impacts are shifts of the best-fit POI, and mu = {self.mu:g} keeps it; remove one"
            )
        return self
