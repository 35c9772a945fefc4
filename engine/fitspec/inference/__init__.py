"""Hypothesis tests on a likelihood; which likelihood is the backend's affair."""

from fitspec.inference.hypotest import fit_observed, test_hypotheses
from fitspec.inference.question import FitQuestion, Question

__all__ = ["FitQuestion", "Question", "fit_observed", "test_hypotheses"]
