"""Best fits on the terminal: the POI, the parameters that matter most, and yields."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.table import Table

from fitspec.bestfit import BestFit, FittedParameter, Impact
from fitspec.report.tables import add_row, plain_table
from fitspec.results import PointResult

DETAILED = 3
"""More fits than this are a line each, unless with -v."""

TOP = 5
"""Parameters shown of each fit, unless with -v."""


def fit_tables(points: Sequence[PointResult], verbosity: int) -> Iterator[Table]:
    """Of all points with a best fit: one table of POIs, then what is most worth knowing of each.

    Args:
        points: with and without fits.
        verbosity: 1 shows all parameters, and yields.
    """
    fits = [(point.id, fit) for point in points if (fit := point.outcome.fit) is not None]
    yield _signals(fits)
    if len(fits) <= DETAILED or verbosity > 0:
        for name, fit in fits:
            yield _parameters(name, fit, None if verbosity > 0 else TOP)
            if verbosity > 0:
                yield _yields(name, fit)


def brief(fit: BestFit) -> str:
    """A fit in a few words."""
    if fit.signal is None:
        return f"-2 ln L {fit.twice_nll:.3f}"
    kept = " (fixed)" if fit.mu is not None else ""
    return f"{fit.poi} {_measured(fit.signal)}{kept}"


def _signals(fits: Sequence[tuple[str, BestFit]]) -> Table:
    table = plain_table("best fit", "POI", "value", "-2 ln L", "at bounds")
    for name, fit in fits:
        value = "" if fit.signal is None else _measured(fit.signal)
        if fit.mu is not None:
            value = f"{fit.mu:g} (fixed)"
        held = sum(parameter.at_bound for parameter in fit.parameters)
        add_row(table, name, fit.poi or "none", value, f"{fit.twice_nll:.3f}", str(held))
    return table


def _parameters(name: str, fit: BestFit, top: int | None) -> Table:
    """Constrained parameters by impact, or by pull where no impacts were asked for."""
    impacts = {impact.parameter: impact for impact in fit.impacts or ()}
    known = [p for p in fit.parameters if p.pull is not None]
    if fit.impacts:
        known = [p for p in known if p.name in impacts]
        known.sort(key=lambda p: -impacts[p.name].size)
    else:
        known.sort(key=lambda p: -abs(p.pull or 0.0))
    shown = known[:top]
    of = f" ({len(shown)} of {len(known)})" if len(shown) < len(known) else ""
    columns = ("value", "pull", "constraint")
    table = plain_table(
        f"{name}{of}", *columns, *((f"impact on {fit.poi}",) if fit.impacts else ())
    )
    for p in shown:
        impact = (_impact(impacts[p.name]),) if fit.impacts else ()
        constraint = "" if p.constraint is None else f"{p.constraint:.2f}"
        add_row(table, p.name, _measured(p), f"{p.pull:+.2f}", constraint, *impact)
    return table


def _yields(name: str, fit: BestFit) -> Table:
    table = plain_table(name, "bin", "observed", "expected")
    for row in fit.yields or ():
        if row.sample is None and row.bin is not None and row.observed is not None:
            expected = _with_error(row.expected, row.uncertainty)
            add_row(table, row.channel, str(row.bin), f"{row.observed:g}", expected)
    return table


def _measured(parameter: FittedParameter) -> str:
    where = " (at bound)" if parameter.at_bound else ""
    return f"{_with_error(parameter.value, parameter.uncertainty)}{where}"


def _with_error(value: float, uncertainty: float | None) -> str:
    """To two significant digits of the uncertainty."""
    if not uncertainty:
        return _number(value)
    digits = max(0, 1 - math.floor(math.log10(uncertainty)))
    return f"{value:.{digits}f} +- {uncertainty:.{digits}f}"


def _impact(impact: Impact) -> str:
    sides = (impact.up, impact.down)
    return ", ".join("-" if side is None else f"{side:+.3g}" for side in sides)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
