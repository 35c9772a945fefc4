"""Workspace to arrays: the compiler of HistFactory models.

Samples are compiled one by one and remembered: a patch shares all but its signal with the
background, so what it costs is its own samples and the putting together.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fitspec.errors import WorkspaceError
from fitspec.histfactory.interpolation import POWERS, Array
from fitspec.histfactory.parameters import (
    Parameters,
    ParameterSet,
    configured,
    scalar_set,
)
from fitspec.histfactory.samples import ALPHA, SHAPES, Sample, clash, compile_sample, numbers
from fitspec.histfactory.shapes import offsets, shape_set

Index = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Model:
    """A HistFactory model with P parameters, B bins, C cells and K samples.

    A cell is one bin of one sample; cells are ordered by bin. Parameters are ordered by what they
    do, so that each kind of effect is a contiguous range of rows.

    Attributes:
        parameters: of the model.
        poi: index of the POI; None for a background without one.
        observed: (B,) observed events.
        bins: (B,) channel and index within it, for messages.
        nominal: (C,) expected events of the nominal model.
        first_cell: (B,) index of each bin's first cell.
        cells: (B,) number of cells of each bin.
        samples: (K,) channel and name of the samples.
        sample: (C,) index of each cell's sample.
        additive: rows of the H parameters with histosys.
        up, down: (H, C) hi - nominal and nominal - lo.
        factors: rows of the parameters that multiply: first normsys, then scales.
        normsys: rows of the N parameters with normsys.
        log_hi, log_lo: (N, K) logarithms of their factors.
        coefficients: (N, 7, K) polynomials of code 4.
        scales: rows of the Z parameters that are factors themselves.
        scaled: (Z, C) whether a cell has that factor.
    """

    parameters: Parameters
    poi: int | None
    observed: Array
    bins: Sequence[tuple[str, int]]
    nominal: Array
    first_cell: Index
    cells: Index
    samples: Sequence[tuple[str, str]]
    sample: Index
    additive: slice
    up: Array
    down: Array
    factors: slice
    normsys: slice
    log_hi: Array
    log_lo: Array
    coefficients: Array
    scales: slice
    scaled: npt.NDArray[np.bool_]


class Compiler:
    """Compiles a workspace and its patched versions, each sample once.

    Args:
        background: parsed workspace; it must not change as long as the compiler lives.
    """

    def __init__(self, background: Mapping[str, Any]) -> None:
        self._background = background  # keeps the samples alive, and so their ids unique
        self._samples: dict[int, Sample] = {}
        with _workspace_errors():
            for channel in background["channels"]:
                for sample in channel["samples"]:
                    self._samples[id(sample)] = compile_sample(sample, channel["name"])

    def compile(
        self,
        workspace: Mapping[str, Any],
        measurement: str,
        poi: str | None = None,
        *,
        needs_poi: bool = True,
    ) -> Model:
        """The model of a (patched) workspace.

        Args:
            workspace: a sound workspace; what it shares with the background is not compiled again.
            measurement: name of the measurement.
            poi: name of the POI; None for the measurement's.
            needs_poi: some sample must carry the POI.

        Raises:
            WorkspaceError: naming the modifier, sample or parameter that makes no sense.
        """
        with _workspace_errors():
            configs = {m["name"]: m["config"] for m in workspace["measurements"]}
            if measurement not in configs:
                raise WorkspaceError(f"it has no measurement {measurement!r}")
            config = configs[measurement]
            layout = self._layout(workspace)
            return layout.model(config if poi is None else {**config, "poi": poi}, needs_poi)

    def _layout(self, workspace: Mapping[str, Any]) -> _Layout:
        observed = {o["name"]: o["data"] for o in workspace["observations"]}
        channels = sorted(workspace["channels"], key=lambda channel: str(channel["name"]))
        layout = _Layout()
        for channel in channels:
            samples = [
                self._samples.get(id(sample)) or compile_sample(sample, channel["name"])
                for sample in channel["samples"]
            ]
            layout.add(channel["name"], samples, observed[channel["name"]])
        return layout


class _Layout:
    """Samples in their places, and which parameters they need."""

    def __init__(self) -> None:
        self._samples: list[tuple[str, Sample, int]] = []  # channel, sample, its first bin
        self._observed: list[float] = []
        self._bins: list[tuple[str, int]] = []
        self._kinds: dict[str, str] = {}
        self._carriers: dict[str, dict[str, list[Sample]]] = {}  # of shapes, by channel

    def add(self, channel: str, samples: Sequence[Sample], observed: Sequence[float]) -> None:
        """The next channel."""
        if not samples:
            raise WorkspaceError(f"channel {channel!r} has no samples")
        start = len(self._observed)
        for sample in samples:
            self._samples.append((channel, sample, start))
            if not sample.kinds.items() <= self._kinds.items():
                self._note_kinds(sample)
            for name in sample.shapes:
                self._carriers.setdefault(name, {}).setdefault(channel, []).append(sample)
        self._observed.extend(observed)
        self._bins.extend((channel, i) for i in range(len(observed)))

    def _note_kinds(self, sample: Sample) -> None:
        for name, kind in sample.kinds.items():
            if self._kinds.setdefault(name, kind) != kind:
                raise clash(name, self._kinds[name], kind)

    def model(self, config: Mapping[str, Any], needs_poi: bool) -> Model:
        """Everything in its place."""
        sets = self._parameter_sets(config["parameters"])
        order, ranges = self._order(sets)
        row, rows = 0, {}
        for name in order:
            rows[name] = row
            row += len(sets[name])
        poi = None
        if needs_poi or config["poi"] in sets:
            poi = _poi_row(config["poi"], sets, rows)
        arrays = self._arrays(rows, ranges)
        return Model(
            parameters=Parameters.of([sets[name] for name in order]),
            poi=poi,
            observed=numbers(self._observed, "an observation"),
            bins=self._bins,
            additive=ranges["additive"],
            normsys=ranges["normsys"],
            scales=ranges["scales"],
            factors=ranges["factors"],
            **arrays,
        )

    def _parameter_sets(self, configs: Sequence[Mapping[str, Any]]) -> dict[str, ParameterSet]:
        by_name = {config["name"]: config for config in configs}
        if len(by_name) < len(configs):
            raise WorkspaceError("its measurement configures a parameter twice")
        return {
            name: configured(
                shape_set(name, kind, self._carriers[name])
                if kind in SHAPES
                else scalar_set(name, kind),
                by_name.get(name),
            )
            for name, kind in self._kinds.items()
        }

    def _order(self, sets: Mapping[str, ParameterSet]) -> tuple[list[str], dict[str, slice]]:
        """Names such that additive, normsys and scale parameters are contiguous ranges."""
        additive = {name for _, sample, _ in self._samples for name in sample.additive}
        normsys = {name for _, sample, _ in self._samples for name in sample.normsys}
        both, either = additive & normsys, additive | normsys
        names = list(self._kinds)
        scales = [n for n in names if self._kinds[n] != ALPHA]
        groups = [
            [n for n in names if n in additive and n not in both],
            [n for n in names if n in both],
            [n for n in names if n in normsys and n not in both],
            scales,
            [n for n in names if self._kinds[n] == ALPHA and n not in either],
        ]
        ends = np.cumsum([sum(len(sets[n]) for n in group) for group in groups]).tolist()
        ranges = {
            "additive": slice(0, ends[1]),
            "normsys": slice(ends[0], ends[2]),
            "scales": slice(ends[2], ends[3]),
            "factors": slice(ends[0], ends[3]),
        }
        return [name for group in groups for name in group], ranges

    def _arrays(self, rows: Mapping[str, int], ranges: Mapping[str, slice]) -> dict[str, Any]:
        """Arrays of cells: filled sample by sample, then put into the order of bins."""
        cells = sum(len(sample.nominal) for _, sample, _ in self._samples)
        count = {name: r.stop - r.start for name, r in ranges.items()}
        up, down = np.zeros((2, count["additive"], cells))
        scaled = np.zeros((count["scales"], cells), dtype=bool)
        nominal, bins = np.empty(cells), np.empty(cells, dtype=np.intp)
        offset = {
            name: offsets(self._kinds[name], carriers) for name, carriers in self._carriers.items()
        }
        place = 0
        for channel, sample, start in self._samples:
            here = slice(place, place + len(sample.nominal))
            place = here.stop
            nominal[here] = sample.nominal
            bins[here] = np.arange(start, start + len(sample.nominal))
            if sample.additive:
                at = [rows[name] for name in sample.additive]
                up[at, here], down[at, here] = sample.up, sample.down
            for name in sample.scales:
                scaled[rows[name] - ranges["scales"].start, here] = True
            for name in sample.shapes:
                row = rows[name] - ranges["scales"].start + offset[name][channel]
                diagonal = np.arange(len(sample.nominal))
                scaled[row + diagonal, here.start + diagonal] = True
        order = np.argsort(bins, kind="stable")
        sample_of = np.repeat(
            np.arange(len(self._samples)), [len(s.nominal) for _, s, _ in self._samples]
        )
        return {
            "nominal": nominal[order],
            "first_cell": np.searchsorted(bins[order], np.arange(len(self._observed))),
            "cells": np.bincount(bins, minlength=len(self._observed)),
            "samples": [(channel, sample.name) for channel, sample, _ in self._samples],
            "sample": sample_of[order],
            "up": up[:, order],
            "down": down[:, order],
            "scaled": scaled[:, order],
            **self._normsys(rows, ranges["normsys"]),
        }

    def _normsys(self, rows: Mapping[str, int], range_: slice) -> dict[str, Array]:
        """Arrays of normsys and samples: filled all at once, as there are many of them."""
        samples = [sample for _, sample, _ in self._samples]
        shape = range_.stop - range_.start, len(samples)
        log_hi, log_lo = np.zeros((2, *shape))
        coefficients = np.zeros((shape[0], POWERS, shape[1]))
        coefficients[:, 0] = 1
        names = [name for sample in samples for name in sample.normsys]
        row = np.array([rows[name] for name in names], dtype=np.intp) - range_.start
        k = np.arange(len(samples)).repeat([len(sample.normsys) for sample in samples])
        log_hi[row, k] = np.concatenate([sample.log_hi for sample in samples])
        log_lo[row, k] = np.concatenate([sample.log_lo for sample in samples])
        coefficients[row, :, k] = np.hstack([sample.coefficients for sample in samples]).T
        return {"log_hi": log_hi, "log_lo": log_lo, "coefficients": coefficients}


@contextlib.contextmanager
def _workspace_errors() -> Iterator[None]:
    """What goes wrong with a workspace that is none is its own fault."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise WorkspaceError(f"it is no HistFactory workspace: {error!r}") from error


def _poi_row(poi: str, sets: Mapping[str, ParameterSet], rows: Mapping[str, int]) -> int:
    if poi not in sets:
        raise WorkspaceError(f"no sample carries the POI {poi!r}")
    if len(sets[poi]) > 1:
        raise WorkspaceError(f"its POI {poi!r} stands for {len(sets[poi])} parameters, one a bin")
    return rows[poi]
