"""pyhf as a backend: its model, its fits, its minimisers, unchanged."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fitspec.bestfit import BestFit
from fitspec.errors import ConvergenceError, InferenceError, MissingExtraError
from fitspec.histfactory.consistency import require_lumi
from fitspec.inference.likelihood import Minima, Minimum
from fitspec.inference.question import FitQuestion, Question

MAX_ITERATIONS = 100_000
"""pyhf's default, made explicit."""

MINUIT_TOLERANCE = 1e-4
"""Minuit stops at a distance of 0.002 times this, in -2 ln L. At pyhf's 0.1 a weak signal of the
published sbottom likelihoods gets CLs 0.9966 instead of 0.9978; this costs no more time."""

SCIPY_TOLERANCE = 1e-8
"""In -2 ln L. At SLSQP's own 1e-6 a fit can stop early on a flat direction: a weak signal of the
published sbottom likelihoods then gets CLs 0.9999 instead of 0.9978."""


@contextlib.contextmanager
def open_likelihood(workspace: Mapping[str, Any], question: Question) -> Iterator[PyhfLikelihood]:
    """The likelihood of a patched workspace; pyhf's global state is as before afterwards.

    Args:
        workspace: patched workspace.
        question: measurement, POI, interpolation codes, tensor library and optimizer.

    Raises:
        WorkspaceError: a luminosity without its auxiliary measurement.
        InferenceError: pyhf cannot build this model.
        MissingExtraError: the tensor library or the optimizer is not installed.
    """
    with _pyhf_state(question.tensor, question.optimizer):
        yield PyhfLikelihood(workspace, question)


class PyhfLikelihood:
    """A pyhf model and its data as a :class:`fitspec.inference.likelihood.Likelihood`."""

    def __init__(self, workspace: Mapping[str, Any], question: Question) -> None:
        import pyhf

        require_lumi(workspace, question.measurement)
        settings = {
            "normsys": {"interpcode": question.normsys},
            "histosys": {"interpcode": question.histosys},
        }
        chosen = {} if question.poi is None else {"poi_name": question.poi}
        try:
            # the background was validated before; the model with its signal is validated here
            pyhf_workspace = pyhf.Workspace(workspace, validate=False)
            self._model = pyhf_workspace.model(
                measurement_name=question.measurement, modifier_settings=settings, **chosen
            )
            self.observed = pyhf_workspace.data(self._model)
        except _model_errors() as error:
            raise InferenceError(f"pyhf cannot build the model: {_first_line(error)}") from error
        self._optimizer = question.optimizer
        config = self._model.config
        if config.suggested_fixed()[config.poi_index]:
            raise InferenceError(
                f"the measurement fixes the POI {config.poi_name!r}", "unfix it in the workspace"
            )
        self._bounds = [tuple(map(float, pair)) for pair in config.suggested_bounds()]
        low, high = self._bounds[config.poi_index]
        self.alternatives: tuple[Any, ...] = ()
        self.poi_bounds = (low, high)

    def fit(
        self,
        data: Any,
        mu: float | None = None,
        start: Any = None,
        known: Sequence[Minimum] = (),  # noqa: ARG002, pyhf's minimisers cannot be stopped
    ) -> Minimum:
        """See :meth:`fitspec.inference.likelihood.Likelihood.fit`; every fit goes to its end."""
        import pyhf

        init = None
        if start is not None:  # a minimum may lie a rounding error outside its bounds
            init = [
                min(max(float(v), low), high)
                for v, (low, high) in zip(start, self._bounds, strict=True)
            ]
        try:
            found = self._minimise(data, mu, init)
        except (ValueError, pyhf.exceptions.InvalidPdfData) as error:
            raise InferenceError(f"pyhf cannot fit the model: {_first_line(error)}") from error
        except pyhf.exceptions.FailedMinimization as error:
            what = "the free fit" if mu is None else f"the fit at mu = {mu:g}"
            other = 'backend.name = "native"'
            if self._optimizer != "minuit":
                other = 'optimizer = "minuit"'
            raise ConvergenceError(
                f"{what} did not converge: {_first_line(error)}", f"try {other}"
            ) from error
        parameters, twice_nll, details = found
        minuit = details.get("minuit")
        iterations = details.get("nit")
        return Minimum(
            parameters=parameters,
            poi=float(parameters[self._model.config.poi_index]),
            twice_nll=float(twice_nll),
            iterations=None if iterations is None else int(iterations),
            edm=None if minuit is None else float(minuit.fmin.edm),
            at_bounds=self._at_bounds(parameters, mu),
        )

    def _at_bounds(self, parameters: Any, mu: float | None) -> tuple[str, ...]:
        config = self._model.config
        fixed = config.suggested_fixed()
        if mu is not None:
            fixed[config.poi_index] = True
        return tuple(
            name
            for name, value, (low, high), held in zip(
                config.par_names, parameters, self._bounds, fixed, strict=True
            )
            if not held and min(float(value) - low, high - float(value)) <= 1e-9 * (high - low)
        )

    def _minimise(self, data: Any, mu: float | None, init: list[float] | None) -> Any:
        """Parameters, -2 ln L, and what the optimizer tells of its way there."""
        import pyhf

        attempts: list[dict[str, Any]] = [{}]
        if self._optimizer == "minuit":
            attempts.append({"strategy": 2})  # twice as slow, and at its end where others give up
        for options in attempts:
            options |= {
                "par_bounds": self._bounds,
                "return_fitted_val": True,
                "return_result_obj": True,
            }
            try:
                if mu is None:
                    return pyhf.infer.mle.fit(data, self._model, init, **options)
                return pyhf.infer.mle.fixed_poi_fit(mu, data, self._model, init, **options)
            except pyhf.exceptions.FailedMinimization as error:
                failure = error
        raise failure

    def oddity(self, parameters: Any, data: Any) -> str | None:  # noqa: ARG002
        """See :meth:`fitspec.inference.likelihood.Likelihood.oddity`."""
        expected = self._model.expected_actualdata(parameters)
        for channel, bins in self._model.config.channel_slices.items():
            for index, events in enumerate(expected[bins]):
                if events < 0:
                    return (
                        f"expects {float(events):.3g} events in bin {index} of channel {channel!r}"
                    )
        return None

    def widen(self, high: float) -> None:
        """See :meth:`fitspec.inference.likelihood.Likelihood.widen`."""
        self.poi_bounds = (self.poi_bounds[0], high)
        self._bounds[self._model.config.poi_index] = self.poi_bounds

    def nominal(self, mu: float) -> Any:
        """See :meth:`fitspec.inference.likelihood.Likelihood.nominal`."""
        parameters = list(self._model.config.suggested_init())
        parameters[self._model.config.poi_index] = mu
        return parameters

    def best_fit(self, minimum: Minimum, asked: FitQuestion) -> BestFit:  # noqa: ARG002
        """See :meth:`fitspec.inference.likelihood.Likelihood.best_fit`."""
        raise InferenceError(
            "the pyhf backend has no exact Hessian for [fit]", 'use backend.name = "native"'
        )

    def asimov(self, parameters: Any) -> Any:
        """See :meth:`fitspec.inference.likelihood.Likelihood.asimov`."""
        return self._model.expected_data(parameters)

    def throw(self, parameters: Any, number: int, generator: np.random.Generator) -> Any:
        """See :meth:`fitspec.inference.likelihood.Likelihood.throw`; pyhf's own sampling."""
        import pyhf

        distribution = self._model.make_pdf(pyhf.tensorlib.astensor(parameters))
        with _numpy_seed(int(generator.integers(2**32))):
            try:
                return np.asarray(distribution.sample((number,)))
            except ValueError as error:
                raise InferenceError(f"pyhf cannot throw toys: {_first_line(error)}") from error

    def fit_many(self, toys: Any, mu: float | None, starts: Sequence[Any]) -> Minima:
        """See :meth:`fitspec.inference.likelihood.Likelihood.fit_many`; one after the other."""
        found: list[Minimum | None] = []
        for toy, start in zip(toys, starts, strict=True):
            try:
                found.append(self.fit(toy, mu, start))
            except InferenceError:
                found.append(None)
        parameters = np.full((len(found), self._model.config.npars), np.nan)
        poi, twice_nll = np.full((2, len(found)), np.nan)
        for row, minimum in enumerate(found):
            if minimum is not None:
                parameters[row] = minimum.parameters
                poi[row], twice_nll[row] = minimum.poi, minimum.twice_nll
        return Minima(parameters, poi, twice_nll, ~np.isnan(twice_nll))


