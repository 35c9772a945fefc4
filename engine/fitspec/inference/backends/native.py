"""fitspec's own likelihood as a backend: exact derivatives, Newton's method, no pyhf."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fitspec.bestfit import BestFit
from fitspec.errors import InferenceError
from fitspec.histfactory.batch import DataStack, LikelihoodBatch
from fitspec.histfactory.interpolation import Array
from fitspec.histfactory.likelihood import Likelihood
from fitspec.histfactory.minimise import minimise
from fitspec.histfactory.minimise_batch import minimise_batch
from fitspec.histfactory.model import Compiler
from fitspec.inference.bestfit import best_fit
from fitspec.inference.likelihood import Minima, Minimum
from fitspec.inference.question import FitQuestion, Question


class NativeLikelihood:
    """A compiled model and its data as a :class:`fitspec.inference.likelihood.Likelihood`.

    Args:
        compiler: of the background-only workspace.
        workspace: the patched workspace.
        question: measurement, POI, interpolation codes, and whether a model without POI will do.

    Raises:
        WorkspaceError: no model can be made of this workspace.
        InferenceError: the measurement fixes the POI.
    """

    def __init__(
        self, compiler: Compiler, workspace: Mapping[str, Any], question: Question
    ) -> None:
        model = compiler.compile(
            workspace, question.measurement, question.poi, needs_poi=not question.fit_alone
        )
        self._parameters, self._poi = model.parameters, model.poi
        self._likelihood = Likelihood(model, question.normsys, question.histosys)
        self._codes = question.normsys, question.histosys
        self.observed = self._likelihood.observed()
        self.alternatives = (self._below_nominal(model.additive),)
        self.poi_bounds = self._bounds()

    @functools.cached_property
    def _batch(self) -> LikelihoodBatch:
        """Of the same model; only toys need it."""
        return LikelihoodBatch(self._likelihood.model, *self._codes)

    def _bounds(self) -> tuple[float, float]:
        p, poi = self._parameters, self._poi
        if poi is None:
            return -math.inf, math.inf
        if p.fixed[poi]:
            raise InferenceError(f"the measurement fixes the POI {p.names[poi]!r}", "unfix it")
        return float(p.low[poi]), float(p.high[poi])

    def _below_nominal(self, additive: slice) -> Array:
        """Starting values half a sigma down in all histosys.

        Their two sides differ, and with them the minima that are reached. In 2 of the 125 points of
        the published 1Lbb likelihood, the lowest minimum at mu = 1 is found from here alone.
        """
        p = self._parameters
        start = p.inits.copy()
        start[additive] -= 0.5
        return np.where(p.fixed, p.inits, np.clip(start, p.low, p.high))

    def fit(
        self,
        data: Any,
        mu: float | None = None,
        start: Any = None,
        known: Sequence[Minimum] = (),
    ) -> Minimum:
        """See :meth:`fitspec.inference.likelihood.Likelihood.fit`."""
        theta = np.array(self._parameters.inits if start is None else start)
        fixed = self._parameters.fixed.copy()
        if mu is not None and self._poi is not None:
            theta[self._poi], fixed[self._poi] = mu, True
        for minimum in known:
            if np.array_equal(minimum.parameters, theta):
                return minimum
        try:
            found = minimise(
                self._likelihood, data, theta, fixed, [minimum.parameters for minimum in known]
            )
        except InferenceError as error:
            what = "the free fit" if mu is None else f"the fit at mu = {mu:g}"
            raise type(error)(f"{what} did not converge: {error}") from error
        if found.known is not None:
            return known[found.known]
        names = self._parameters.names
        return Minimum(
            parameters=found.theta,
            poi=0.0 if self._poi is None else float(found.theta[self._poi]),
            twice_nll=2 * found.nll,
            iterations=found.iterations,
            edm=found.edm,
            at_bounds=tuple(names[i] for i in np.flatnonzero(found.at_bounds)),
        )

    def oddity(self, parameters: Any, data: Any) -> str | None:
        """See :meth:`fitspec.inference.likelihood.Likelihood.oddity`.

        A bin without events may be expected to have less than none; pyhf allows it, too.
        """
        if data.main.all():  # with less than none where events are seen, L has no value
            return None
        expected = self._likelihood.expected(parameters)
        b = int(np.argmin(expected))
        if expected[b] >= 0:
            return None
        channel, index = self._likelihood.model.bins[b]
        return f"expects {expected[b]:.3g} events in bin {index} of channel {channel!r}"

    def widen(self, high: float) -> None:
        """See :meth:`fitspec.inference.likelihood.Likelihood.widen`."""
        self._parameters.high[self._poi] = high  # of this model, which nobody else has
        self.poi_bounds = (self.poi_bounds[0], high)

    def nominal(self, mu: float) -> Any:
        """See :meth:`fitspec.inference.likelihood.Likelihood.nominal`."""
        parameters = self._parameters.inits.copy()
        parameters[self._poi] = mu
        return parameters

    def best_fit(self, minimum: Minimum, asked: FitQuestion) -> BestFit:
        """See :meth:`fitspec.inference.likelihood.Likelihood.best_fit`."""
        return best_fit(self._likelihood, self.observed, minimum, asked)

    def asimov(self, parameters: Any) -> Any:
        """See :meth:`fitspec.inference.likelihood.Likelihood.asimov`."""
        try:
            return self._likelihood.asimov(parameters)
        except InferenceError as error:
            raise InferenceError(f"the Asimov data would have {error}") from error

    def throw(self, parameters: Any, number: int, generator: np.random.Generator) -> DataStack:
        """See :meth:`fitspec.inference.likelihood.Likelihood.throw`."""
        p, means = self._parameters, self.asimov(parameters)
        main = generator.poisson(means.main, (number, len(means.main)))
        auxiliary = np.zeros((number, len(p.names)))
        for kind, drawn in (
            (p.normal, generator.normal(means.auxiliary, p.sigma, auxiliary.shape)),
            (p.poisson, generator.poisson(p.factor * parameters, auxiliary.shape)),
        ):
            auxiliary[:, kind] = drawn[:, kind]
        return self._batch.stack(main.astype(float), auxiliary)

    def fit_many(self, toys: Any, mu: float | None, starts: Sequence[Any]) -> Minima:
        """See :meth:`fitspec.inference.likelihood.Likelihood.fit_many`."""
        inits = self._parameters.inits
        theta = np.array([inits if start is None else start for start in starts])
        theta, fixed = theta.reshape(len(toys), len(inits)), self._parameters.fixed.copy()
        if mu is not None:
            theta[:, self._poi], fixed[self._poi] = mu, True
        found = minimise_batch(self._batch, toys, theta, fixed)
        return Minima(found.theta, found.theta[:, self._poi], 2 * found.nll, found.converged)
