"""The covariance of fitted parameters: the inverse Hessian of -ln L at the minimum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitspec.errors import InferenceError
from fitspec.histfactory.interpolation import Array
from fitspec.histfactory.likelihood import Data, Flags, Likelihood

FLAT = 1e-10
"""Curvature, of a Hessian with a unit diagonal, below which the data determine nothing."""

TOUCHED = 1e-5
"""What a flat direction moves by less than this part of its length, it leaves alone."""


@dataclass(frozen=True, slots=True)
class Covariance:
    """Second moments of the free parameters.

    Attributes:
        matrix: (P, P), 0 for the parameters that are not free.
        determined: (P,) free parameters that the data, or a constraint, determine.
        flat: (P, F) directions along which the likelihood does not change.
        scale: (P,) lengths that make the parameters comparable, 0 for those that are not free.
    """

    matrix: Array
    determined: Flags
    flat: Array
    scale: Array

    def uncertainties(self, slopes: Array) -> list[float | None]:
        """Uncertainties of R functions of the parameters, sqrt(J V J^T).

        Args:
            slopes: (R, P) their derivatives J.

        Returns:
            one each; None where a flat direction leaves a function undetermined.
        """
        variances = ((slopes @ self.matrix) * slopes).sum(axis=1)
        moved = np.abs(slopes @ self.flat).max(axis=1, initial=0.0)
        length = np.linalg.norm(slopes * self.scale, axis=1)
        determined = moved <= TOUCHED * length
        roots = np.sqrt(np.maximum(variances, 0.0))
        pairs = zip(roots.tolist(), determined.tolist(), strict=True)
        return [root if known else None for root, known in pairs]


def covariance(likelihood: Likelihood, theta: Array, data: Data, held: Flags) -> Covariance:
    """The inverse of the exact Hessian of -ln L, restricted to free parameters.

    Where the Hessian is singular, the directions that it leaves flat are set aside, and all that
    does not depend on them has its variance all the same: it is that of any generalised inverse.

    Args:
        likelihood: the function.
        theta: (P,) its minimum.
        data: that were fitted.
        held: (P,) parameters that are fixed, or kept by a bound.

    Raises:
        InferenceError: the Hessian is negative in some direction: that is no minimum.
    """
    rows = np.flatnonzero(~held)
    hessian = likelihood.expand(theta, data).hessian[np.ix_(rows, rows)]
    diagonal = hessian.diagonal()
    length = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    curvatures, directions = np.linalg.eigh(hessian * np.outer(length, length))
    if curvatures.min(initial=0.0) < -FLAT:
        raise InferenceError("the Hessian is not positive where the fit ended")
    curved = curvatures > FLAT
    half = length[:, None] * directions[:, curved] / np.sqrt(curvatures[curved])
    still = np.abs(directions[:, ~curved]).max(axis=1, initial=0.0) <= TOUCHED

    matrix = np.zeros((len(theta), len(theta)))
    matrix[np.ix_(rows, rows)] = half @ half.T
    determined = np.zeros(len(theta), dtype=bool)
    determined[rows[still]] = True
    flat = np.zeros((len(theta), int((~curved).sum())))
    flat[rows] = length[:, None] * directions[:, ~curved]
    scale = np.zeros(len(theta))
    scale[rows] = length
    return Covariance(matrix, determined, flat, scale)


def at_kinks(likelihood: Likelihood, theta: Array, data: Data, held: Flags) -> Flags:
    """(P,) free parameters that sit at a kink of their interpolation, where there is no Hessian."""
    at: Flags = likelihood.kinked & (theta == 0) & ~held
    if not at.any():
        return at
    right = theta >= 0
    ahead = likelihood.expand(theta, data, right).gradient
    behind = likelihood.expand(theta, data, right & ~at).gradient
    at &= np.abs(ahead - behind) > 1e-9
    return at
