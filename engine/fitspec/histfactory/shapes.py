"""Parameters that act a bin: those of shapefactor, shapesys and staterror modifiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fitspec.errors import WorkspaceError
from fitspec.histfactory.parameters import (
    ParameterSet,
    shapefactor_set,
    shapesys_set,
    staterror_set,
)
from fitspec.histfactory.samples import Sample

Carriers = Mapping[str, Sequence[Sample]]
"""The samples that carry a modifier, by channel."""


def shape_set(name: str, kind: str, carriers: Carriers) -> ParameterSet:
    """The parameters behind a name.

    Raises:
        WorkspaceError: its modifiers cannot share parameters.
    """
    if kind == "shapefactor":
        return _shapefactor(name, carriers)
    if kind == "shapesys":
        return _shapesys(name, carriers)
    return _staterror(name, carriers)


def offsets(kind: str, carriers: Carriers) -> dict[str, int]:
    """Which of the parameters belongs to the first bin of each channel."""
    place, found = 0, {}
    for channel, samples in carriers.items():
        found[channel] = place
        if kind == "staterror":  # the others are the same in every channel
            place += len(samples[0].nominal)
    return found


def _shapefactor(name: str, carriers: Carriers) -> ParameterSet:
    bins = [len(samples[0].nominal) for samples in carriers.values()]
    if max(bins) > bins[0]:
        raise WorkspaceError(
            f"shapefactor {name!r} has {bins[0]} bins in channel {next(iter(carriers))!r}, "
            f"but {max(bins)} in another one"
        )
    return shapefactor_set(name, bins[0])


def _shapesys(name: str, carriers: Carriers) -> ParameterSet:
    samples = [sample for members in carriers.values() for sample in members]
    if len(samples) > 1:
        where = " and ".join(repr(sample.name) for sample in samples)
        raise WorkspaceError(f"shapesys {name!r} cannot be shared: it is carried by {where}")
    return shapesys_set(name, samples[0].nominal, samples[0].shapes[name][1])


def _staterror(name: str, carriers: Carriers) -> ParameterSet:
    """Uncertainties of all samples that carry it, relative to their sum."""
    names = {frozenset(sample.name for sample in samples) for samples in carriers.values()}
    if len(names) > 1:
        raise WorkspaceError(f"staterror {name!r} is carried by other samples in other channels")
    relative = []
    for samples in carriers.values():
        total = np.sum([sample.nominal for sample in samples], axis=0)
        square = np.sum([sample.shapes[name][1] ** 2 for sample in samples], axis=0)
        root = np.sqrt(square)
        relative.append(np.divide(root, total, out=np.zeros_like(root), where=total > 0))
    return staterror_set(name, np.concatenate(relative))
