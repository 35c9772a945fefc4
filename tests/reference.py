"""pyhf's model beside ours, of the same workspace: what a test of agreement compares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyhf
import pytest
from hypothesis import HealthCheck, settings

from fitspec.histfactory.likelihood import Data, Likelihood
from fitspec.histfactory.model import Compiler

Array = npt.NDArray[np.float64]

SETTINGS = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

DEFAULT_CODES = ("code4", "code4p")
SMOOTH_OR_KINKED = [(n, h) for n in ("code4", "code1") for h in ("code4p", "code0")]
ALL_CODES = [*SMOOTH_OR_KINKED, ("code4", "code2"), ("code1", "code2")]
"""Interpolation codes of normsys and histosys; code2 jumps, so that it cannot be fitted."""


class Pair:
    """A model as fitspec has it and as pyhf has it; parameters are in our order.

    Args:
        workspace: with its signal.
        measurement: its name; default the first one.
        codes: interpolation codes of normsys and histosys.
    """

    def __init__(
        self,
        workspace: Mapping[str, Any],
        measurement: str | None = None,
        codes: tuple[str, str] = DEFAULT_CODES,
    ) -> None:
        name = measurement or workspace["measurements"][0]["name"]
        self.model = Compiler(workspace).compile(workspace, name)
        self.parameters = self.model.parameters
        self.likelihood = Likelihood(self.model, *codes)
        self.observed = self.likelihood.observed()

        theirs = pyhf.Workspace(workspace, validate=False)
        interpolation = {"normsys": {"interpcode": codes[0]}, "histosys": {"interpcode": codes[1]}}
        self.theirs = theirs.model(
            measurement_name=name, modifier_settings=interpolation, validate=False
        )
        self.their_observed = np.array(theirs.data(self.theirs))
        self._order = [self.parameters.names.index(n) for n in self.theirs.config.par_names]

    def in_their_order(self, values: Any) -> Array:
        """A value for each parameter, in the order of pyhf."""
        return np.asarray(values)[self._order]

    def in_our_order(self, values: Any) -> Array:
        """A value for each parameter, from the order of pyhf."""
        ours = np.empty_like(np.asarray(values))
        ours[self._order] = values
        return ours

    def point(self, **values: float) -> Array:
        """Starting values but for some; ``stat_1`` is ``stat[1]``."""
        theta = self.parameters.inits.copy()
        for name, value in values.items():
            label = name if name in self.parameters.names else "{}[{}]".format(*name.split("_"))
            theta[self.parameters.names.index(label)] = value
        return theta

    def their_value(self, theta: Array, data: Array | None = None) -> float:
        """-ln L as pyhf has it."""
        data = self.their_observed if data is None else data
        with np.errstate(all="ignore"):
            return -float(self.theirs.logpdf(self.in_their_order(theta), data)[0])

    def their_expected(self, theta: Array) -> Array:
        """Expected events by bin, as pyhf has them."""
        with np.errstate(all="ignore"):
            return np.asarray(self.theirs.main_model.expected_data(self.in_their_order(theta)))

    def their_asimov(self, theta: Array) -> Array:
        """Main and auxiliary data, as pyhf has them."""
        with np.errstate(all="ignore"):
            return np.asarray(self.theirs.expected_data(self.in_their_order(theta)))

    def in_their_layout(self, data: Data) -> Array:
        """Our data as pyhf writes them: main data, then auxiliary data."""
        auxiliary, config = self.in_their_order(data.auxiliary), self.theirs.config
        parts = [auxiliary[config.par_slice(name)] for name in config.auxdata_order]
        return np.concatenate([data.main, *parts])


def agreeing(workspace: Mapping[str, Any], measurement: str | None = None) -> Pair:
    """Both models, after a check that they are the same, bounds included."""
    pair = Pair(workspace, measurement)
    check_parameters(pair)
    p = pair.parameters
    rng = np.random.default_rng(1)
    for theta in (p.inits, p.low, p.high, *(rng.uniform(p.low, p.high) for _ in range(4))):
        check_value(pair, theta)
        check_expected(pair, theta)
    return pair


def check_parameters(pair: Pair) -> None:
    """Names, starting values, bounds, fixed parameters, POI and data are the same."""
    ours, theirs = pair.parameters, pair.theirs.config
    assert sorted(ours.names) == sorted(theirs.par_names)
    assert ours.names[pair.model.poi] == theirs.poi_name
    assert list(pair.in_their_order(ours.inits)) == theirs.suggested_init()
    assert list(pair.in_their_order(ours.fixed)) == theirs.suggested_fixed()
    bounds = zip(pair.in_their_order(ours.low), pair.in_their_order(ours.high), strict=True)
    assert list(bounds) == [tuple(pair) for pair in theirs.suggested_bounds()]
    data = pair.in_their_layout(pair.observed)
    assert data == pytest.approx(pair.their_observed, rel=1e-12)


def check_value(
    pair: Pair, theta: Array, data: Data | None = None, their_data: Array | None = None
) -> None:
    """-ln L is the same; where pyhf has no number ours is infinite."""
    ours = pair.likelihood.value(theta, data or pair.observed)
    theirs = pair.their_value(theta, their_data)
    expected = theirs if np.isfinite(theirs) else np.inf
    assert ours == pytest.approx(expected, rel=1e-9, abs=1e-9)


def check_expected(pair: Pair, theta: Array) -> None:
    """Expected events are the same in every bin."""
    ours = pair.likelihood.expected(theta)
    assert ours == pytest.approx(pair.their_expected(theta), rel=1e-9, abs=1e-9)


def central_differences(function: Callable[[Array], Any], theta: Array, steps: Array) -> Array:
    """Derivatives by each parameter, one row each."""
    return np.array(list(_differences(function, theta, steps)))


def _differences(function: Callable[[Array], Any], theta: Array, steps: Array) -> Iterator[Array]:
    for i, step in enumerate(steps):
        h = np.zeros_like(theta)
        h[i] = step
        yield (np.asarray(function(theta + h)) - np.asarray(function(theta - h))) / (2 * step)
