"""A check that does not hold, in a table."""

from __future__ import annotations

from rich.table import Table

from fitspec.inference.asymptotics import SIGMAS
from fitspec.results import CheckResult, as_band


def comparison(check: CheckResult) -> Table:
    """Expected and actual value of a check; a band has a row for each sigma."""
    table = Table(box=None, pad_edge=False, header_style="")
    for column in ("", "expected", "actual", "rel. diff.", "allowed"):
        table.add_column(column, justify="right", no_wrap=True)
    if isinstance(check.expected, bool) or check.expected is None or check.actual is None:
        table.add_row("", str(check.expected), str(check.actual))
        return table
    expected, actual = as_band(check.expected), as_band(check.actual)
    names = [f"{sigma:+d} sigma" for sigma in SIGMAS] if len(expected) > 1 else [""]
    allowed = f"{check.rtol:g}" + (f" + {check.atol:g} abs." if check.atol else "")
    for name, wanted, found in zip(names, expected, actual, strict=True):
        if wanted is None or found is None:
            continue  # the source does not tell
        difference = f"{abs(found - wanted) / abs(wanted):.2g}" if wanted else ""
        table.add_row(f"  {name}", f"{wanted:.7g}", f"{found:.7g}", difference, allowed)
    return table
