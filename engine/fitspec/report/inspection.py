"""An inspection on the terminal, and as JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence

import orjson
from rich.console import Console
from rich.table import Table

from fitspec.errors import counted
from fitspec.inspection import Changes, Extreme, Finding, Inspection, Parameter, Sample, Summary
from fitspec.report.tables import add_row, plain_table, print_line, print_table

FINDINGS_SHOWN = 5
"""More findings of one kind than this are counted, unless with -v."""

HUGE = 9.0
"""A larger increase reads better as a factor than in percent."""

_Writer = Callable[[Sequence[float]], str]

STYLES = {"error": "red", "warning": "yellow", "note": ""}


def show_inspection(console: Console, found: Inspection, *, everything: bool = False) -> None:
    """Write an inspection.

    Args:
        console: where to.
        found: what to write.
        everything: all samples, parameters and findings, also where there are many.
    """
    for line in _header(found):
        print_line(console, line)
    tables = [_channels(found.summary)]
    if found.changes is None or everything:
        tables += [_samples(found.summary)]
    tables += [_modifiers(found.summary), _parameters(found.summary, everything)]
    if found.changes is not None:
        tables += list(_changes(found.changes))
    for table in tables:
        if table.row_count:
            print_line(console, "")
            print_table(console, table)
    if found.changes is not None:
        _names(console, found.changes)
    _findings(console, found.findings, everything)


def inspections_json(found: Sequence[Inspection]) -> bytes:
    """Inspections as an indented JSON list with a final newline."""
    content = [
        dataclasses.asdict(inspection) | {"labels": dict(inspection.labels)} for inspection in found
    ]
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _header(found: Inspection) -> Iterator[str]:
    summary = found.summary
    yield f"{found.workspace}  {found.digest}"
    if found.patch is not None:
        labels = ", ".join(f"{name} = {value}" for name, value in found.labels.items())
        yield f"with patch {found.patch}{f' ({labels})' if labels else ''}"
    others = [
        f"{name!r} (POI {poi!r})"
        for name, poi in summary.measurements.items()
        if name != summary.measurement
    ]
    also = f"; others: {', '.join(others)}" if others else ""
    yield f"measurement {summary.measurement!r}, POI {summary.poi!r}{also}"
    samples = [sample for channel in summary.channels for sample in channel.samples]
    bins = sum(len(channel.nominal) for channel in summary.channels)
    modifiers = sum(modifiers.number for modifiers in summary.modifiers)
    yield (
        f"{counted(len(summary.channels), 'channel')}, {counted(bins, 'bin')}, "
        f"{counted(len(samples), 'sample')}, {counted(modifiers, 'modifier')}"
    )
    if summary.parameters is not None:
        roles = [parameter.role for parameter in summary.parameters]
        each = (f"{roles.count(role)} {role}" for role in ("free", "constrained", "fixed"))
        yield f"{counted(len(roles), 'parameter')}: {', '.join(each)}"


def _channels(summary: Summary) -> Table:
    """With the expectation at the starting values only where that is another one."""
    shifted = any(
        channel.expected is not None
        and not math.isclose(sum(channel.expected), sum(channel.nominal), rel_tol=1e-6)
        for channel in summary.channels
    )
    signals = any(sample.signal for channel in summary.channels for sample in channel.samples)
    columns = ["channel", "bins", "samples", "observed", "nominal"]
    columns += ["of it signal"] * signals + ["at starting values"] * shifted
    table = plain_table(*columns)
    for channel in summary.channels:
        row = [channel.name, str(len(channel.nominal)), str(len(channel.samples))]
        row += [_sum(channel.observed), _sum(channel.nominal)]
        row += [_number(channel.signal)] * signals
        row += [_sum(channel.expected)] * shifted
        add_row(table, *row)
    return table


def _samples(summary: Summary) -> Table:
    table = plain_table("channel", "sample", "events", "modifiers", "largest up", "down", text=2)
    for column in table.columns[3:]:
        column.justify = "left"
    for channel in summary.channels:
        for index, sample in enumerate(channel.samples):
            name = channel.name if index == 0 else ""
            types = ", ".join(f"{number} {kind}" for kind, number in sample.modifiers.items())
            up, down = map(_extreme, sample.largest)
            add_row(table, name, _title(sample), _number(sample.events), types, up, down)
    return table


def _title(sample: Sample) -> str:
    return f"{sample.name} (signal)" if sample.signal else sample.name


def _modifiers(summary: Summary) -> Table:
    table = plain_table("modifiers", "number", "names", "largest up", "down")
    for column in table.columns[3:]:
        column.justify = "left"
    for modifiers in summary.modifiers:
        row = [modifiers.type, str(modifiers.number), str(modifiers.names)]
        add_row(table, *row, *(_extreme(extreme, place=True) for extreme in modifiers.largest))
    return table


def _parameters(summary: Summary, everything: bool) -> Table:
    """Those that say something of this workspace: free, fixed, or set by the measurement."""
    known = summary.parameters or ()
    shown = [p for p in known if everything or p.configured or p.role != "constrained"]
    title = f"parameter ({len(shown)} of {len(known)})" if len(shown) < len(known) else "parameter"
    table = plain_table(title, "modifier", "", "start", "bounds", "constraint", text=3)
    for p in shown:
        bounds = f"[{p.low:g}, {p.high:g}]"
        types = ", ".join(p.types)
        add_row(table, p.name, types, p.role, f"{p.init:g}", bounds, _constraint(p))
    return table


def _constraint(parameter: Parameter) -> str:
    if parameter.constraint is None or parameter.width is None:
        return ""
    return f"{parameter.constraint}, {parameter.width:.3g}"


def _changes(changes: Changes) -> Iterator[Table]:
    samples = plain_table("the patch", "sample", "in channel", "events", "by bin", text=3)
    samples.add_column("modifiers", no_wrap=True)
    for channel in changes.channels:
        add_row(samples, _verb(channel.kind), "", channel.name, _number(channel.events), "", "")
    for sample in changes.samples:
        events = _before_and_after(sample.before, sample.after, _sum)
        bins = _before_and_after(sample.before, sample.after, _bins)
        edits = [
            f"{len(names)} {what}"
            for what, names in (
                ("added", sample.added),
                ("removed", sample.removed),
                ("changed", sample.changed),
            )
            if names
        ]
        row = [_verb(sample.kind), sample.name, sample.channel, events, bins, ", ".join(edits)]
        add_row(samples, *row)
    yield samples
    data = plain_table("observed data", "events", "by bin")
    for change in changes.data:
        events = _before_and_after(change.before, change.after, _sum)
        add_row(data, change.channel, events, _before_and_after(change.before, change.after, _bins))
    yield data
    settings = plain_table("measurement", "parameter", "before", "after", text=4)
    for setting in changes.settings:
        before, after = (
            "" if value is None else orjson.dumps(value).decode()
            for value in (setting.before, setting.after)
        )
        add_row(settings, setting.measurement, setting.parameter, before, after)
    yield settings


def _names(console: Console, changes: Changes) -> None:
    for what, names in (("brings", changes.new), ("takes away", changes.lost)):
        if names:
            count = counted(len(names), "modifier name")
            print_line(console, f"\nthe patch {what} {count}: {', '.join(names)}")


def _findings(console: Console, findings: Sequence[Finding], everything: bool) -> None:
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.level, finding.kind), []).append(finding)
    if groups:
        print_line(console, "")
    for (level, kind), group in groups.items():
        shown = group if everything else group[:FINDINGS_SHOWN]
        for finding in shown:
            print_line(console, f"{level}: {finding.text}", STYLES[level])
        if len(group) > len(shown):
            more = f"{len(group) - len(shown)} more of kind {kind}; -v shows all"
            print_line(console, f"{level}: ... and {more}", STYLES[level])


def _verb(kind: str) -> str:
    return {"added": "adds", "removed": "removes", "changed": "changes"}[kind]


def _before_and_after(
    before: tuple[float, ...] | None, after: tuple[float, ...] | None, write: _Writer
) -> str:
    parts = [write(values) for values in (before, after) if values is not None]
    return " -> ".join(dict.fromkeys(parts))


def _bins(values: Sequence[float]) -> str:
    return ", ".join(map(_number, values)) if len(values) > 1 else ""


def _sum(values: Sequence[float] | None) -> str:
    return "" if not values else _number(math.fsum(values))


def _extreme(extreme: Extreme | None, *, place: bool = False) -> str:
    if extreme is None:
        return ""
    effect = extreme.effect
    where = f" ({effect.sample} in {effect.channel})" if place else ""
    change = f"{100 * extreme.change:+.3g}%"
    if extreme.change > HUGE:
        change = f"x {1 + extreme.change:.3g}"
    return f"{change} {effect.name}{where}"


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
