"""Results to Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from compare import PEERS
from machine import PACKAGES

Record = dict[str, Any]
Cells = Sequence[str]


PUBLISHED = (
    # likelihood, hypotheses, seconds on the cluster with standard deviation, on a single node
    ("1Lbb", 125, 156.2, 9.5, 3842),
    ("stau", 57, 57.4, 5.2, 612),
)
"""Wall times of the same fits in arXiv:2103.02182 (vCHEP 2021)."""


def markdown(results: Record) -> str:
    """All that was measured as Markdown, without a title."""
    whole = results.get("whole", {})
    parts = [
        machine_line(results["machine"]),
        _whole(_CLS, whole, results["settings"]),
        _published(whole),
        _peers(results.get("peers", {})),
        _whole(_LIMITS, results.get("limits", {}), results["settings"]),
        _limit_peers(results.get("limit_peers", {})),
        _toys(results.get("toys")),
        _scaling(results.get("scaling", [])),
        _startup(results.get("startup", [])),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_docs(page: Path, tables: str, name: str = "benchmarks") -> None:
    """Put the tables between the page's markers, ``<!-- NAME:begin -->`` and ``<!-- NAME:end -->``.

    Raises:
        ValueError: the page has no markers.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{page} has no {begin} and {end}")
    page.write_text(f"{before}{begin}\n\n{tables}\n{end}{after}", encoding="utf-8")


def machine_line(machine: Record) -> str:
    """Where it was measured."""
    versions = ", ".join(f"{name} {machine[name]}" for name in PACKAGES if machine[name])
    return (
        f"Measured on {machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, "
        f"{versions}; load average {machine['load_start']} at the start, "
        f"{machine['load_end']} at the end."
    )


_RATE_AND_MEMORY = ("hypotheses a second", "command, MB", "worker, MB")


def _rate_and_memory(record: Record) -> Cells:
    return [number(record[key]) for key in ("per_second", "main_mb", "worker_mb")]


def _hypotheses(record: Record) -> str:
    missing = f" ({record['errors']} without numbers)" if record["errors"] else ""
    return f"{record['hypotheses']}{missing}"


def _spread(record: Record) -> str:
    median, low, high = (number(record["seconds"][key]) for key in ("median", "min", "max"))
    return f"{median} ({low} to {high})"


_CLS = "**The whole command**, CLs and its expected band at mu = 1"
_LIMITS = "**Upper limits**, observed and expected, and no test besides"


def _whole(what: str, whole: Record, settings: Record) -> str:
    title = (
        f"{what}: `fitspec run SPEC -n {settings['workers']}`, nothing kept from "
        f"before; median of {settings['repeat']}. Memory is the peak resident one, of the command "
        "and of its largest worker."
    )
    columns = ("specification", "hypotheses", "seconds (min to max)", *_RATE_AND_MEMORY)

    def cells(record: Record) -> Cells:
        return [_hypotheses(record), _spread(record), *_rate_and_memory(record)]

    return section(title, columns, [_row(f"`@{name}`", whole[name], cells) for name in whole])


def _published(whole: Record) -> str:
    title = (
        "**Published before**: wall seconds of the same fits with pyhf in "
        "[arXiv:2103.02182](https://arxiv.org/abs/2103.02182) (vCHEP 2021), on other hardware; "
        "the last column is from the table above."
    )
    columns = ("likelihood", "hypotheses", "cluster", "single node", "fitspec, here")
    rows = []
    for name, hypotheses, cluster, deviation, single in PUBLISHED:
        here = whole.get(name, {}).get("seconds", {}).get("median")
        figures = (str(hypotheses), f"{cluster:.1f} ± {deviation:.1f}", str(single))
        rows.append((name, *figures, number(here)))
    return section(title, columns, rows)


_NAMES = {
    "native": "fitspec",
    **PEERS,
    "pyhf-jax-again": "the same, the model compiled before",
}


