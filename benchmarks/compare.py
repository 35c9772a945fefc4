"""fitspec and its peers on the same hypotheses and on one core: seconds, ratios, differences."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from measure import BenchmarkError, fitspec, last_line

from fitspec.execute.local import THREAD_VARIABLES

Record = dict[str, Any]

PEERS = {"pyhf-numpy": "pyhf, numpy + scipy", "pyhf-jax": "pyhf, jax + scipy"}
"""Whom fitspec is compared with."""

ONE_CORE = {
    **dict.fromkeys(THREAD_VARIABLES, "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}

RTOL, ATOL = 1e-4, 1e-6
"""CLs values that differ by no more are the same."""


def compare_limits(spec: str, environment: Mapping[str, str]) -> Record:
    """Upper limits of one hypothesis: of fitspec, and of pyhf with numpy and scipy.

    Raises:
        BenchmarkError: one of them could not be measured.
    """
    [own], [theirs] = (_ask(peer, spec, 1, environment) for peer in ("native", "pyhf-limits"))
    for record in (own, theirs):
        if "error" in record:
            raise BenchmarkError(record["error"])
    pairs = [(own["limit_obs"], theirs["limit_obs"])]
    pairs += zip(own["limit_exp"], theirs["limit_exp"], strict=True)
    return {
        "id": own["id"],
        "native": own,
        "pyhf": theirs,
        "ratio": theirs["seconds"] / own["seconds"],
        "difference": max(abs(mine / other - 1) for mine, other in pairs),
    }


def measure_toys(spec: str, workers: int, environment: Mapping[str, str]) -> Record:
    """CLs by toys: the whole command, and pyhf for a few toys of the same hypothesis.

    Raises:
        BenchmarkError: one of them could not be measured.
    """
    [theirs] = _ask("pyhf-toys", spec, 1, environment)
    if "error" in theirs:
        raise BenchmarkError(theirs["error"])
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        run = ["run", spec, "--no-cache", "-q", "-n", str(workers), "--json", str(results)]
        seconds = fitspec(run, environment).seconds
        [point] = json.loads(results.read_bytes())["points"]
    if point["error"]:
        raise BenchmarkError(point["error"])
    [test] = point["tests"]
    toys = 2 * test["toys"]["thrown"]
    return {
        "id": point["id"],
        "toys": toys,
        "failed": test["toys"]["failed"],
        "seconds": seconds,
        "CLs_obs": test["CLs_obs"],
        "CLs_error": test["toys"]["obs_error"],
        "pyhf_seconds_a_toy": theirs["seconds"] / theirs["toys"],
        "ratio": theirs["seconds"] / theirs["toys"] / (point["seconds"] / toys),
    }


def compare(spec: str, points: int, environment: Mapping[str, str]) -> Record:
    """One table: fitspec first, then every peer with its differences.

    Args:
        spec: a specification that tests mu = 1.
        points: number of hypotheses, spread evenly over the specification's.
        environment: mirror and cache.

    Raises:
        BenchmarkError: fitspec itself could not be measured.
    """
    own = _ask("native", spec, points, environment)
    rows: Record = {"native": {"seconds": _median(own, "seconds"), "records": own}}
    for peer in PEERS:
        try:
            theirs = _ask(peer, spec, points, environment)
            rows[peer] = {**_against(own, theirs, "seconds"), "records": theirs}
            if any("again" in record for record in theirs):
                rows[f"{peer}-again"] = _against(own, theirs, "again")
        except BenchmarkError as error:
            rows[peer] = {"error": str(error)}
    return {"points": [record["id"] for record in own], "rows": rows}


def _ask(peer: str, spec: str, points: int, environment: Mapping[str, str]) -> list[Record]:
    """What one peer, alone in a process of its own on one core, has to say."""
    script = Path(__file__).with_name("peers.py")
    done = subprocess.run(
        [sys.executable, str(script), peer, spec, str(points)],
        env={**os.environ, **environment, **ONE_CORE},
        capture_output=True,
        text=True,
        preexec_fn=_stay_on_one_core,
    )
    if done.returncode != 0:
        raise BenchmarkError(last_line(done.stderr, done.returncode))
    records: list[Record] = json.loads(done.stdout.splitlines()[-1])
    return records


def _stay_on_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _median(records: Sequence[Record], clock: str) -> float:
    """Over the hypotheses that have numbers."""
    seconds: list[float] = [record[clock] for record in records if clock in record]
    if not seconds:
        raise BenchmarkError(records[0]["error"] if records else "there are no hypotheses")
    return statistics.median(seconds)


def _against(own: Sequence[Record], theirs: Sequence[Record], clock: str) -> Record:
    """How a peer compares, over the hypotheses that have numbers from both."""
    pairs = [
        (mine, other)
        for mine, other in zip(own, theirs, strict=True)
        if "error" not in mine and "error" not in other
    ]
    if not pairs:
        raise BenchmarkError(next(r["error"] for r in (*theirs, *own) if "error" in r))
    return {
        "seconds": _median(theirs, clock),
        "ratio": statistics.median(other[clock] / mine["seconds"] for mine, other in pairs),
        "difference_obs": max(abs(o["CLs_obs"] - m["CLs_obs"]) for m, o in pairs),
        "difference_exp": max(
            abs(x - y) for m, o in pairs for x, y in zip(m["CLs_exp"], o["CLs_exp"], strict=True)
        ),
        "different": [_difference(m, o) for m, o in pairs if not _agree(m, o)],
    }


def _agree(mine: Record, other: Record) -> bool:
    values = zip(
        (mine["CLs_obs"], *mine["CLs_exp"]), (other["CLs_obs"], *other["CLs_exp"]), strict=True
    )
    return all(abs(m - o) <= RTOL * abs(o) + ATOL for m, o in values)


def _difference(mine: Record, other: Record) -> str:
    """Which values differ, and which fit of the peer ended farthest from the minimum."""
    gaps = {fit: value - mine["twice_nll"][fit] for fit, value in other["twice_nll"].items()}
    gaps["free fit to Asimov data"] = other["asimov_gap"]
    fit = max(gaps, key=lambda fit: abs(gaps[fit]))
    return (
        f"{mine['id']}: CLs {other['CLs_obs']:.5g}, expected {other['CLs_exp'][2]:.5g}; fitspec "
        f"{mine['CLs_obs']:.5g}, expected {mine['CLs_exp'][2]:.5g}; the {fit} ends "
        f"{abs(gaps[fit]):.1e} {'above' if gaps[fit] > 0 else 'below'} fitspec's"
    )
