"""Fit tasks to outcomes: the result store, chunks, and the executors that run them."""

from fitspec.execute.local import LocalPool, prepare
from fitspec.execute.runner import Computed, Patience, run_fits
from fitspec.execute.store import ResultStore

__all__ = ["Computed", "LocalPool", "Patience", "ResultStore", "prepare", "run_fits"]
