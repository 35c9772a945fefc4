"""What workers of the loopback endpoint run in place of run_chunk: real fits, and misfortunes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import orjson
from stand_ins import die

import fitspec
from fitspec.worker import run_chunk, unpack


def names(chunk):
    return [point["patch_name"] for point in orjson.loads(unpack(chunk["points"]))]


def slowly(chunk):
    """Time for something to happen."""
    time.sleep(0.3)
    return run_chunk(chunk)


def killed_once(chunk):
    """As the system does when memory runs out; the next try goes well."""
    if "DS_200_1_Staus" in names(chunk) and _first("killed"):
        die()
    return run_chunk(chunk)


def poison(chunk):
    if "DS_200_1_Staus" in names(chunk):
        die()
    return run_chunk(chunk)


def hang_once(chunk):
    """Not even the worker's own clock ends it; the next try goes well."""
    if "DS_200_1_Staus" in names(chunk) and _first("hung"):
        time.sleep(15)
    return run_chunk(chunk)


def answer_too_much(chunk):
    if len(names(chunk)) > 1:
        return {"rubbish": "x" * 11_000_000}
    return run_chunk(chunk)


def of_another_version(chunk):
    fitspec.__version__, ours = "99.0", fitspec.__version__
    try:
        return run_chunk(chunk)
    finally:
        fitspec.__version__ = ours


def without_fitspec(chunk):
    raise ModuleNotFoundError("No module named 'fitspec'")


def _first(what):
    """Nobody has come here before; leaves a mark."""
    mark = Path(os.environ["GLOBUS_COMPUTE_USER_DIR"]) / what
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
