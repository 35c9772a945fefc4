"""Signals given as expected events: a table with one row a hypothesis and one column a bin."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from fitspec.errors import SourceError, counted, nearest
from fitspec.results import Label
from fitspec.sources.bins import Bin, BinNames, printable
from fitspec.sources.pattern import label_value
from fitspec.sources.signals import SignalWriter
from fitspec.sources.tables import FullTable
from fitspec.sources.workspace import Background

UNCERTAINTY = ":unc"
"""Ending of the columns of relative uncertainties: ``SR:unc`` is that of ``SR``."""

Json = dict[str, Any]


class Yields:
    """One hypothesis a row; a :class:`~fitspec.sources.patches.PatchSource`.

    A patch is called ``signal`` and its labels' values, joined by ``_``.

    Args:
        background: the workspace, without a signal.
        poi: name of the POI.
        table: labels, and events at POI 1 by bin, with their relative uncertainties.
        labels: names of the label columns; all others are bins or uncertainties.
        modifiers: of all samples, beside the POI.

    Raises:
        SourceError: a column that is nothing of all this, a cell that is no such number, two rows
            with the same labels; a workspace with a signal.
    """

    def __init__(
        self,
        background: Background,
        poi: str,
        table: FullTable,
        labels: Sequence[str] = (),
        modifiers: Sequence[Json] = (),
    ) -> None:
        self._writer = SignalWriter(background, poi, modifiers)
        self._columns = _Columns(table, labels, self._writer.bins)
        self.labels: dict[str, dict[str, Label]] = {}
        self._signals: dict[str, tuple[dict[Bin, float], dict[Bin, float]]] = {}
        places: dict[str, str] = {}
        for where, cells in table.rows:
            values = _label_values(where, cells, labels)
            name = "_".join(["signal", *map(_text, values.values())])
            if name in places:
                problem = f"{where}: {name!r} is the signal of {places[name]}, too"
                raise SourceError(problem, "labels tell signals apart; patches.labels lists them")
            places[name] = where
            self.labels[name] = values
            self._signals[name] = self._columns.numbers(where, cells)
        self._workspace = background.name

    @property
    def gaps(self) -> str | None:
        """Which channels and bins the signals leave out, in one line; None if it is none."""
        bins, given = self._writer.bins, self._columns.given
        empty = [i for i in range(len(bins.channels)) if all(here.channel != i for here in given)]
        single = [h for h in bins.observed if h not in given and h.channel not in empty]
        if not empty and not single:
            return None
        names = [printable(bins.channels[i]) for i in empty]
        names += [printable(bins.name(here)) for here in single]
        what = [f"{len(empty)} of {counted(len(bins.channels), 'channel')}"] * bool(empty)
        what += [counted(len(single), "more bin" if empty else "bin")] * bool(single)
        return f"{self._workspace}: no signal in {' and '.join(what)}: {', '.join(names)}"

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        """JSON of the patches' operations by name."""
        return {name: orjson.dumps(self._writer.operations(*self._signals[name])) for name in names}


class _Columns:
    """What each column of a table is: a label, a bin, or the uncertainty of a bin."""

    def __init__(self, table: FullTable, labels: Sequence[str], bins: BinNames) -> None:
        self._bins = bins
        self._labels = labels
        self._where = table.where
        self.given: dict[Bin, str] = {}
        self._uncertain: dict[Bin, str] = {}
        for label in labels:
            if label not in table.columns:
                remedy = nearest(label, table.columns) or "patches.labels lists label columns"
                raise SourceError(f"{table.where}: there is no column {label!r}", remedy)
            if label in bins:
                raise SourceError(f"{table.where}: {label!r} is a channel, too", "rename the label")
        others = [column for column in table.columns if column not in labels]
        for column in others:
            self._sort(column)
        if not self.given:
            raise SourceError(f"{table.where}: no column gives signal events", self._remedy(""))
        for here, column in self._uncertain.items():
            if here not in self.given:
                problem = f"{table.where}: {column!r} is the uncertainty of a column that is absent"
                raise SourceError(problem, f"add {column.removesuffix(UNCERTAINTY)!r}")

    def numbers(
        self, where: str, cells: Mapping[str, Label]
    ) -> tuple[dict[Bin, float], dict[Bin, float]]:
        """Events and relative uncertainties of a row."""
        events = {here: _number(where, column, cells) for here, column in self.given.items()}
        relative = {here: _number(where, column, cells) for here, column in self._uncertain.items()}
        for here, value in relative.items():
            if value > 1:
                problem = f"{where}: {self._uncertain[here]!r} = {value:g} is more than 100%"
                raise SourceError(problem, "uncertainties are relative: 0.1 is 10%")
        return events, relative

    def _sort(self, column: str) -> None:
        base = column.removesuffix(UNCERTAINTY)
        is_bin, is_uncertainty = column in self._bins, base != column and base in self._bins
        if is_bin and is_uncertainty:
            problem = f"{self._where}: {column!r} is a channel, and the uncertainty of {base!r}"
            raise SourceError(problem, f"write '{column}[0]' or '{base}[0]{UNCERTAINTY}'")
        kind = self._uncertain if is_uncertainty else self.given
        try:
            here = self._bins.find(base if is_uncertainty else column)
        except SourceError as error:
            raise self._unknown(column, error) from error
        if here in kind:
            problem = f"{self._where}: {kind[here]!r} and {column!r} are the same"
            raise SourceError(problem, "remove one of them")
        kind[here] = column

    def _unknown(self, column: str, reason: SourceError) -> SourceError:
        base = column.removesuffix(UNCERTAINTY)
        if base in self._bins.channels or column in self._bins:  # a channel of several bins
            return SourceError(f"{self._where}: {column!r}: {reason.problem}", reason.remedy)
        problem = f"{self._where}: column {column!r} is neither a bin of the workspace nor a label"
        return SourceError(problem, self._remedy(column))

    def _remedy(self, column: str) -> str:
        names = [*self._bins.all, *self._labels]
        names += [f"{name}{UNCERTAINTY}" for name in self._bins.all]
        listed = f"{self._bins.listed}; patches.labels lists the labels"
        return nearest(column, names) or listed


def _label_values(
    where: str, cells: Mapping[str, Label], labels: Sequence[str]
) -> dict[str, Label]:
    values = {label: label_value(cells[label]) for label in labels}
    for label, value in values.items():
        if isinstance(value, str) and not value.isprintable():
            raise SourceError(f"{where}: {label} = {value!r} is not printable", "write plain text")
    return values


def _text(value: Label) -> str:
    """``900`` whether it was written 900 or 900.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _number(where: str, column: str, cells: Mapping[str, Label]) -> float:
    cell = label_value(cells[column])
    try:
        value = math.nan if isinstance(cell, str) else float(cell)
    except OverflowError:  # an integer of hundreds of digits
        value = math.nan
    if not math.isfinite(value):
        raise SourceError(f"{where}: {column!r} = {cell!r} is no number", "write a finite one")
    if value < 0:
        raise SourceError(f"{where}: {column!r} = {value:g} is negative", "write 0 or more")
    return value
