"""Post-fit yields: what the best fit expects, and how well it knows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fitspec.bestfit import Yield
from fitspec.histfactory.interpolation import Array
from fitspec.histfactory.likelihood import Data, Likelihood
from fitspec.histfactory.model import Model
from fitspec.inference.covariance import Covariance

Key = tuple[str, int | None, str | None]
"""Channel, bin (None for their sum) and sample (None for their sum)."""


def yields(
    likelihood: Likelihood, theta: Array, data: Data, covariance: Covariance | None
) -> tuple[Yield, ...]:
    """Yields by channel, bin and sample, with their sums.

    The variance is J V J^T, where J is half the difference that moving a parameter up and down by
    its uncertainty makes, over that uncertainty. This is how RooFit (``getPropagatedError``),
    TRExFitter and cabinetry do it; where the expectation is linear, J is its derivative.

    Args:
        likelihood: of the model.
        theta: (P,) best-fit parameters.
        data: that were fitted.
        covariance: V; None where there is none.
    """
    model = likelihood.model
    groups = dict(_groups(model))
    picked = np.array(list(groups.values()), dtype=float)
    uncertainties: list[float | None] = [None] * len(groups)
    if covariance is not None:
        slopes = _slopes(likelihood, theta, np.sqrt(covariance.matrix.diagonal()))
        uncertainties = covariance.uncertainties(picked @ slopes.T)
    expected = (picked @ likelihood.cells(theta)).tolist()
    by_bin = dict(zip(model.bins, data.main.tolist(), strict=True))
    found = zip(groups, expected, uncertainties, strict=True)
    return tuple(
        Yield(*key, _observed(key, by_bin), expected, uncertainty)
        for key, expected, uncertainty in found
    )


def _slopes(likelihood: Likelihood, theta: Array, widths: Array) -> Array:
    """(P, C) mean derivatives of the cells' events over +-1 standard deviation (P,)."""
    slopes = np.zeros((len(theta), len(likelihood.model.nominal)))
    for row in np.flatnonzero(widths):
        step = np.zeros_like(theta)
        step[row] = widths[row]
        difference = likelihood.cells(theta + step) - likelihood.cells(theta - step)
        slopes[row] = difference / (2 * widths[row])
    return slopes


def _groups(model: Model) -> Iterator[tuple[Key, npt.NDArray[np.bool_]]]:
    """What is summed, and which cells (C,) that takes: a bin's total, then its samples."""
    bin_of = np.repeat(np.arange(len(model.bins)), model.cells)
    for channel in dict.fromkeys(name for name, _ in model.bins):
        here = [b for b, (name, _) in enumerate(model.bins) if name == channel]
        samples = [k for k, (name, _) in enumerate(model.samples) if name == channel]
        for index, chosen in [(model.bins[b][1], bin_of == b) for b in here] + [
            (None, np.isin(bin_of, here))
        ]:
            yield (channel, index, None), chosen
            for k in samples:
                yield (channel, index, model.samples[k][1]), chosen & (model.sample == k)


def _observed(key: Key, by_bin: dict[tuple[str, int], float]) -> float | None:
    channel, index, sample = key
    if sample is not None:
        return None
    if index is not None:
        return by_bin[channel, index]
    return sum(events for (name, _), events in by_bin.items() if name == channel)
