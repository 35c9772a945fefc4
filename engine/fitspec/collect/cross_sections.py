"""The theory cross-section of every point, from the table of ``[cross_section]``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fitspec.collect.cases import filled
from fitspec.collect.points import Point
from fitspec.errors import SpecError, nearest
from fitspec.sources import CrossSections, read_cross_sections
from fitspec.spec import SpecFile
from fitspec.spec.models import CrossSection

_TABLE, _ON = ("cross_section", "table"), ("cross_section", "on")


def with_cross_sections(spec: SpecFile, points: Sequence[Point]) -> list[Point]:
    """The points with their cross-sections; as they are without ``[cross_section]``.

    Raises:
        SpecError: a table that is none, or a point whose label is missing, no number, or outside
            the table.
    """
    asked = spec.spec.cross_section
    if asked is None:
        return list(points)
    tables: dict[str, CrossSections] = {}
    found = []
    for point in points:
        label = _label(spec, point, asked.on)
        name = str(filled(spec, point.case.values, *_TABLE, asked.table))
        if name not in tables:
            with spec.at(*_TABLE):
                tables[name] = read_cross_sections(spec.beside(name), asked.on)
        xsec_pb = tables[name].at(label)
        if xsec_pb is None:
            raise _outside(spec, point, tables[name], asked)
        found.append(replace(point, xsec_pb=xsec_pb))
    return found


def _label(spec: SpecFile, point: Point, name: str) -> float:
    if name not in point.labels:
        remedy = nearest(name, point.labels) or f"labels are {', '.join(point.labels) or 'none'}"
        raise spec.error(_ON, f"no point has the label {name!r}", remedy)
    value = point.labels[name]
    if isinstance(value, str):
        numbers = [k for k, v in point.labels.items() if not isinstance(v, str)]
        remedy = nearest(name, numbers) or f"labels with numbers are {', '.join(numbers) or 'none'}"
        raise spec.error(_ON, f"{point.id}: {name} = {value!r} is no number", remedy)
    return value


def _outside(spec: SpecFile, point: Point, table: CrossSections, asked: CrossSection) -> SpecError:
    low, high = table.labels[0], table.labels[-1]
    problem = (
        f"{point.id}: {asked.on} = {point.labels[asked.on]} is outside {table.name}, "
        f"which goes from {low:g} to {high:g}"
    )
    return spec.error(_TABLE, problem, "extend the table, or leave the point out by patches.select")
