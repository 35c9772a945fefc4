"""What endpoints cost, as Markdown tables."""

from __future__ import annotations

from typing import Any

from report import machine_line, number, section

Record = dict[str, Any]

SCALED = "1Lbb limits"
"""The work that is measured with more and more workers: enough to keep them busy."""


def markdown(results: Record) -> str:
    """All that was measured, without a title."""
    parts = [
        machine_line(results["machine"]),
        _overhead(results.get("runs", [])),
        _scaling(results.get("runs", [])),
        _chunks(results.get("chunks", {})),
        _simulated(results.get("simulated", []), results.get("costs", {})),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _overhead(runs: list[Record]) -> str:
    title = (
        "**The same work on every kind of endpoint**, all on this machine: from the plan to the "
        "last answer, the endpoint's start included (`first answer`), and its ratio to local "
        "workers. `submitter` is the processor time of the command itself."
    )
    columns = ("work", "endpoint", "workers", "first answer, s", "seconds", "ratio", "submitter, s")
    rows = []
    for run in runs:
        local = _same(runs, run, kind="local")
        if local is None or run["work"] == SCALED:
            continue
        rows.append(
            (
                f"{run['work']}, {run['hypotheses']} hypotheses",
                run["kind"],
                str(run["workers"]),
                number(run["first"]),
                number(run["seconds"]),
                number(run["seconds"] / local["seconds"]),
                number(run["submitter_cpu"]),
            )
        )
    return section(title, columns, sorted(rows, key=lambda row: row[0]))


def _same(runs: list[Record], like: Record, **other: Any) -> Record | None:
    """The run that differs in this alone."""
    wanted = {name: like[name] for name in ("work", "kind", "workers")} | other
    found = (run for run in runs if all(run[name] == wanted[name] for name in wanted))
    return next(found, None)


def _scaling(runs: list[Record]) -> str:
    workers = sorted({run["workers"] for run in runs if run["work"] == SCALED})
    title = (
        "**More workers**, for the limits of 1Lbb, 125 hypotheses: seconds from the plan to the "
        "last answer, the endpoint's start included. There are no more cores than the first line "
        "says."
    )
    columns = ("endpoint", *(f"{n} worker{'s' * (n > 1)}" for n in workers))
    rows = []
    for kind in dict.fromkeys(run["kind"] for run in runs):
        cells = []
        for n in workers:
            mine = {"work": SCALED, "kind": kind, "workers": n}
            run = _same(runs, mine)
            cells.append(number(run["seconds"]) if run else "")
        rows.append((kind, *cells))
    return section(title, columns, rows)


def _chunks(chunks: Record) -> str:
    title = "**An empty chunk**: there and back alone, and its share of fifty at once."
    rows = [
        (kind, number(record["round_trip"] * 1e3), number(record["chunk"] * 1e3))
        for kind, record in chunks.items()
    ]
    return section(title, ("endpoint", "round trip, ms", "one of many, ms"), rows)


def _simulated(runs: list[Record], costs: Record) -> str:
    if not runs:
        return ""
    title = (
        "**On paper**, for hypotheses like those of 1Lbb (CLs and limits), from the costs "
        "that were measured here: "
        f"{number(costs['worker'] * 1e3)} ms of a worker, {number(costs['plan'] * 1e3)} and "
        f"{number(costs['submit'] * 1e3)} ms of the submitter before and while they work, "
        f"{number(costs['up'] / 1e3)} kB sent and {number(costs['down'] / 1e3)} kB received for "
        f"each, {number(costs['background'] / 1e3)} kB of background a chunk. What is slowest "
        "decides, after the plan; where the submitter's memory does not do (16 GB are assumed), "
        "that comes before all else."
    )
    columns = ("hypotheses", "workers", "endpoint", "plan, s", "workers, s", "submitter, s",
               "chunks, s", "network, s", "total, s", "memory, GB", "saturates first")  # fmt: skip
    rows = []
    for run in runs:
        stages = run["stages"]
        first = run["slowest"] if run["fits"] else "submitter's memory"
        rows.append(
            (
                f"{run['hypotheses']:,}",
                str(run["workers"]),
                run["kind"],
                number(run["plan"]),
                number(stages["workers"]),
                number(stages["submitter's core"]),
                number(max(stages["chunks"], stages.get("submissions", 0.0))),
                number(stages["network"]),
                number(run["total"]),
                number(run["memory"] / 1e9),
                first,
            )
        )
    return section(title, columns, rows)
