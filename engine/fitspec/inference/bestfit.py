"""Fits for their own sake: what a minimum says about parameters, the POI, and yields."""

from __future__ import annotations

import numpy as np

from fitspec.bestfit import BestFit, Correlations, FittedParameter, Impact
from fitspec.errors import InferenceError
from fitspec.histfactory.interpolation import Array
from fitspec.histfactory.likelihood import Data, Flags, Likelihood
from fitspec.inference.covariance import Covariance, at_kinks, covariance
from fitspec.inference.impacts import Impacts
from fitspec.inference.likelihood import Minimum
from fitspec.inference.profile import SLACK
from fitspec.inference.question import FitQuestion
from fitspec.inference.yields import yields


def best_fit(likelihood: Likelihood, data: Data, minimum: Minimum, asked: FitQuestion) -> BestFit:
    """What a minimum says.

    Args:
        likelihood: the native one.
        data: that were fitted.
        minimum: of -2 ln L, with the POI kept at ``asked.mu``, or free.
        asked: what is wanted.
    """
    return _BestFit(likelihood, data, minimum, asked).result()


class _BestFit:
    """One minimum, and the notes that are taken on the way."""

    def __init__(
        self, likelihood: Likelihood, data: Data, minimum: Minimum, asked: FitQuestion
    ) -> None:
        self._likelihood, self._data = likelihood, data
        self._minimum, self._asked = minimum, asked
        self._theta: Array = minimum.parameters
        self._parameters, self._poi = likelihood.model.parameters, likelihood.model.poi
        self._fixed = self._parameters.fixed.copy()
        if asked.mu is not None and self._poi is not None:
            self._fixed[self._poi] = True
        self._at_bounds = np.isin(self._parameters.names, minimum.at_bounds)
        self._notes: list[str] = []

    def result(self) -> BestFit:
        covariance, asked, poi = self._covariance(), self._asked, self._poi
        return BestFit(
            poi=None if poi is None else self._parameters.names[poi],
            mu=None if poi is None else asked.mu,
            twice_nll=self._minimum.twice_nll,
            parameters=self._fitted(covariance),
            correlations=self._correlations(covariance) if asked.correlations else None,
            impacts=self._impacts(covariance) if asked.impacts else None,
            yields=(
                yields(self._likelihood, self._theta, self._data, covariance)
                if asked.yields
                else None
            ),
            notes=tuple(self._notes),
        )

    def _covariance(self) -> Covariance | None:
        """Of the parameters that are free; None where the fit has no uncertainties at all."""
        held = self._fixed | self._at_bounds
        if self._at_bounds.any():
            which = self._named(self._at_bounds)
            self._notes.append(f"uncertainties are those with {which} kept at the bound")
        kinks = at_kinks(self._likelihood, self._theta, self._data, held)
        if kinks.any():
            which = self._named(kinks)
            self._notes.append(f"no uncertainty where the interpolation has a kink: {which}")
        try:
            found = covariance(self._likelihood, self._theta, self._data, held | kinks)
        except InferenceError as error:
            self._notes.append(f"no uncertainties: {error}")
            return None
        if (flat := ~held & ~kinks & ~found.determined).any():
            self._notes.append(f"the data do not determine {self._named(flat)}")
        return found

    def _fitted(self, covariance: Covariance | None) -> tuple[FittedParameter, ...]:
        uncertainties: list[float | None] = [None] * len(self._theta)
        if covariance is not None:
            widths = np.sqrt(covariance.matrix.diagonal())
            uncertainties = _where(covariance.determined, widths)
        rows = zip(uncertainties, *self._nominal(), strict=True)
        return tuple(self._parameter(row, *known) for row, known in enumerate(rows))

    def _parameter(
        self, row: int, uncertainty: float | None, nominal: float | None, width: float | None
    ) -> FittedParameter:
        value, pull, constraint = float(self._theta[row]), None, None
        if nominal is not None and width is not None:
            pull = (value - nominal) / width
            constraint = None if uncertainty is None else uncertainty / width
        return FittedParameter(
            name=self._parameters.names[row],
            value=value,
            uncertainty=uncertainty,
            nominal=nominal,
            nominal_uncertainty=width,
            pull=pull,
            constraint=constraint,
            fixed=bool(self._fixed[row]),
            at_bound=bool(self._at_bounds[row]),
        )

    def _nominal(self) -> tuple[list[float | None], list[float | None]]:
        """What auxiliary measurements alone say of the free parameters, and how well.

        A Poisson term of a measurements with the rate factor f says a / f +- sqrt(a) / f.
        """
        p = self._parameters
        factor = np.where(p.poisson, p.factor, 1.0)
        constrained = (p.normal | (p.poisson & (p.auxdata > 0))) & ~self._fixed
        centers = np.where(p.poisson, p.auxdata / factor, p.auxdata)
        roots = np.sqrt(np.where(p.poisson, p.auxdata, 0.0))
        widths = np.where(p.poisson, roots / factor, p.sigma)
        return _where(constrained, centers), _where(constrained, widths)

    def _correlations(self, covariance: Covariance | None) -> Correlations | None:
        if covariance is None:
            return None
        rows = np.flatnonzero(covariance.determined)
        block = covariance.matrix[np.ix_(rows, rows)]
        widths = np.sqrt(block.diagonal())
        matrix = np.clip(block / np.outer(widths, widths), -1.0, 1.0)
        np.fill_diagonal(matrix, 1.0)
        names = tuple(self._parameters.names[row] for row in rows)
        return Correlations(names, tuple(map(tuple, matrix.tolist())))

    def _impacts(self, covariance: Covariance | None) -> tuple[Impact, ...]:
        if self._poi is None:
            self._notes.append("no impacts: the model has no POI")
        if self._poi is None or covariance is None:
            return ()
        _, widths = self._nominal()
        known = np.flatnonzero(covariance.determined).tolist()
        rows = [row for row in known if widths[row] is not None and row != self._poi]
        fits = Impacts(self._likelihood, self._data, self._theta, self._fixed, covariance.matrix)
        found = fits.ranked(rows, [widths[row] for row in rows], self._asked.top)
        below = self._minimum.twice_nll - 2 * fits.lowest
        if below > SLACK:
            self._notes.append(f"a fit for an impact ended lower than the best fit, by {below:.2g}")
        return found

    def _named(self, which: Flags) -> str:
        return ", ".join(self._parameters.names[row] for row in np.flatnonzero(which))


def _where(known: Flags, values: Array) -> list[float | None]:
    return [v if k else None for v, k in zip(values.tolist(), known.tolist(), strict=True)]
