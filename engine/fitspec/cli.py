"""The command line: a thin front end, one function a command, no computation.

Everything but the option parser is imported inside the commands, so that `fitspec --help` is fast.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, cast

import typer

import fitspec
from fitspec.errors import ExitCode, FitspecError, UsageError, counted

if TYPE_CHECKING:
    from fitspec.collect import Collection

app = typer.Typer(
    name="fitspec",
    help="Fit published HistFactory likelihoods from one declarative file, and check the limits.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cache_app = typer.Typer(help="The cache of downloads and results.")
app.add_typer(cache_app, name="cache")
endpoint_app = typer.Typer(help="The endpoints that fits can run on.")
app.add_typer(endpoint_app, name="endpoint")

Specs = Annotated[
    list[str],
    typer.Argument(metavar="SPEC...", help="Files, folders, or @name of a curated specification."),
]
Keywords = Annotated[
    str,
    typer.Option("-k", metavar="EXPR", help="Select by node id or label=value, as pytest's -k."),
]
Mirror = Annotated[
    Path | None,
    typer.Option("--mirror", metavar="DIR", help="Look for every source here first."),
]
Offline = Annotated[bool, typer.Option("--offline", help="Never touch the network.")]


def run_command_line(arguments: list[str]) -> int:
    """Run one command; returns its exit code, which is one of pytest's."""
    try:
        with redirect_stdout(cast("TextIO", _Patient(sys.stdout))):
            code = app(args=arguments, prog_name="fitspec", standalone_mode=False)
            sys.stdout.flush()
    except KeyboardInterrupt:
        code = _SIGINT_STATUS
    except FitspecError as error:
        _complain(str(error))
        return error.exit_code
    except OSError as error:  # the machine's doing: a full disk, a folder without permission
        _complain(": ".join(filter(None, (error.filename, error.strerror or str(error)))))
        return ExitCode.USAGE_ERROR
    except Exception as error:
        return _unexpected(error)
    if code == _SIGINT_STATUS:
        _complain("interrupted")
        return ExitCode.INTERRUPTED
    return int(code or 0)


_SIGINT_STATUS = 128 + signal.SIGINT


