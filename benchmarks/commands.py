"""What a user waits for: whole commands, from their start to their end."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measure import BenchmarkError, fitspec, spread
from variants import variant

Record = dict[str, Any]

SIZES = (1, 10, 100)
"""Copies of a specification, for scaling."""


def whole(spec: str, repeat: int, workers: int, environment: Mapping[str, str]) -> Record:
    """``fitspec run``, again and again, each time with an empty cache.

    Args:
        spec: ``@name``, a file or a folder.
        repeat: how often.
        workers: number of worker processes.
        environment: with the mirror.

    Raises:
        BenchmarkError: the command failed.
    """
    runs, memories, workers_memories = [], [], []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as folder:
            results = Path(folder) / "results.json"
            timing = fitspec(
                ["run", spec, "--no-cache", "-q", "-n", str(workers), "--json", str(results)],
                {**environment, "FITSPEC_CACHE": str(Path(folder) / "cache")},
            )
            report = json.loads(results.read_bytes())
        runs.append(timing.seconds)
        memories.append(timing.main_mb)
        workers_memories.append(timing.worker_mb)
    summary, seconds = report["summary"], spread(runs)
    return {
        "hypotheses": summary["points"],
        "errors": summary["errors"],
        "failed": summary["failed"],
        "seconds": seconds,
        "per_second": summary["points"] / seconds["median"],
        "worker_seconds": sum(point["seconds"] for point in report["points"]),
        "main_mb": max(filter(None, memories), default=None),
        "worker_mb": max(filter(None, workers_memories), default=None),
    }


def scaling(workers: int, environment: Mapping[str, str]) -> list[Record]:
    """``fitspec run FOLDER`` with more and more copies of one specification, once each.

    The copies test signal strengths that differ by a millionth, so that nothing is shared: every
    hypothesis is a fit of its own.
    """
    records = []
    for copies in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            for k in range(copies):
                asked = {"poi": {"test": 1 + 1e-6 * k}}
                variant("@1Lbb", Path(folder) / f"1Lbb-{k:03}.toml", asked)
            try:
                record = whole(folder, 1, workers, environment)
            except BenchmarkError as error:
                record = {"error": str(error)}
        records.append({"copies": copies, **record})
    return records


def startup(repeat: int, environment: Mapping[str, str]) -> list[Record]:
    """Commands that fit nothing: help, a list of points, and a run from the result store."""
    commands = {
        "`fitspec --help`": ["--help"],
        "`fitspec collect @1Lbb`": ["collect", "@1Lbb"],
        "`fitspec run @stau`, results kept before": ["run", "@stau"],
    }
    records = []
    with tempfile.TemporaryDirectory() as cache:
        there = {**environment, "FITSPEC_CACHE": cache}
        for name, arguments in commands.items():
            try:
                fitspec(arguments, there)  # fills the store
                runs = [fitspec(arguments, there).seconds for _ in range(repeat)]
                records.append({"command": name, "seconds": spread(runs)})
            except BenchmarkError as error:
                records.append({"command": name, "error": str(error)})
    return records
