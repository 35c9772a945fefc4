"""Upper limits in a table: on the POI, and in pb where there is a cross-section."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from fitspec.outcome import Band
from fitspec.results import PointResult


def limits_table(points: Sequence[PointResult], *, full_names: bool) -> Table:
    """A row for every point with limits.

    Args:
        points: of a run.
        full_names: with the specification's name.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("point  (upper limit)", no_wrap=True)
    with_xsec = any(point.upper_limit_xsec_obs is not None for point in points)
    units = ("mu", "pb") if with_xsec else ("mu",)
    for unit in units:
        for column in (f"{unit} obs", "exp [-1, +1 sigma]"):
            table.add_column(column, justify="right", no_wrap=True)
    for point in points:
        found = point.outcome
        if found.upper_limit_obs is not None:
            row = [point.node_id if full_names else point.id]
            row += _pair(found.upper_limit_obs, found.upper_limit_exp)
            row += _pair(point.upper_limit_xsec_obs, point.upper_limit_xsec_exp)
            table.add_row(*map(Text, row[: len(table.columns)]))
    return table


def _pair(observed: float | None, expected: Band | None) -> list[str]:
    if observed is None or expected is None:
        return ["", ""]
    low, median, high = expected[1:4]
    return [f"{observed:.4g}", f"{median:.4g} [{low:.4g}, {high:.4g}]"]
