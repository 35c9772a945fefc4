"""Hypothesis tests on a likelihood; which likelihood is the backend's affair."""

from fitspec.inference.hypotest import test_hypotheses
from fitspec.inference.question import Question

__all__ = ["Question", "test_hypotheses"]
