"""Fit tasks to outcomes: the result store, chunks, and the executors that run them."""

from fitspec.execute.local import LocalPool, prepare
from fitspec.execute.runner import Computed, run_fits
from fitspec.execute.store import ResultStore

__all__ = ["Computed", "LocalPool", "ResultStore", "prepare", "run_fits"]
