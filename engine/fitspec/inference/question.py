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
        level: 1 - confidence level of the upper limits; None for no limits.
        method: of the limits: ``root`` or ``scan``, which interpolates between ``mus``.
        expected: ``post-fit`` or ``pre-fit``.
        poi: name of the POI; None for the measurement's.
    """

    measurement: str
    mus: tuple[float, ...]
    test_statistic: str
    normsys: str
    histosys: str
    backend: str
    tensor: str
    optimizer: str
    level: float | None = None
    method: str = "root"
    expected: str = "post-fit"
    poi: str | None = None
