"""Fit tasks that nobody computes."""

from __future__ import annotations

from fitspec.plan import FitTask
from fitspec.sources import Background

BACKGROUNDS = [Background(f"{n}.json", f"[{n}]".encode(), f"sha256:{n}", {}) for n in range(3)]

QUESTION = {
    "measurement": "m", "mus": [1.0], "test_statistic": "qtilde", "normsys": "code4",
    "histosys": "code4p", "backend": "native", "tensor": "numpy", "optimizer": "scipy",
}  # fmt: skip


def task(number: int, background: int = 0, **changes: object) -> FitTask:
    question = {**QUESTION, "toys": None} | changes
    order = {"patch_name": f"patch {number}", "patch": b"[]", "question": question}
    return FitTask(f"key {number}", BACKGROUNDS[background], order, "sha256:0")
