"""What is asked of one likelihood: all that, besides workspace and patch, decides its numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """Builtins only, so that it travels to any worker as a dictionary.

    Attributes:
        measurement: name of the measurement.
        mus: POI values to test.
        test_statistic: ``q``, ``qtilde`` or ``q0``.
        normsys: interpolation code of normsys modifiers.
        histosys: interpolation code of histosys modifiers.
        backend: ``native`` or ``pyhf``.
        tensor: pyhf's tensor library.
        optimizer: pyhf's optimizer.
        toys: toys to throw for each hypothesis, at most; None asks for asymptotic p-values.
        precision: standard uncertainty of CLs, or p0, that ends the throwing; None throws them all.
        seed: of the toys.
    """

    measurement: str
    mus: tuple[float, ...]
    test_statistic: str
    normsys: str
    histosys: str
    backend: str
    tensor: str
    optimizer: str
    toys: int | None = None
    precision: float | None = None
    seed: int = 0
