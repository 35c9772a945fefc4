"""A run for its readers: the terminal, files, workflows, and the next run."""

from fitspec.report.junit import to_junit
from fitspec.report.last_failed import LastFailed
from fitspec.report.results_json import to_json
from fitspec.report.terminal import TerminalReport

__all__ = ["LastFailed", "TerminalReport", "to_json", "to_junit"]
