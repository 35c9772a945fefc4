"""Makes the expected values of the reinterpretation example with pyhf alone.

The signals of ``signal.csv`` are put into the quickstart's workspace by hand, and tested by pyhf's
own hypothesis test with minuit at a tight tolerance.

    python examples/make_reinterpretation.py [FOLDER]
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parent
THEORY = 0.1


def signals() -> list[dict[str, str]]:
    lines = (EXAMPLES / "reinterpretation" / "signal.csv").read_text().splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def with_signal(row: dict[str, str]) -> dict[str, Any]:
    """The quickstart's workspace with one signal."""
    workspace: dict[str, Any] = json.loads((EXAMPLES / "quickstart/background.json").read_text())
    for channel in workspace["channels"]:
        bins = [f"{channel['name']}[{i}]" for i in range(2)]
        if bins[0] not in row:  # the control region
            continue
        events = [float(row[name]) for name in bins]
        modifiers = [
            {"name": "mu_signal", "type": "normfactor", "data": None},
            {"name": "lumi", "type": "lumi", "data": None},
            {"name": "theory", "type": "normsys", "data": {"hi": 1 + THEORY, "lo": 1 - THEORY}},
        ]
        if f"{bins[0]}:unc" in row:
            spread = [n * float(row[f"{name}:unc"]) for n, name in zip(events, bins, strict=True)]
            modifiers.append({"name": "statistics", "type": "shapesys", "data": spread})
        channel["samples"].append({"name": "new", "data": events, "modifiers": modifiers})
    return workspace


def expected_values() -> str:
    """CSV of pyhf's CLs values at mu = 1, one row a signal."""
    import pyhf

    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(tolerance=1e-3, strategy=2))
    columns = ["CLs_obs", *(f"CLs_exp_{n}" for n in ("m2", "m1", "0", "p1", "p2"))]
    lines = [
        "# CLs values of pyhf.infer.hypotest, minuit, tolerance 1e-3; see make_reinterpretation.py",
        ",".join(["m_parent", "m_LSP", *columns]),
    ]
    for row in signals():
        workspace = pyhf.Workspace(with_signal(row))
        model = workspace.model()
        observed, band = pyhf.infer.hypotest(
            1.0, workspace.data(model), model, test_stat="qtilde", return_expected_set=True
        )
        numbers = [f"{float(value):.6g}" for value in (observed, *band)]
        lines.append(",".join([row["m_parent"], row["m_LSP"], *numbers]))
    return "\n".join(lines) + "\n"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "expected.csv").write_text(expected_values())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLES / "reinterpretation")