class _Patient:
    """A stream that does not mind when its reader has left: `fitspec run ... | head` goes on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._drop()

    def _drop(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"fitspec {fitspec.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        raise UsageError("no command is given", "see `fitspec --help`")


@app.command()
def run(
    specs: Specs,
    keywords: Keywords = "",
    workers: Annotated[
        int | None,
        typer.Option("-n", "--workers", min=1, max=1024, help="Workers."),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", metavar="NAME", help="Where: a name of yours, or a kind."),
    ] = None,
    backend: Annotated[
        str | None, typer.Option("--backend", metavar="NAME", help="Override backend.name.")
    ] = None,
    cross_check: Annotated[
        int,
        typer.Option("--cross-check", min=0, metavar="N", help="Fit N random points by pyhf, too."),
    ] = 0,
    mirror: Mirror = None,
    offline: Offline = False,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Compute everything anew; results are kept.")
    ] = False,
    first: Annotated[bool, typer.Option("-x", help="Stop at the first failure.")] = False,
    max_failures: Annotated[
        int, typer.Option("--maxfail", min=0, metavar="N", help="Stop after N failures.")
    ] = 0,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write results.json here.")
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", help="Only failures and the summary.")] = False,
    verbose: Annotated[bool, typer.Option("-v", help="Every point as it comes.")] = False,
) -> int:
    """Validate, expand, fit, check and report."""
    from rich.console import Console

    from fitspec import session
    from fitspec.report import TerminalReport, to_json

    if backend not in {None, "native", "pyhf"}:
        raise UsageError(f"--backend {backend}: there is none of this name", "native or pyhf")
    if json is not None:
        _require_writable(json)
    settings = replace(
        session.Settings.from_config(mirror, offline=offline),
        keywords=keywords,
        workers=workers,
        endpoint=endpoint,
        backend=backend,
        reuse=not no_cache,
        max_failures=1 if first else max_failures,
        cross_check=cross_check,
    )
    terminal = TerminalReport(Console(highlight=False), verbosity=verbose - quiet)
    try:
        with _handling(signal.SIGTERM, _interrupt):  # batch systems end a job with it
            report = session.run(specs, settings, terminal)
    finally:
        terminal.aborted()
    # the report is all that is left, and it is quick
    with _handling(signal.SIGINT, signal.SIG_IGN), _handling(signal.SIGTERM, signal.SIG_IGN):
        try:
            terminal.finished(report)
        finally:  # also where nobody can read the terminal
            if json is not None:
                json.write_bytes(to_json(report))
    if report.interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.OK if report.ok else ExitCode.CHECKS_FAILED


@app.command()
def collect(
    specs: Specs, keywords: Keywords = "", mirror: Mirror = None, offline: Offline = False
) -> int:
    """List the node ids of points and checks."""
    found = _collect(specs, keywords, mirror, offline)
    for node in found.node_ids:
        typer.echo(node)
    left_out = f", {counted(found.deselected, 'point')} deselected" if found.deselected else ""
    typer.echo(
        f"\n{counted(len(found.points), 'point')}, "
        f"{counted(len(found.combinations), 'combination')} and "
        f"{counted(len(found.expectations), 'check')} "
        f"in {counted(len(found.specs), 'specification')}{left_out}"
    )
    return ExitCode.OK


@app.command()
def validate(specs: Specs) -> int:
    """Check specifications against the language; fetch and fit nothing."""
    from fitspec.spec import find_specs

    for spec in find_specs(specs):
        typer.echo(f"{spec.name}: valid")
    return ExitCode.OK


@app.command()
def fetch(specs: Specs, mirror: Mirror = None, offline: Offline = False) -> int:
    """Fetch and verify all sources, so that later runs need no network."""
    found = _collect(specs, "", mirror, offline)
    for spec in found.specs:
        backgrounds = {p.case.background for p in found.points if p.spec is spec}
        for background in sorted(backgrounds, key=lambda b: b.name):
            typer.echo(f"{spec.name}: {background.name} {background.digest}")
    return ExitCode.OK


@app.command()
def schema() -> int:
    """Print the JSON Schema of the specification language."""
    from fitspec.spec import json_schema

    typer.echo(_dump(json_schema()))
    return ExitCode.OK


@cache_app.command("info")
def cache_info() -> int:
    """Show where the cache is and what it holds."""
    from fitspec.config import cache_folder, load_config
    from fitspec.execute import ResultStore

    folder = cache_folder(load_config())
    sources = [path.stat().st_size for path in (folder / "sources").glob("*") if path.is_file()]
    results, size = ResultStore(folder / "results").size()
    typer.echo(f"{folder}")
    typer.echo(f"sources: {len(sources)} files, {sum(sources) / 1e6:.1f} MB")
    typer.echo(f"results: {results} points, {size / 1e6:.1f} MB")
    return ExitCode.OK


@cache_app.command("clear")
def cache_clear(
    sources: Annotated[bool, typer.Option("--sources", help="Forget downloads, too.")] = False,
) -> int:
    """Forget all stored results."""
    from fitspec.config import cache_folder, load_config
    from fitspec.execute import ResultStore

    folder = cache_folder(load_config())
    store = ResultStore(folder / "results")
    typer.echo(f"forgot {counted(store.size()[0], 'result')}")
    store.clear()
    if sources and (folder / "sources").exists():
        shutil.rmtree(folder / "sources")
    return ExitCode.OK


@endpoint_app.command("list")
def endpoint_list() -> int:
    """List your endpoints; the default is marked."""
    from fitspec.config import config_path, load_config
    from fitspec.execute.choose import default_endpoint, own_endpoints
    from fitspec.execute.endpoints import known_kinds

    config = load_config()
    default = default_endpoint(config)
    found = own_endpoints(config)
    found += [] if default in found else [default]
    rows = [("", "name", "kind", "where")]
    rows += [("*" * (e == default), e.name, e.kind, e.place or "here") for e in found]
    for line in _aligned(rows):
        typer.echo(line)
    typer.echo(f"\nkinds: {', '.join(known_kinds())}\nconfiguration: {config_path()}")
    return ExitCode.OK


@endpoint_app.command("check")
def endpoint_check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of yours, or a kind.")],
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.001, metavar="S", help="Seconds for an answer.")
    ] = 120.0,
) -> int:
    """Send chunks without work there and back: versions, round trip, throughput."""
    from fitspec.config import load_config
    from fitspec.execute.check import check_endpoint
    from fitspec.execute.choose import named_endpoint
    from fitspec.execute.endpoints import pool_of

    endpoint = named_endpoint(name, load_config(), "")
    pool = pool_of(endpoint)
    typer.echo(f"{'endpoint':<13} {' '.join(filter(None, (endpoint.title, endpoint.place)))}")
    typer.echo(f"{'workers':<13} {pool.workers}")
    for finding in check_endpoint(pool, timeout + endpoint.queue):
        typer.echo(f"{finding.name:<13} {finding.text}")
    return ExitCode.OK


def _require_writable(path: Path) -> None:
    """Better to find out before an hour of fits."""
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--json {path}: there is no such folder", "make it first")
    if path.is_dir():
        raise UsageError(f"--json {path}: is a folder", "name a file")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise UsageError(f"--json {path}: may not be written", "choose another place")


def _collect(specs: list[str], keywords: str, mirror: Path | None, offline: bool) -> Collection:
    from fitspec.collect import collect as collect_points
    from fitspec.session import Settings
    from fitspec.spec import find_specs

    access = Settings.from_config(mirror, offline=offline).access
    return collect_points(find_specs(specs), access, keywords)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (zip(row, widths, strict=True) for row in rows)
    return ["  ".join(cell.ljust(width) for cell, width in line).rstrip() for line in lines]


def _dump(content: Any) -> str:
    import orjson

    return orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()


@contextmanager
def _handling(number: signal.Signals, handler: Any) -> Iterator[None]:
    """Another handler for a signal, as long as the block lasts."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _unexpected(error: Exception) -> int:
    """Usage errors of the option parser, and bugs: one line each."""
    if hasattr(error, "format_message"):  # the parser's own, whichever parser typer brings along
        _complain(f"{error.format_message().rstrip('.')}; see `fitspec --help`")
        return ExitCode.USAGE_ERROR
    if os.environ.get("FITSPEC_DEBUG"):
        traceback.print_exception(error)
    _complain(
        f"internal error: {type(error).__name__}: {error}; "
        "this is a bug: set FITSPEC_DEBUG=1 for the traceback, and report it"
    )
    return ExitCode.INTERNAL_ERROR


def _complain(message: str) -> None:
    for line in message.splitlines():
        typer.echo(f"fitspec: error: {line}", err=True)
