"""Impacts: how far the POI moves with each nuisance parameter, all others fitted again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fitspec.bestfit import Impact
from fitspec.errors import InferenceError
from fitspec.histfactory.interpolation import Array
from fitspec.histfactory.likelihood import Data, Flags, Likelihood
from fitspec.histfactory.minimise import minimise


class Impacts:
    """Fits around a minimum, each with one parameter fixed beside it.

    The covariance says where such a fit will end to first order; it starts from there.

    Args:
        likelihood: the function.
        data: that were fitted.
        theta: (P,) its minimum.
        fixed: (P,) parameters that are not fitted.
        covariance: (P, P) at the minimum.

    Attributes:
        lowest: smallest -ln L of all fits; infinite before the first.
    """

    def __init__(
        self, likelihood: Likelihood, data: Data, theta: Array, fixed: Flags, covariance: Array
    ) -> None:
        self._likelihood = likelihood
        self._data = data
        self._theta = theta
        self._fixed = fixed
        self._covariance = covariance
        self.lowest = float("inf")

    def ranked(
        self, rows: list[int], nominal: list[float | None], top: int | None
    ) -> tuple[Impact, ...]:
        """Impacts of parameters, the largest first.

        Args:
            rows: indices of parameters with an uncertainty.
            nominal: uncertainties that their constraints alone give.
            top: how many are wanted; None for all.
        """
        names = self._likelihood.model.parameters.names
        found = []
        for row, width in zip(rows, nominal, strict=True):
            up, down = self._shifts(row, float(np.sqrt(self._covariance[row, row])))
            found.append((Impact(names[row], up, down, None, None), row, width))
        found.sort(key=lambda item: -item[0].size)
        ranked = []
        for impact, row, width in found[:top]:
            up, down = (None, None) if width is None else self._shifts(row, width)
            ranked.append(replace(impact, nominal_up=up, nominal_down=down))
        return tuple(ranked)

    def _shifts(self, row: int, width: float) -> tuple[float | None, float | None]:
        return self._shift(row, width), self._shift(row, -width)

    def _shift(self, row: int, step: float) -> float | None:
        """Of the POI, where a parameter is a step beside its best-fit value."""
        parameters, poi = self._likelihood.model.parameters, self._likelihood.model.poi
        value = self._theta[row] + step
        if poi is None or not parameters.low[row] <= value <= parameters.high[row]:
            return None
        start = self._theta + step * self._covariance[row] / self._covariance[row, row]
        start[row] = value
        fixed = self._fixed.copy()
        fixed[row] = True
        try:
            found = minimise(self._likelihood, self._data, start, fixed)
        except InferenceError:
            return None
        self.lowest = min(self.lowest, found.nll)
        return float(found.theta[poi] - self._theta[poi])
