"""Measures what endpoints cost, and computes from that what saturates first on large ones.

    python benchmarks/endpoints.py [--mirror DIR] [--kinds local,parsl,dask,globus-compute]
                                   [--repeat N] [--workers 1,2,4] [--write-docs]

Globus Compute is the real endpoint daemon on this machine, behind the stand-in for its web service
that the tests use.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from machine import load, machine
from report import write_docs
from report_endpoints import SCALED, markdown
from simulate import Costs, simulate
from variants import LIMITS, TESTS, variant

from fitspec.collect import collect
from fitspec.execute import ResultStore, run_fits
from fitspec.execute.endpoints import pool_of
from fitspec.execute.pool import Endpoint, Pool
from fitspec.plan import FitTask, make_plan
from fitspec.session import Settings
from fitspec.spec import find_specs
from fitspec.worker import payload, run_chunk

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("local", "parsl", "dask", "globus-compute")
PYHF = {"backend": {"name": "pyhf"}}
PYHF_POINTS = 8
CHUNKS = 50
"""Empty chunks at once, for the cost of a chunk."""

Record = dict[str, Any]


def main() -> None:
    """Measure, and write what is known after every step."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    results: Record = {"machine": {**machine(), "load_start": load(), "load_end": None}}

    def keep(part: str, found: Any) -> None:
        results[part] = found
        results["machine"]["load_end"] = load()
        (options.out / "endpoints.json").write_text(json.dumps(results, indent=1) + "\n")
        text = f"# Benchmarks of endpoints\n\n{markdown(results)}"
        (options.out / "endpoints.md").write_text(text)

    records: list[Record] = []
    stau = _tasks(options.mirror, "@stau", {})
    limits = _tasks(options.mirror, "@1Lbb", LIMITS)
    by_pyhf = _tasks(options.mirror, "@1Lbb", PYHF)[:PYHF_POINTS]
    compared = max(options.workers[:2])

    def run(kind: str, workers: int, work: str, tasks: Sequence[FitTask], repeat: int) -> None:
        print(f"measuring: {work} on {kind}, {workers} workers", file=sys.stderr, flush=True)
        with _pool(kind, workers) as pool:
            record = _measure(pool, tasks, repeat)
            records.append({"kind": kind, "workers": workers, "work": work, **record})
            keep("runs", records)
            if work == "stau":
                keep("chunks", {**results.get("chunks", {}), kind: _chunks(pool)})

    for kind in options.kinds:
        run(kind, compared, "stau", stau, options.repeat)
    for kind in options.kinds:
        for workers in options.workers:
            run(kind, workers, SCALED, limits, options.repeat)
    costs = _costs(options.mirror, results["chunks"])
    keep("costs", vars(costs))
    keep("simulated", simulate(costs))
    for kind in options.kinds:
        run(kind, compared, "1Lbb by pyhf", by_pyhf, 1)
    if options.write_docs:
        write_docs(ROOT / "docs" / "performance.md", markdown(results), "endpoints")


def _measure(pool: Pool, tasks: Sequence[FitTask], repeat: int) -> Record:
    """The same work again and again, nothing kept from before.

    ``first`` is when the first answer came, which is when the endpoint had started.
    """
    walls, firsts, cpus = [], [], []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as folder:
            start, cpu = time.perf_counter(), time.process_time()
            first = 0.0
            outcomes = []
            for computed in run_fits(tasks, pool, ResultStore(Path(folder))):
                first = first or time.perf_counter() - start
                outcomes.append(computed.outcome)
            walls.append(time.perf_counter() - start)
            firsts.append(first)
            cpus.append(time.process_time() - cpu)
    return {
        "hypotheses": len(tasks),
        "errors": sum(outcome.status != "ok" for outcome in outcomes),
        "seconds": statistics.median(walls),
        "min": min(walls),
        "max": max(walls),
        "first": statistics.median(firsts),
        "worker_seconds": sum(outcome.seconds for outcome in outcomes),
        "submitter_cpu": statistics.median(cpus),
    }


def _chunks(pool: Pool) -> Record:
    """Round trip of an empty chunk, and many of them at once."""
    empty = payload(b"{}", [])
    with pool.open() as executor:
        executor.submit(run_chunk, empty).result(120)
        trips = []
        for _ in range(5):
            start = time.perf_counter()
            executor.submit(run_chunk, empty).result(120)
            trips.append(time.perf_counter() - start)
        start = time.perf_counter()
        for future in [executor.submit(run_chunk, empty) for _ in range(CHUNKS)]:
            future.result(120)
        together = time.perf_counter() - start
    return {"round_trip": statistics.median(trips), "chunk": together / CHUNKS}


def _costs(mirror: Path, chunks: Record) -> Costs:
    """What one hypothesis of 1Lbb costs whom, on one core each."""
    access = Settings.from_config(mirror).access
    start = time.process_time()
    plan = make_plan(collect(find_specs(["@1Lbb"]), access, ""))
    planned = time.process_time() - start
    tasks = list(plan.fits.values())
    with _pool("local", 1) as pool, tempfile.TemporaryDirectory() as folder:
        store = ResultStore(Path(folder))
        start = time.process_time()
        outcomes = [computed.outcome for computed in run_fits(tasks, pool, store)]
        submitted = time.process_time() - start
        answer = len(outcomes[0].to_json())
    whole = payload(tasks[0].background.raw, [task.order for task in tasks])
    number = len(tasks)
    return Costs(
        worker=sum(outcome.seconds for outcome in outcomes) / number,
        plan=planned / number,
        submit=submitted / number,
        chunk={kind: record["chunk"] for kind, record in chunks.items()},
        up=len(whole["points"]) / number,
        background=float(len(whole["background"])),
        down=float(answer),
    )


def _tasks(mirror: Path, spec: str, more: Mapping[str, Mapping[str, Any]]) -> list[FitTask]:
    """Its fits, CLs at mu = 1, with some tables of the specification replaced."""
    access = Settings.from_config(mirror).access
    with tempfile.TemporaryDirectory() as folder:
        path = variant(spec, Path(folder) / "spec.toml", {**TESTS, **more})
        return list(make_plan(collect(find_specs([path]), access)).fits.values())


@contextlib.contextmanager
def _pool(kind: str, workers: int) -> Iterator[Pool]:
    """An endpoint of this kind on this machine."""
    if kind != "globus-compute":
        yield pool_of(Endpoint(kind, kind, workers=workers))
        return
    sys.path.insert(0, str(ROOT / "tests"))
    import pytest
    from loopback.chain import log_in, running_chain

    with (
        tempfile.TemporaryDirectory() as folder,
        running_chain(Path(folder), workers) as chain,
        pytest.MonkeyPatch.context() as patch,
    ):
        log_in(chain, Path(folder) / "home", patch)
        yield pool_of(Endpoint(kind, kind, workers=workers, id=chain.daemon.id))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure fitspec's endpoints.")
    default = os.environ.get("FITSPEC_MIRROR", ROOT.parent / "shared" / "data")
    names = lambda text: tuple(text.split(","))  # noqa: E731
    numbers = lambda text: tuple(map(int, text.split(",")))  # noqa: E731
    parser.add_argument("--mirror", type=Path, default=Path(default))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--kinds", type=names, default=KINDS)
    parser.add_argument("--workers", type=numbers, default=(1, 2, 4))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--write-docs", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
