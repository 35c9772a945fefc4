"""What a run leaves beside its words: files, plots, and what a GitHub workflow is told."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from fitspec.commands.options import require_writable, require_writable_folder
from fitspec.errors import UsageError, counted

if TYPE_CHECKING:
    from fitspec.results import RunReport


@dataclass(frozen=True, slots=True)
class Outputs:
    """Files, and a folder of plots, that a run writes; None: not this one."""

    json: Path | None = None
    junit: Path | None = None
    plots: Path | None = None

    def require_writable(self, specs: Sequence[str]) -> None:
        """Raise :class:`FitspecError` for what cannot be written, or drawn, or would be lost."""
        taken = [Path(spec) for spec in specs]
        for option, path in (("--json", self.json), ("--junitxml", self.junit)):
            if path is None:
                continue
            require_writable(option, path)
            if any(_same_file(path, other) for other in taken):
                problem = f"{option} {path}: is a specification, or another output, of this run"
                raise UsageError(problem, "name another file")
            taken.append(path)
        if self.plots is not None:
            from fitspec.report.plots import require_plots

            require_plots()
            require_writable_folder("--plots", self.plots)

    def write(self, report: RunReport) -> None:
        """Write all files."""
        from fitspec.files import write_file
        from fitspec.report import to_json, to_junit

        failed: list[OSError] = []
        for path, content in ((self.json, to_json), (self.junit, to_junit)):
            try:
                if path is not None:
                    write_file(path, content(report))
            except OSError as error:  # the others are worth having all the same
                failed.append(error)
        if failed:
            raise failed[0]

    def draw(self, report: RunReport) -> None:
        """Draw all plots, which may take a while."""
        if self.plots is None:
            return
        from fitspec.report.plots import write_plots

        written = write_plots(report, self.plots)
        there = f"{counted(len(written), 'file')} in {self.plots}" if written else "none to draw"
        typer.echo(f"plots: {there}")


def _same_file(one: Path, other: Path) -> bool:
    """Writing to one loses the other; what is no regular file can take both."""
    if one.exists() and other.exists():
        return one.is_file() and one.samefile(other)
    return os.path.realpath(one) == os.path.realpath(other)


def tell_workflow(report: RunReport) -> None:
    """In a workflow: annotations, and the summary of the job."""
    from fitspec.report import github
    from fitspec.report.job_summary import MAX_BYTES, to_markdown

    github.annotate(github.of_report(report), sys.stdout)
    named = os.environ.get("GITHUB_STEP_SUMMARY")
    if named and github.in_workflow():
        path = Path(named)
        try:
            taken = path.stat().st_size if path.exists() else 0
            with path.open("a", encoding="utf-8") as file:
                file.write(to_markdown(report, MAX_BYTES - taken))
        except OSError as error:  # it changes nothing about the run
            typer.echo(f"fitspec: warning: no summary of the job: {error.strerror}", err=True)
