"""The command line: a thin front end to the functions in :mod:`fitspec.commands`."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from contextlib import redirect_stdout
from typing import Annotated, Any, TextIO, cast

import typer

import fitspec
from fitspec.commands.bundle import bundle
from fitspec.commands.cache import cache_app
from fitspec.commands.compare import compare
from fitspec.commands.endpoint import endpoint_app
from fitspec.commands.graph import graph
from fitspec.commands.init import init
from fitspec.commands.inspect import inspect
from fitspec.commands.lock import lock
from fitspec.commands.record import record
from fitspec.commands.run import run
from fitspec.commands.specs import collect, fetch, schema, validate
from fitspec.errors import ExitCode, FitspecError, UsageError

app = typer.Typer(
    name="fitspec",
    help="Fit published HistFactory likelihoods from one declarative file, and check the limits.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    *(run, collect, validate, fetch, record, compare, lock, bundle),
    *(init, inspect, graph, schema),
):
    app.command()(_command)
app.add_typer(cache_app, name="cache")
app.add_typer(endpoint_app, name="endpoint")


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
        _annotate(error)
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
    if "##[" in message:  # a workflow would take it for a command
        from fitspec.report.github import harmless

        message = harmless(message)
    for line in message.splitlines():
        typer.echo(f"fitspec: error: {line}", err=True)


def _annotate(error: FitspecError) -> None:
    if os.environ.get("GITHUB_ACTIONS"):
        from fitspec.report import github

        github.annotate(github.of_error(error), sys.stderr)
