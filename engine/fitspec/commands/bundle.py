"""``fitspec bundle``."""

from __future__ import annotations

import shlex
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fitspec.commands.options import (
    EndpointName,
    Keywords,
    Mirror,
    NoCache,
    Offline,
    Workers,
    require_writable,
)
from fitspec.errors import ExitCode, MissingExtraError, UsageError, counted

if TYPE_CHECKING:
    from fitspec.bundle import Inputs
    from fitspec.lock import Level
    from fitspec.results import RunReport
    from fitspec.session import Settings
    from fitspec.spec import SpecFile


def bundle(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="The specification.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.zip", help="Write a bundle.")
    ] = None,
    hepdata: Annotated[
        Path | None,
        typer.Option("--hepdata", metavar="FILE.tar.gz", help="Write a HEPData submission."),
    ] = None,
    units: Annotated[
        list[str] | None,
        typer.Option("--unit", metavar="LABEL=UNIT", help="Of a label, for HEPData: m_stau=GeV."),
    ] = None,
    rights: Annotated[
        str | None,
        typer.Option("--license", metavar="URL", help="Of the bundle as a whole."),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option("--results", metavar="FILE", help="results.json of a run; default: run."),
    ] = None,
    keywords: Keywords = "",
    workers: Workers = None,
    endpoint: EndpointName = None,
    mirror: Mirror = None,
    offline: Offline = False,
    no_cache: NoCache = False,
) -> int:
    """Run, and pack the specification with its inputs and results, for others to run again."""
    from fitspec import session
    from fitspec.bundle import bundled_inputs, write_submission

    _require_outputs(output, hepdata, rights)
    _require_extras(output, hepdata)
    by_label = dict(_unit(unit) for unit in units or ())
    settings = replace(
        session.Settings.from_config(mirror, offline=offline),
        keywords=keywords,
        workers=workers,
        endpoint=endpoint,
        reuse=not no_cache,
    )
    if results is not None and (keywords or workers or endpoint or no_cache):
        raise UsageError("--results: nothing is run", "leave out -k, -n, --endpoint and --no-cache")
    own = _only(spec, settings)
    inputs = bundled_inputs(own, settings.access)
    with tempfile.TemporaryDirectory() as temporary:
        staged = inputs.staged(Path(temporary).resolve(), own.path.name)
        started = None if results is not None else datetime.now(UTC)
        report = _run(staged, settings) if results is None else _given(staged, settings, results)
    if report.interrupted or report.not_computed:
        typer.echo("the run did not come to its end: nothing is bundled")
        return ExitCode.INTERRUPTED if report.interrupted else ExitCode.CHECKS_FAILED
    if output is not None:
        _write(output, own, inputs, report, results, started, keywords, rights)
        typer.echo(
            f"{output}: {counted(len(inputs.files), 'input')}, results of "
            f"{counted(len(report.points), 'point')}"
        )
    if hepdata is not None:
        tables = write_submission(hepdata, own.spec, report, inputs, by_label)
        typer.echo(f"{hepdata}: {counted(tables, 'table')}")
    return ExitCode.OK if report.ok else ExitCode.CHECKS_FAILED


def _require_outputs(output: Path | None, hepdata: Path | None, rights: str | None) -> None:
    if output is None and hepdata is None:
        raise UsageError("nothing to write", "give -o FILE.zip, --hepdata FILE.tar.gz, or both")
    if rights is not None and not rights.startswith("https://"):
        remedy = "give its address, https://creativecommons.org/publicdomain/zero/1.0/"
        raise UsageError(f"--license {rights}: is no https URL", remedy)
    if output is not None:
        if output.suffix != ".zip":
            raise UsageError(f"-o {output}: a bundle is a zip file", "name it FILE.zip")
        require_writable("-o", output)
    if hepdata is not None:
        if not hepdata.name.endswith(".tar.gz"):
            raise UsageError(f"--hepdata {hepdata}: HEPData takes a tar.gz", "name it FILE.tar.gz")
        require_writable("--hepdata", hepdata)


def _require_extras(output: Path | None, hepdata: Path | None) -> None:
    """Better to find out before an hour of fits."""
    wanted = [(output, "rocrate", "bundle"), (hepdata, "hepdata_lib", "hepdata")]
    for path, module, extra in wanted:
        if path is not None and find_spec(module) is None:
            raise MissingExtraError(module, extra)


def _unit(text: str) -> tuple[str, str]:
    label, equals, unit = text.partition("=")
    if not (label and equals and unit):
        raise UsageError(f"--unit {text}: is no LABEL=UNIT", "write m_stau=GeV")
    return label, unit


def _only(name: str, settings: Settings) -> SpecFile:
    from fitspec.spec import find_specs

    found = find_specs([name], settings.access.unpack)
    if len(found) > 1:
        problem = f"{name} holds {counted(len(found), 'specification')}"
        raise UsageError(problem, "bundle one at a time")
    return found[0]


def _run(spec: SpecFile, settings: Settings) -> RunReport:
    """From the bundle's own files: what it lacks cannot be used."""
    from rich.console import Console

    from fitspec import session
    from fitspec.lock import lock_path
    from fitspec.report import TerminalReport

    locked: Level | None = "inputs" if lock_path(spec).is_file() else None
    terminal = TerminalReport(Console(highlight=False))
    try:
        report = session.run_specs([spec], replace(settings, locked=locked), terminal)
    finally:
        terminal.aborted()
    terminal.finished(report)
    return report


def _given(spec: SpecFile, settings: Settings, path: Path) -> RunReport:
    """Results of an earlier run of what is now in the bundle."""
    from fitspec.bundle import require_belongs
    from fitspec.collect import collect
    from fitspec.lock import lock_path, require_locked
    from fitspec.plan import make_plan
    from fitspec.report.read_json import read_report

    report = read_report(path)
    collection = collect([spec], settings.access)
    require_belongs(report, path, spec, {point.id for point in collection.points})
    if lock_path(spec).is_file():
        require_locked([spec], make_plan(collection), settings.access, "inputs", whole=True)
    return report


def _write(
    output: Path,
    spec: SpecFile,
    inputs: Inputs,
    report: RunReport,
    results: Path | None,
    started: datetime | None,
    keywords: str,
    rights: str | None,
) -> None:
    from fitspec.bundle import Provenance, requirements, write_bundle
    from fitspec.report import to_json

    selection = f" -k {shlex.quote(keywords)}" if keywords else ""
    provenance = Provenance(
        command=f"fitspec run {shlex.quote(spec.path.stem)}.zip{selection}",
        environment=report.environment,
        version=report.environment.get("fitspec", "unknown"),
        started=started,
        ended=started and datetime.now(UTC),
        licence=rights,
    )
    content = to_json(report) if results is None else results.read_bytes()
    versions = requirements(report.environment, here=results is None)
    plots = _plots(report)
    write_bundle(output, spec.spec.analysis, inputs, content, versions, provenance, plots)


def _plots(report: RunReport) -> dict[str, bytes]:
    """Plots of the results; a bundle is worth having without them, too."""
    from fitspec.report.plots import drawn

    try:
        return drawn(report)
    except MissingExtraError as error:
        typer.echo(f"no plots: {error}")
        return {}
