"""Specifications into points, expectations and node ids, and the selection among them."""

from fitspec.collect.cases import Case
from fitspec.collect.collection import Collection, collect
from fitspec.collect.expectations import Expectation
from fitspec.collect.points import Combination, Point

__all__ = ["Case", "Collection", "Combination", "Expectation", "Point", "collect"]
