"""``fitspec compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fitspec.commands.options import Keywords, require_writable, results_in
from fitspec.errors import ExitCode, NothingCollectedError


def compare(
    old: Annotated[
        Path, typer.Argument(metavar="OLD.json", help="results.json of a run, or a bundle.")
    ],
    new: Annotated[Path, typer.Argument(metavar="NEW.json", help="That of a later one.")],
    keywords: Keywords = "",
    rtol: Annotated[
        float, typer.Option("--rtol", min=0, help="Relative change that does not count.")
    ] = 1e-3,
    atol: Annotated[
        float, typer.Option("--atol", min=0, help="Change of CLs or mu that does not count.")
    ] = 1e-5,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all of it here.")
    ] = None,
    verbose: Annotated[bool, typer.Option("-v", help="Every number that moved.")] = False,
) -> int:
    """Say what moved from one run to another, by how much, and what differed."""
    from rich.console import Console

    from fitspec.collect.keywords import compile_keywords
    from fitspec.drift import Tolerance
    from fitspec.drift import compare as compare_reports
    from fitspec.files import write_file
    from fitspec.report.drift import drift_json, print_drift
    from fitspec.report.read_json import read_report

    if json is not None:
        require_writable("--json", json)
    tolerance = Tolerance(rtol, atol)
    drift = compare_reports(
        read_report(results_in(old)),
        read_report(results_in(new)),
        tolerance,
        compile_keywords(keywords),
    )
    if keywords and not (drift.points or drift.changes):
        raise NothingCollectedError(f"-k {keywords!r} selects no point of both runs", "change it")
    print_drift(Console(highlight=False, soft_wrap=True), drift, everything=verbose)
    if json is not None:
        write_file(json, drift_json(drift, str(old), str(new), tolerance))
    return ExitCode.CHECKS_FAILED if drift.moved else ExitCode.OK
