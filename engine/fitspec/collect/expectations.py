"""``[[expect]]`` blocks, inline or as tables, resolved to the points they speak of."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fitspec.collect.cases import substitute
from fitspec.collect.points import Combination, Point
from fitspec.errors import nearest
from fitspec.outcome import KnownBand
from fitspec.results import Label
from fitspec.sources import Row, read_table
from fitspec.sources.pattern import label_value
from fitspec.spec import SpecFile
from fitspec.spec.expect import BANDS, QUANTITIES, Expect
from fitspec.spec.locate import KeyPath

BAND_SUFFIXES = ("m2", "m1", "0", "p1", "p2")
"""Columns of a band in a table: ``CLs_exp_m2`` (-2 sigma) to ``CLs_exp_p2``."""

TOLERANCES = ("rtol", "atol")
ROW_KEYS = ("mu", *TOLERANCES)
"""Keys of a block that a row of its table may have for itself."""

AT_MU = ("CLs_obs", "CLs_exp", "p_b", "excluded")
"""Quantities that belong to a tested POI value."""


@dataclass(frozen=True, eq=False)
class Expectation:
    """An expected value of one quantity of one point (or combination).

    Attributes:
        target: what it speaks of.
        quantity: its name in the specification language.
        value: number, band or boolean.
        mu: the POI value it belongs to, where it belongs to one.
        rtol: relative tolerance.
        atol: absolute tolerance.
        source: where the value comes from.
        xfail: why it is known to differ.
        file: the specification, or table, that it is written in.
        line: 1-based line there.
        block: index of its ``[[expect]]`` block.
    """

    target: Point | Combination
    quantity: str
    value: float | bool | KnownBand
    mu: float | None
    rtol: float
    atol: float
    source: str | None
    xfail: str | None
    file: str
    line: int
    block: int = 0

    @property
    def node_id(self) -> str:
        """``spec::point::quantity``."""
        return f"{self.target.node_id}::{self.quantity}"


def expectations_of(
    spec: SpecFile,
    points: Sequence[Point],
    combinations: Sequence[Combination],
    selected: Container[str] | None = None,
) -> list[Expectation]:
    """All expectations of a specification.

    Args:
        spec: the specification.
        points: all its points, selected or not.
        combinations: all its combinations.
        selected: ids that [patches] select keeps; a table may speak of others, too.

    Raises:
        SpecError: an expectation that speaks of no point, of several, or of a quantity that the
            specification does not ask for.
    """
    targets = _Targets(points, combinations)
    found: list[Expectation] = []
    for index, expect in enumerate(spec.spec.expect):
        key: KeyPath = ("expect", index)
        for block, values in _per_case(spec, expect):
            if block.point is not None:
                target = _inline_target(spec, key, block.point, targets, selected)
                found += _expectations(spec, key, block, target, block.quantities, block.mu)
            else:
                found += _from_table(spec, key, block, targets, values)
    return found


def _inline_target(
    spec: SpecFile, key: KeyPath, name: str, targets: _Targets, selected: Container[str] | None
) -> Point | Combination:
    target = targets.by_id(name)
    if target is None:
        remedy = nearest(name, targets.ids) or "`fitspec collect` lists all"
        raise spec.error((*key, "point"), f"there is no point {name!r}", remedy)
    if selected is not None and name not in selected:
        problem = f"{name!r} is left out by [patches] select"
        raise spec.error((*key, "point"), problem, "select it, or expect nothing of it")
    return target


class _Targets:
    """Points and combinations by id and by labels."""

    def __init__(self, points: Sequence[Point], combinations: Sequence[Combination]) -> None:
        self.all: list[Point | Combination] = [*points, *combinations]
        self.ids = {target.id: target for target in self.all}
        self.labels = list(dict.fromkeys(k for target in self.all for k in target.labels))

    def by_id(self, name: str) -> Point | Combination | None:
        return self.ids.get(name)

    def by_labels(self, labels: Mapping[str, Label]) -> list[Point | Combination]:
        """Targets with these labels; of points and combinations, those with no label more."""
        matching = [
            target
            for target in self.all
            if all(k in target.labels and target.labels[k] == v for k, v in labels.items())
        ]
        exact = [target for target in matching if len(target.labels) == len(labels)]
        return exact or matching


def _per_case(spec: SpecFile, expect: Expect) -> Iterator[tuple[Expect, dict[str, Label]]]:
    """An expectation whose point or table has ``{key}``, once a case; any other as it is."""
    place = expect.point or expect.table or ""
    cases = spec.spec.cases
    keys = [key for key in cases[0] if f"{{{key}}}" in place]
    used = dict.fromkeys(tuple((key, case[key]) for key in keys) for case in cases)
    for pairs in used:
        values = dict(pairs)
        name = "point" if expect.point is not None else "table"
        yield expect.model_copy(update={name: substitute(place, values)}), values


def _expectations(
    spec: SpecFile,
    key: KeyPath,
    expect: Expect,
    target: Point | Combination,
    quantities: Mapping[str, Any],
    mu: float | None,
) -> Iterator[Expectation]:
    if expect.mu is not None and not any(quantity in AT_MU for quantity in quantities):
        raise spec.error((*key, "mu"), f"mu belongs to {', '.join(AT_MU)}", "none is expected")
    for quantity, value in quantities.items():
        _require_asked(spec, (*key, quantity), quantity)
        yield Expectation(
            target,
            quantity,
            value,
            _tested_mu(spec, key, mu) if quantity in AT_MU else None,
            expect.rtol,
            expect.atol,
            expect.source and substitute(expect.source, target.labels),
            expect.xfail and substitute(expect.xfail, target.labels),
            file=spec.name,
            line=spec.line(*key, quantity),
            block=int(key[1]),
        )


def _require_asked(spec: SpecFile, key: KeyPath, quantity: str) -> None:
    asked = spec.spec
    missing = {
        "CLs_obs": not asked.tested,
        "CLs_exp": not asked.tested,
        "p_b": not asked.tested,
        "excluded": not asked.tested,
        "p0": asked.inference.test_statistic != "q0",
        "upper_limit_obs": asked.poi.upper_limit is None,
        "upper_limit_exp": asked.poi.upper_limit is None,
        "upper_limit_xsec_obs": asked.poi.upper_limit is None or asked.cross_section is None,
        "upper_limit_xsec_exp": asked.poi.upper_limit is None or asked.cross_section is None,
    }
    if missing.get(quantity):
        remedy = {
            "p0": 'set inference.test_statistic = "q0"',
            "upper_limit_obs": "set poi.upper_limit",
            "upper_limit_exp": "set poi.upper_limit",
            "upper_limit_xsec_obs": "set poi.upper_limit and [cross_section]",
            "upper_limit_xsec_exp": "set poi.upper_limit and [cross_section]",
        }.get(quantity, "set poi.test")
        if asked.inference.test_statistic == "q0":
            remedy = "q0 gives p0"
        raise spec.error(key, f"{quantity} is expected but not asked for", remedy)


def _tested_mu(spec: SpecFile, key: KeyPath, mu: float | None) -> float:
    tested = spec.spec.tested
    if mu is None and len(tested) == 1:
        return tested[0]
    wanted = 1.0 if mu is None else mu
    found = [value for value in tested if math.isclose(value, wanted, rel_tol=1e-9, abs_tol=1e-12)]
    if not found:
        listed = ", ".join(f"{value:g}" for value in tested[:5])
        raise spec.error((*key, "mu"), f"mu = {wanted:g} is not tested", f"tested are {listed}")
    return found[0]


def _from_table(
    spec: SpecFile, key: KeyPath, expect: Expect, targets: _Targets, values: Mapping[str, Label]
) -> list[Expectation]:
    """Expectations of a table's rows; ``values`` are the labels that its name stands for."""
    key, table = (*key, "table"), expect.table or ""
    with spec.at(*key):
        rows = read_table(spec.beside(table))
    found: dict[tuple[str, str, float | None], Expectation] = {}
    for row in rows:
        labels, quantities, numbers, name = _cells(spec, key, table, row, targets.labels)
        known = {label: label_value(value) for label, value in values.items()}
        target = _row_target(spec, key, f"{table}:{row.line}", targets, known | labels, name)
        mu = numbers.pop("mu", expect.mu)
        judged = expect.model_copy(update=numbers)
        for expectation in _expectations(spec, key[:-1], judged, target, quantities, mu):
            identity = (target.id, expectation.quantity, expectation.mu)
            if identity in found:
                problem = f"{table}:{row.line}: {expectation.node_id} is expected twice"
                raise spec.error(key, problem, "remove one of the rows")
            found[identity] = replace(expectation, file=spec.called(table), line=row.line)
    if not found:
        raise spec.error(key, f"{table} expects nothing", "give it rows, and columns of quantities")
    return list(found.values())


