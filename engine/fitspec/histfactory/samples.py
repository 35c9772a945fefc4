"""One sample of one channel as arrays: what its modifiers do to each of its bins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fitspec.errors import WorkspaceError
from fitspec.histfactory.interpolation import Array, code4_coefficients

ALPHA = "alpha"
PARAMETER_KINDS = {
    "histosys": ALPHA,  # a histosys and a normsys of one name share their parameter
    "normsys": ALPHA,
    "normfactor": "normfactor",
    "lumi": "lumi",
    "shapefactor": "shapefactor",
    "shapesys": "shapesys",
    "staterror": "staterror",
}
"""Kind of parameter by type of modifier; modifiers of one name must be of one kind."""

SCALES = ("normfactor", "lumi")
SHAPES = ("shapefactor", "shapesys", "staterror")
"""Kinds of modifiers that multiply by their parameter: one of all bins, or one a bin."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample with B bins; variations that change nothing are left out.

    Attributes:
        name: of the sample.
        nominal: (B,) expected events of the nominal model.
        kinds: kind of parameter by name, of all modifiers.
        additive: (H,) names of the histosys.
        up, down: (H, B) hi - nominal, and nominal - lo.
        normsys: (N,) names of the normsys.
        log_hi, log_lo: (N,) logarithms of their factors.
        coefficients: (7, N) their code 4 polynomials.
        scales: names of normfactors and luminosities.
        shapes: name to kind and absolute uncertainties (B,) of modifiers with a parameter a bin.
    """

    name: str
    nominal: Array
    kinds: Mapping[str, str]
    additive: Sequence[str]
    up: Array
    down: Array
    normsys: Sequence[str]
    log_hi: Array
    log_lo: Array
    coefficients: Array
    scales: Sequence[str]
    shapes: Mapping[str, tuple[str, Array]]


def compile_sample(sample: Mapping[str, Any], channel: str) -> Sample:
    """Arrays of a sample.

    Args:
        sample: as in the workspace.
        channel: the channel's name, for messages.

    Raises:
        WorkspaceError: naming sample and modifier that make no sense.
    """
    where = f"sample {sample['name']!r} of channel {channel!r}"
    nominal = numbers(sample["data"], where)
    by_type: dict[str, dict[str, Any]] = {kind: {} for kind in PARAMETER_KINDS}
    kinds: dict[str, str] = {}
    for modifier in sample["modifiers"]:
        name, kind = modifier["name"], modifier["type"]
        if kind not in by_type:
            raise WorkspaceError(f"{where} has a modifier {name!r} of unknown type {kind!r}")
        if name in by_type[kind]:
            raise WorkspaceError(f"{where} has two {kind} called {name!r}")
        by_type[kind][name] = modifier["data"]
        if kinds.setdefault(name, PARAMETER_KINDS[kind]) != PARAMETER_KINDS[kind]:
            raise clash(name, kinds[name], PARAMETER_KINDS[kind])
    additive, up, down = _histosys(by_type["histosys"], nominal, where)
    normsys, log_hi, log_lo = _normsys(by_type["normsys"], where)
    return Sample(
        name=sample["name"],
        nominal=nominal,
        kinds=kinds,
        additive=additive,
        up=up,
        down=down,
        normsys=normsys,
        log_hi=log_hi,
        log_lo=log_lo,
        coefficients=code4_coefficients(log_hi, log_lo),
        scales=[name for kind in SCALES for name in by_type[kind]],
        shapes={
            name: (kind, _uncertainties(kind, data, nominal, name, where))
            for kind in SHAPES
            for name, data in by_type[kind].items()
        },
    )


def clash(name: str, one: str, other: str) -> WorkspaceError:
    """The error of a name that stands for two kinds of parameters."""
    return WorkspaceError(
        f"modifiers called {name!r} are of kinds that share no parameter: {one} and {other}"
    )


def numbers(values: Any, where: str) -> Array:
    """Values as an array.

    Raises:
        WorkspaceError: a value is null.
    """
    array = np.array(values, dtype=float)
    if np.isnan(array).any():
        raise WorkspaceError(f"{where} has a null where a number is needed")
    return array


def _histosys(
    modifiers: Mapping[str, Any], nominal: Array, where: str
) -> tuple[list[str], Array, Array]:
    """Names, hi - nominal and nominal - lo of the histosys that change anything."""
    for name, data in modifiers.items():
        _require_bins(len(data["hi_data"]), nominal, name, where)
        _require_bins(len(data["lo_data"]), nominal, name, where)
    shape = (len(modifiers), len(nominal))
    hi = numbers([data["hi_data"] for data in modifiers.values()], where).reshape(shape)
    lo = numbers([data["lo_data"] for data in modifiers.values()], where).reshape(shape)
    up, down = hi - nominal, nominal - lo
    effective = (up != 0).any(axis=1) | (down != 0).any(axis=1)
    names = [name for name, keep in zip(modifiers, effective, strict=True) if keep]
    return names, up[effective], down[effective]


def _normsys(modifiers: Mapping[str, Any], where: str) -> tuple[list[str], Array, Array]:
    """Names and logarithms of the factors of the normsys that change anything."""
    factors = {name: (data["hi"], data["lo"]) for name, data in modifiers.items()}
    for name, pair in factors.items():
        if min(pair) <= 0:
            raise WorkspaceError(
                f"normsys {name!r} of {where} has hi = {pair[0]:g} and lo = {pair[1]:g}; "
                "factors must be positive"
            )
    effective = {name: pair for name, pair in factors.items() if pair != (1, 1)}
    logarithms = np.log(np.array(list(effective.values()), dtype=float).reshape(-1, 2))
    return list(effective), logarithms[:, 0], logarithms[:, 1]


def _uncertainties(kind: str, data: Any, nominal: Array, name: str, where: str) -> Array:
    """Absolute uncertainties, (B,); zeros for a shapefactor, which has none."""
    if kind == "shapefactor":
        return np.zeros_like(nominal)
    _require_bins(len(data), nominal, name, where)
    return numbers(data, where)


def _require_bins(found: int, nominal: Array, name: str, where: str) -> None:
    if found != len(nominal):
        raise WorkspaceError(
            f"modifier {name!r} of {where} has {found} bins, the sample {len(nominal)}"
        )
