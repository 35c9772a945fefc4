"""Parameters of a model: starting values, bounds and constraints, as pyhf derives them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fitspec.errors import WorkspaceError
from fitspec.histfactory.interpolation import Array
from fitspec.histfactory.samples import ALPHA, numbers

NORMAL, POISSON = "normal", "poisson"
GAMMA_BOUNDS = (1e-10, 10.0)
_REQUIRED = ("inits", "bounds", "auxdata", "sigmas")  # of a luminosity
_CONFIGURABLE = (*_REQUIRED, "factors")


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """The n parameters that belong to one name.

    Attributes:
        name: as in the workspace.
        scalar: one parameter that acts on whole samples; else one a bin.
        inits, bounds, fixed: starting values, ranges, and which are not fitted.
        constraint: ``normal``, ``poisson``, or None.
        auxdata: auxiliary measurements.
        widths: sigmas of normal constraints, rate factors of Poisson ones.
    """

    name: str
    scalar: bool
    inits: Sequence[float]
    bounds: Sequence[Sequence[float]]
    fixed: Sequence[bool]
    constraint: str | None = None
    auxdata: Sequence[float] = ()
    widths: Sequence[float] = ()

    def __len__(self) -> int:
        return len(self.inits)

    @property
    def labels(self) -> list[str]:
        """Names of the single parameters: ``name``, or ``name[0]``, ``name[1]``, ..."""
        return [self.name] if self.scalar else [f"{self.name}[{i}]" for i in range(len(self))]


@dataclass(frozen=True, slots=True)
class Parameters:
    """All P parameters of a model as arrays.

    Attributes:
        names: (P,) names; those of one bin carry its index.
        inits, low, high: (P,) starting values and bounds.
        fixed: (P,) not fitted.
        normal, poisson: (P,) whether a parameter has such a constraint.
        sigma: (P,) widths of normal constraints, 1 elsewhere.
        factor: (P,) rate factors of Poisson constraints, 0 elsewhere.
        auxdata: (P,) auxiliary measurements, 0 where there is none.
    """

    names: tuple[str, ...]
    inits: Array
    low: Array
    high: Array
    fixed: npt.NDArray[np.bool_]
    normal: npt.NDArray[np.bool_]
    poisson: npt.NDArray[np.bool_]
    sigma: Array
    factor: Array
    auxdata: Array

    @classmethod
    def of(cls, sets: Sequence[ParameterSet]) -> Parameters:
        """The arrays of parameter sets, one after the other."""
        bounds = np.array([pair for s in sets for pair in s.bounds], dtype=float)
        kinds = np.array([s.constraint or "" for s in sets for _ in s.inits])
        normal, poisson = kinds == NORMAL, kinds == POISSON
        unit = [1.0]
        widths = np.array([w for s in sets for w in (s.widths or unit * len(s))], dtype=float)
        auxdata = [a for s in sets for a in (s.auxdata or [0.0] * len(s))]
        return cls(
            names=tuple(label for s in sets for label in s.labels),
            inits=np.array([v for s in sets for v in s.inits], dtype=float),
            low=bounds[:, 0].copy(),
            high=bounds[:, 1].copy(),
            fixed=np.array([v for s in sets for v in s.fixed], dtype=bool),
            normal=normal,
            poisson=poisson,
            sigma=np.where(normal, widths, 1.0),
            factor=np.where(poisson, widths, 0.0),
            auxdata=np.array(auxdata, dtype=float),
        )


@functools.lru_cache(maxsize=4096)
def scalar_set(name: str, kind: str) -> ParameterSet:
    """Parameter of a normfactor, a luminosity, or a systematic variation, as pyhf has it."""
    if kind == ALPHA:
        return ParameterSet(name, True, [0.0], [(-5.0, 5.0)], [False], NORMAL, [0.0])
    if kind == "lumi":  # everything but its being fitted comes from the measurement
        return ParameterSet(name, True, [], [], [False], NORMAL)
    return ParameterSet(name, True, [1.0], [(0.0, 10.0)], [False])


def shapefactor_set(name: str, bins: int) -> ParameterSet:
    """Free parameters, one a bin."""
    return ParameterSet(name, False, [1.0] * bins, [(0.0, 10.0)] * bins, [False] * bins)


def shapesys_set(name: str, nominal: Array, uncertainties: Array) -> ParameterSet:
    """Poisson-constrained parameters; those without events or uncertainty are fixed."""
    valid = (nominal > 0) & (uncertainties > 0)
    factors = np.divide(nominal**2, uncertainties**2, out=np.ones_like(nominal), where=valid)
    auxdata = factors.tolist()
    ones, bounds = [1.0] * len(auxdata), [GAMMA_BOUNDS] * len(auxdata)
    return ParameterSet(name, False, ones, bounds, (~valid).tolist(), POISSON, auxdata, auxdata)


def staterror_set(name: str, relative: Array) -> ParameterSet:
    """Normally constrained parameters around 1; those without uncertainty are fixed."""
    fixed = relative == 0
    n = len(relative)
    sigmas = np.where(fixed, 1.0, relative).tolist()
    return ParameterSet(
        name, False, [1.0] * n, [GAMMA_BOUNDS] * n, fixed.tolist(), NORMAL, [1.0] * n, sigmas
    )


def configured(default: ParameterSet, config: Mapping[str, Any] | None) -> ParameterSet:
    """A parameter set with what the measurement says about it.

    Raises:
        WorkspaceError: the measurement gives the wrong number of values, or something that this
            kind of parameter does not have, or not enough of a luminosity.
    """
    if config is None:
        if default.inits:
            return default
        config = {}
    n = len(default) or 1  # a luminosity
    given = {key: config[key] for key in _CONFIGURABLE if key in config}
    allowed = {"inits", "bounds"}
    if default.constraint is not None:
        allowed |= {"auxdata", "factors" if default.constraint == POISSON else "sigmas"}
    if default.inits and not default.widths:  # the width of a systematic variation is 1
        allowed.discard("sigmas")
    for key, values in given.items():
        if key not in allowed:
            raise WorkspaceError(f"its measurement gives {key} of {default.name!r}, which has none")
        if len(values) != n:
            raise WorkspaceError(
                f"its measurement gives {len(values)} {key} of {default.name!r}, which has {n}"
            )
        numbers(values, f"its measurement's {key} of {default.name!r}")
    missing = [key for key in _REQUIRED if key not in given] if not default.inits else []
    if missing:
        what = ", ".join(missing)
        raise WorkspaceError(f"its measurement has no {what} for {default.name!r}, a luminosity")
    fixed = config.get("fixed", default.fixed)
    complete = ParameterSet(
        name=default.name,
        scalar=default.scalar,
        inits=given.get("inits", default.inits),
        bounds=given.get("bounds", default.bounds),
        fixed=[fixed] * n if isinstance(fixed, bool) else fixed,
        constraint=default.constraint,
        auxdata=given.get("auxdata", default.auxdata),
        widths=given.get("sigmas", given.get("factors", default.widths)),
    )
    if default.constraint == NORMAL and any(sigma <= 0 for sigma in complete.widths):
        raise WorkspaceError(f"its measurement gives {default.name!r} a sigma that is not positive")
    return complete