def _row_target(
    spec: SpecFile,
    key: KeyPath,
    where: str,
    targets: _Targets,
    labels: Mapping[str, Label],
    name: str | None,
) -> Point | Combination:
    if name is not None:
        named = targets.by_id(name)
        found = [] if named is None else [named]
    else:
        found = targets.by_labels(labels)
    if not found:
        what = name or ", ".join(f"{k} = {v}" for k, v in labels.items())
        raise spec.error(key, f"{where}: no point has {what}", "correct the row")
    if len(found) > 1:
        missing = ", ".join(sorted(set(found[0].labels) - set(labels)))
        raise spec.error(key, f"{where}: {len(found)} points match", f"add the column {missing}")
    return found[0]


def _cells(
    spec: SpecFile, key: KeyPath, table: str, row: Row, labels: Sequence[str]
) -> tuple[dict[str, Label], dict[str, Any], dict[str, float], str | None]:
    """A row's labels, quantities, POI value and tolerances, and point id."""
    found_labels: dict[str, Label] = {}
    numbers: dict[str, float | bool] = {}
    bands = {f"{band}_{suffix}": band for band in BANDS for suffix in BAND_SUFFIXES}
    scalars = [quantity for quantity in QUANTITIES if quantity not in BANDS]
    for column, cell in row.cells.items():
        if column in labels:
            found_labels[column] = label_value(cell)
        elif column in scalars or column in bands or column in ROW_KEYS:
            numbers[column] = _number(spec, key, f"{table}:{row.line}", column, cell)
        elif column != "point":
            remedy = nearest(column, [*labels, *scalars, *bands, *ROW_KEYS, "point"])
            problem = f"{table}: column {column!r} is neither a label nor a quantity"
            raise spec.error(key, problem, remedy)
    quantities: dict[str, Any] = {name: numbers[name] for name in scalars if name in numbers}
    for band in BANDS:
        values = tuple(numbers.get(f"{band}_{suffix}") for suffix in BAND_SUFFIXES)
        if any(value is not None for value in values):  # papers often give no more than +-1 sigma
            quantities[band] = values
    own = {name: numbers[name] for name in ROW_KEYS if name in numbers}
    return found_labels, quantities, own, row.cells.get("point")


def _number(spec: SpecFile, key: KeyPath, where: str, column: str, cell: str) -> float | bool:
    if column == "excluded" and cell in {"true", "false"}:
        return cell == "true"
    value = label_value(cell)
    if isinstance(value, str) or column == "excluded":
        kind = "true or false" if column == "excluded" else "a number"
        raise spec.error(key, f"{where}: {column} = {cell!r} is not {kind}")
    if column in TOLERANCES and value < 0:
        raise spec.error(key, f"{where}: {column} = {cell} is below 0", "tolerances are not")
    return float(value)
