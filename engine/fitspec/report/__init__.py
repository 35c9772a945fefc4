"""A run for its readers: the terminal, and results.json."""

from fitspec.report.results_json import to_json
from fitspec.report.terminal import TerminalReport

__all__ = ["TerminalReport", "to_json"]
