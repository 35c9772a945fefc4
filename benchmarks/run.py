"""Measures fitspec, and writes what it found as JSON and as Markdown tables.

    python benchmarks/run.py [--mirror DIR] [--only 1Lbb,stau] [--scaling] [--write-docs]

On a quiet machine, please: what else runs is measured, too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from commands import scaling, startup, whole
from compare import compare, compare_limits, measure_toys
from machine import load, machine
from measure import BenchmarkError
from report import markdown, write_docs
from variants import LIMITS, TESTS, TOYS, variant

ROOT = Path(__file__).resolve().parents[1]
SPECS = ("1Lbb", "stau", "sbottom")
WITH_LIMITS = ("1Lbb", "stau")
LIMITS_BY_PYHF = ("stau",)
"""A limit takes pyhf minutes here, and a quarter of an hour for `@1Lbb`."""


def main() -> None:
    """Measure, and write what is known after every step."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {
        "machine": {**machine(), "load_start": load(), "load_end": None},
        "settings": {name: getattr(options, name) for name in ("repeat", "points", "workers")},
    }

    def keep(part: str, found: Any) -> None:
        results[part] = found
        results["machine"]["load_end"] = load()
        (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
        (options.out / "results.md").write_text(f"# Benchmarks\n\n{markdown(results)}")

    with tempfile.TemporaryDirectory() as folder:
        there = {"FITSPEC_MIRROR": str(options.mirror), "FITSPEC_CACHE": f"{folder}/cache"}
        keep("startup", _tell("startup", startup, options.repeat, there))
        for part, asked, measure, settings, names in (
            ("whole", TESTS, whole, (options.repeat, options.workers), SPECS),
            ("limits", LIMITS, whole, (options.repeat, options.workers), WITH_LIMITS),
            ("peers", TESTS, compare, (options.points,), SPECS),
            ("limit_peers", LIMITS, compare_limits, (), LIMITS_BY_PYHF),
        ):
            for name in filter(names.__contains__, options.only):
                spec = variant(f"@{name}", Path(folder) / part / f"{name}.toml", asked)
                found = _tell(f"{part} {name}", measure, spec, *settings, there)
                keep(part, {**results.get(part, {}), name: found})
        if "1Lbb" in options.only:
            spec = variant("@1Lbb", Path(folder) / "toys" / "1Lbb.toml", TOYS)
            keep("toys", _tell("toys", measure_toys, spec, options.workers, there))
        if options.scaling:
            keep("scaling", _tell("scaling", scaling, options.workers, there))
    if options.write_docs:
        write_docs(ROOT / "docs" / "performance.md", markdown(results))


def _tell(what: str, measure: Callable[..., Any], *settings: Any) -> Any:
    """A measurement, or why there is none."""
    print(f"measuring: {what}", file=sys.stderr, flush=True)
    try:
        return measure(*settings)
    except BenchmarkError as error:
        return {"error": str(error)}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure fitspec.")
    parser.add_argument("--mirror", type=Path, help="folder with the published archives")
    parser.add_argument("--repeat", type=_positive, default=5, help="runs of every command")
    parser.add_argument("--points", type=_positive, default=3, help="hypotheses, beside pyhf")
    parser.add_argument("--workers", type=_positive, default=2, help="of every command")
    parser.add_argument("--scaling", action="store_true", help="up to 12500 hypotheses, too")
    parser.add_argument("--only", type=_names, default=SPECS, help=f"some of {','.join(SPECS)}")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--write-docs", action="store_true", help="tables of docs/performance.md")
    options = parser.parse_args()
    beside = ROOT.parent / "shared" / "data"
    mirror = options.mirror or Path(os.environ.get("FITSPEC_MIRROR") or beside)
    if not mirror.is_dir():
        parser.error(f"{mirror} is no folder: name one with --mirror; downloads are not timed")
    options.mirror = mirror.resolve()
    return options


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.removeprefix("@") for name in text.split(","))
    unknown = [name for name in names if name not in SPECS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(SPECS)}")
    return names


if __name__ == "__main__":
    main()
