"""Specifications into points, expectations and node ids, and the selection among them."""

from fitspec.collect.collection import Collection, collect
from fitspec.collect.expectations import Expectation
from fitspec.collect.points import Combination, Point

__all__ = ["Collection", "Combination", "Expectation", "Point", "collect"]