@contextlib.contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    """pyhf draws from numpy's global generator: seed it, and put it back."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)


@contextlib.contextmanager
def _pyhf_state(tensor: str, optimizer: str) -> Iterator[None]:
    """pyhf keeps its tensor library and optimizer in a module: set them, and put them back."""
    import pyhf

    logger = logging.getLogger("pyhf")
    before, level = pyhf.get_backend(), logger.level
    logger.setLevel(logging.CRITICAL)  # a failed fit is reported with its point, not on stderr
    try:
        pyhf.set_backend(tensor, _optimizer(optimizer), precision="64b")
        yield
    except pyhf.exceptions.ImportBackendError as error:
        raise MissingExtraError(*_EXTRAS[tensor]) from error
    finally:
        pyhf.set_backend(*before)
        logger.setLevel(level)


_EXTRAS = {"jax": ("jax", "jax"), "minuit": ("iminuit", "minuit")}


def _optimizer(name: str) -> Any:
    import pyhf

    if name == "scipy":
        return pyhf.optimize.scipy_optimizer(maxiter=MAX_ITERATIONS, tolerance=SCIPY_TOLERANCE)
    try:
        return pyhf.optimize.minuit_optimizer(maxiter=MAX_ITERATIONS, tolerance=MINUIT_TOLERANCE)
    except (ImportError, pyhf.exceptions.ImportBackendError) as error:
        raise MissingExtraError(*_EXTRAS["minuit"]) from error


def _model_errors() -> tuple[type[Exception], ...]:
    """What pyhf raises on a workspace it cannot make a model of."""
    import pyhf

    return (
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        pyhf.exceptions.InvalidMeasurement,
        pyhf.exceptions.InvalidModel,
        pyhf.exceptions.InvalidModifier,
        pyhf.exceptions.InvalidNameReuse,
        pyhf.exceptions.InvalidSpecification,
        pyhf.exceptions.UnspecifiedPOI,
        pyhf.exceptions.Unsupported,
    )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]
