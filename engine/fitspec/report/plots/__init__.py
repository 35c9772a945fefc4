"""Plots of a run: exclusions in planes, limits along lines, CLs of scans, pulls and impacts."""

from fitspec.report.plots.files import drawn, require_plots, write_plots

__all__ = ["drawn", "require_plots", "write_plots"]
