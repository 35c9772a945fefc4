"""How far the numbers of a point moved, in their own units and in those of the expected band."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from fitspec.outcome import Band
from fitspec.results import PointResult

SIGMAS = (-2, -1, 0, 1, 2)

STATISTICAL = 3.0
"""Standard uncertainties that numbers by toys may move without a reason."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A number has moved where ``|new - old| > atol + rtol * |old|``; atol is of CLs, or mu."""

    rtol: float = 1e-3
    atol: float = 1e-5


@dataclass(frozen=True, slots=True)
class Shift:
    """A number that moved.

    Attributes:
        spec: the specification, as the newer run names it.
        id: the point.
        quantity: its name; ``fit.NAME`` is the best-fit value of a parameter.
        mu: the POI value it belongs to, where it belongs to one.
        sigma: which of an expected band; None for a single number.
        old: before.
        new: after.
        difference: new - old.
        relative: difference / abs(old); None where old is 0.
        sigmas: difference in standard deviations of the old expected band, of a parameter in its
            old uncertainty; None where there is none.
        flipped: what the number now says of the signal, where it said otherwise before.
    """

    spec: str
    id: str
    quantity: str
    mu: float | None
    sigma: int | None
    old: float
    new: float
    difference: float
    relative: float | None
    sigmas: float | None
    flipped: Literal["excluded", "allowed"] | None

    @property
    def weight(self) -> tuple[bool, float, float]:
        """The larger, the more it matters: a flip, then band sigmas, then relative size.

        Sigmas count for observed and median values; the edges of a band follow these.
        """
        sigmas = self.sigmas if self.sigma in {None, 0} else None
        relative = math.inf if self.relative is None else abs(self.relative)
        return self.flipped is not None, abs(sigmas or 0.0), relative


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a point, and what is needed to judge how far it moved.

    Attributes:
        value: itself.
        unit: what the absolute tolerance is multiplied with.
        error: standard uncertainty, of toys; else 0.
        position: to the number of standard deviations in the expected band, or None.
        excludes: whether it excludes the signal; None for what says nothing of it.
    """

    value: float
    unit: float = 1.0
    error: float = 0.0
    position: Callable[[float], float | None] | None = None
    excludes: bool | None = None


Key = tuple[str, float | None, int | None]
"""Quantity, POI value, and which of a band."""


def shifts(
    old: PointResult, new: PointResult, tolerance: Tolerance, confidence: tuple[float, float]
) -> Iterator[Shift]:
    """The numbers of a point that both runs have and that moved.

    One that flipped an exclusion has, however little it did. Numbers by toys must also be
    :data:`STATISTICAL` standard uncertainties of their difference apart.

    Args:
        old: before.
        new: after.
        tolerance: what does not count.
        confidence: levels of exclusion, before and after.
    """
    before, after = numbers(old, confidence[0]), numbers(new, confidence[1])
    for key in before.keys() & after.keys():
        a, b = before[key], after[key]
        flipped = a.excludes is not None and b.excludes is not None and a.excludes != b.excludes
        difference = b.value - a.value
        allowed = tolerance.atol * a.unit + tolerance.rtol * abs(a.value)
        allowed = max(allowed, STATISTICAL * math.hypot(a.error, b.error))
        if flipped or abs(difference) > allowed:
            quantity, mu, sigma = key
            yield Shift(
                new.spec, new.id, quantity, mu, sigma, a.value, b.value, difference,
                difference / abs(a.value) if a.value else None,
                _in_sigmas(a, b.value),
                ("excluded" if b.excludes else "allowed") if flipped else None,
            )  # fmt: skip


def numbers(point: PointResult, confidence: float) -> dict[Key, Number]:
    """All numbers of a point that are compared.

    Limits in pb are limits on the POI times the cross-section, and compared as the former.
    """
    return dict(_numbers(point, confidence))


def _numbers(point: PointResult, confidence: float) -> Iterator[tuple[Key, Number]]:
    outcome = point.outcome
    level = round(1 - confidence, 12)
    for test in outcome.tests:
        toys = test.toys
        place = _position(test.CLs_exp, _significance)
        errors = (0.0,) * 5 if toys is None else toys.exp_error
        error = 0.0 if toys is None else toys.obs_error
        yield (
            ("CLs_obs", test.mu, None),
            Number(test.CLs_obs, 1.0, error, place, test.CLs_obs < level),
        )
        for sigma, value, error in zip(SIGMAS, test.CLs_exp, errors, strict=True):
            excludes = value < level if sigma == 0 else None
            yield ("CLs_exp", test.mu, sigma), Number(value, 1.0, error, place, excludes)
        error = 0.0 if toys is None else toys.p_b_error or 0.0
        yield ("p_b", test.mu, None), Number(test.p_b, error=error)
    yield from _limits(point)
    if outcome.discovery is not None:
        toys = outcome.discovery.toys
        error = 0.0 if toys is None else toys.obs_error
        yield ("p0", None, None), Number(outcome.discovery.p0, error=error)
    if outcome.mu_hat is not None:
        yield ("mu_hat", None, None), Number(outcome.mu_hat)
    for parameter in outcome.fit.parameters if outcome.fit is not None else ():
        width = parameter.uncertainty or 0.0
        pull = _pull(parameter.value, width) if width else None
        yield (
            (f"fit.{parameter.name}", None, None),
            Number(parameter.value, width or 1.0, position=pull),
        )


def _limits(point: PointResult) -> Iterator[tuple[Key, Number]]:
    outcome = point.outcome
    if outcome.upper_limit_obs is None or outcome.upper_limit_exp is None:
        return
    place = _position(outcome.upper_limit_exp, lambda limit: limit)
    error = outcome.upper_limit_obs_error or 0.0
    observed = outcome.upper_limit_obs
    yield ("upper_limit_obs", None, None), Number(observed, 1.0, error, place, observed < 1)
    errors = outcome.upper_limit_exp_error or (0.0,) * 5
    for sigma, limit, error in zip(SIGMAS, outcome.upper_limit_exp, errors, strict=True):
        excludes = limit < 1 if sigma == 0 else None
        yield ("upper_limit_exp", None, sigma), Number(limit, 1.0, error, place, excludes)
    if point.xsec_pb is not None:
        yield ("xsec_pb", None, None), Number(point.xsec_pb, 0.0)


def _in_sigmas(old: Number, value: float) -> float | None:
    if old.position is None:
        return None
    before, after = old.position(old.value), old.position(value)
    return None if before is None or after is None else after - before


def _position(
    band: Band, scale: Callable[[float], float | None]
) -> Callable[[float], float | None]:
    """From a value to its number of standard deviations in a band.

    Between the five values it is interpolated linearly, and beyond them extrapolated, in a scale
    in which a band is nearly equidistant.
    """
    known = [scale(value) for value in band]

    def position(value: float) -> float | None:
        here = scale(value)
        places = [place for place in known if place is not None]
        if here is None or len(places) < len(SIGMAS) or not _ascending(places):
            return None
        i = min(max(sum(place <= here for place in places) - 1, 0), len(places) - 2)
        return SIGMAS[i] + (here - places[i]) / (places[i + 1] - places[i])

    return position


def _significance(p: float) -> float | None:
    """A p-value as a number of standard deviations, ascending with it; of 0 and 1 there is none."""
    return NormalDist().inv_cdf(p) if 0 < p < 1 else None


def _pull(value: float, width: float) -> Callable[[float], float | None]:
    return lambda other: (other - value) / width


def _ascending(places: Sequence[float]) -> bool:
    return all(a < b for a, b in itertools.pairwise(places))