def _peers(peers: Record) -> str:
    title = (
        "**One hypothesis on one core**: patch, model, CLs and expected band. Median over some "
        "hypotheses spread evenly over the grid, median of their ratios, and the largest "
        "differences of CLs from pyhf's."
    )
    columns = ("specification", "with", "seconds", "ratio", "observed", "expected band")
    rows: list[Cells] = []
    notes: list[str] = []
    for spec, answer in peers.items():
        if "error" in answer:
            rows.append(_row(f"`@{spec}`", answer, _peer))
            continue
        for peer, record in answer["rows"].items():
            rows.append(
                (f"`@{spec}`" if peer == "native" else "", *_row(_NAMES[peer], record, _peer))
            )
            failed = [f"{r['id']}: {r['error']}" for r in record.get("records", []) if "error" in r]
            other = record.get("different", []) if "records" in record else []
            notes += [f"- {_NAMES[peer]}: `@{spec}` {note}" for note in (*failed, *other)]
    table = section(title, columns, rows)
    if not notes:
        return table
    remark = "Where values differ, which fit of pyhf ends farthest from the minimum, in -2 ln L:"
    return "\n".join([table, "", remark, "", *notes])


def _peer(record: Record) -> Cells:
    if "ratio" not in record:
        return [number(record["seconds"]), "1"]
    return [
        number(record["seconds"]),
        number(record["ratio"]),
        f"{record['difference_obs']:.1e}",
        f"{record['difference_exp']:.1e}",
    ]


def _limit_peers(peers: Record) -> str:
    title = (
        "**Upper limits of one hypothesis on one core**, observed and expected; pyhf with numpy, "
        "scipy and its root finding. The difference is the largest relative one of the six limits."
    )
    columns = (
        "specification",
        "hypothesis",
        "fitspec, seconds",
        "pyhf, seconds",
        "ratio",
        "difference",
    )

    def cells(record: Record) -> Cells:
        seconds = [number(record[who]["seconds"]) for who in ("native", "pyhf")]
        ratio, difference = number(record["ratio"]), f"{record['difference']:.1e}"
        return [record["id"], *seconds, ratio, difference]

    return section(title, columns, [_row(f"`@{name}`", peers[name], cells) for name in peers])


def _toys(record: Record | None) -> str:
    if record is None:
        return ""
    title = (
        "**Toys**: CLs of one hypothesis of `@1Lbb` by toys, half of them with signal; the whole "
        "command, and the time of a toy compared with pyhf's, one core each."
    )
    columns = ("hypothesis", "toys", "failed", "seconds", "CLs", "pyhf, seconds a toy", "ratio")

    def cells(record: Record) -> Cells:
        numbers = [number(record[key]) for key in ("seconds", "pyhf_seconds_a_toy", "ratio")]
        CLs = f"{record['CLs_obs']:.3f} ± {record['CLs_error']:.3f}"
        counts = [str(record["toys"]), str(record["failed"])]
        return [*counts, numbers[0], CLs, *numbers[1:]]

    return section(title, columns, [_row(record.get("id", "?"), record, cells)])


def _scaling(records: Sequence[Record]) -> str:
    title = (
        "**Scaling**: `fitspec run FOLDER` with copies of `@1Lbb` that test slightly different "
        "signal strengths, once each."
    )
    columns = ("copies", "hypotheses", "seconds", *_RATE_AND_MEMORY)

    def cells(record: Record) -> Cells:
        seconds = number(record["seconds"]["median"])
        return [_hypotheses(record), seconds, *_rate_and_memory(record)]

    return section(title, columns, [_row(str(r["copies"]), r, cells) for r in records])


def _startup(records: Sequence[Record]) -> str:
    columns = ("command", "seconds (min to max)")
    rows = [_row(record["command"], record, lambda r: [_spread(r)]) for record in records]
    return section("**Without a fit**:", columns, rows)


def _row(name: str, record: Record, cells: Callable[[Record], Cells]) -> Cells:
    """A row, or the reason why there is none."""
    if "error" in record:
        return (name, f"not measured: {record['error']}".replace("|", "/"))
    return (name, *cells(record))


def section(title: str, columns: Cells, rows: Iterable[Cells]) -> str:
    """Title and table; nothing without rows."""
    padded = [[*row, *[""] * (len(columns) - len(row))] for row in rows]
    if not padded:
        return ""
    rule = ["---", *["---:"] * (len(columns) - 1)]
    lines = [f"| {' | '.join(row)} |" for row in (columns, rule, *padded)]
    return "\n".join([title, "", *lines])


def number(value: float | None) -> str:
    """Three digits, and no exponent for a number of ordinary size."""
    if value is None:
        return "?"
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")
