"""Makes the quickstart's workspace, patch grid and expected values; nothing in it is measured.

A search with two signal regions and a control region looks for a pair-produced particle of mass
``m_parent`` that decays to an invisible one of mass ``m_LSP``. The expected values come from pyhf's
own hypothesis test with minuit at a tight tolerance, not from fitspec.

    python examples/make_quickstart.py [FOLDER]
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

LUMINOSITY = 139.0  # fb^-1
MASSES = [(m_parent, m_lsp) for m_parent in (400, 600, 800) for m_lsp in (0, 100, 300)]


def normfactor(name: str) -> dict[str, Any]:
    return {"name": name, "type": "normfactor", "data": None}


def lumi() -> dict[str, Any]:
    return {"name": "lumi", "type": "lumi", "data": None}


def normsys(name: str, up: float, down: float) -> dict[str, Any]:
    return {"name": name, "type": "normsys", "data": {"hi": up, "lo": down}}


def histosys(name: str, nominal: list[float], shifts: list[float]) -> dict[str, Any]:
    up = [round(n * (1 + s), 6) for n, s in zip(nominal, shifts, strict=True)]
    down = [round(n * (1 - 0.9 * s), 6) for n, s in zip(nominal, shifts, strict=True)]
    return {"name": name, "type": "histosys", "data": {"hi_data": up, "lo_data": down}}


def staterror(channel: str, errors: list[float]) -> dict[str, Any]:
    return {"name": f"staterror_{channel}", "type": "staterror", "data": errors}


def workspace() -> dict[str, Any]:
    """Background only: top quarks with a free normalisation, and everything else."""
    yields = {
        "SR_low": {"top": [42.0, 18.0], "other": [21.0, 11.0]},
        "SR_high": {"top": [6.5, 2.1], "other": [5.0, 2.4]},
        "CR_top": {"top": [410.0], "other": [36.0]},
    }
    channels = []
    for channel, samples in yields.items():
        top, other = samples["top"], samples["other"]
        errors = [round(0.06 * math.sqrt(n) + 0.02 * n, 6) for n in top]
        channels.append(
            {
                "name": channel,
                "samples": [
                    {
                        "name": "top",
                        "data": top,
                        "modifiers": [
                            normfactor("mu_top"),
                            histosys("jet_energy_scale", top, [0.04, 0.07][: len(top)]),
                            staterror(channel, errors),
                        ],
                    },
                    {
                        "name": "other",
                        "data": other,
                        "modifiers": [
                            lumi(),
                            normsys("other_cross_section", 1.15, 0.87),
                            histosys("jet_energy_scale", other, [0.03, 0.05][: len(other)]),
                            staterror(channel, [round(0.1 * math.sqrt(n), 6) for n in other]),
                        ],
                    },
                ],
            }
        )
    return {
        "channels": channels,
        "observations": [
            {"name": "SR_low", "data": [66.0, 27.0]},
            {"name": "SR_high", "data": [10.0, 6.0]},
            {"name": "CR_top", "data": [452.0]},
        ],
        "measurements": [
            {
                "name": "search",
                "config": {
                    "poi": "mu_signal",
                    "parameters": [
                        {"name": "lumi", "auxdata": [1.0], "sigmas": [0.017], "inits": [1.0],
                         "bounds": [[0.9, 1.1]]},
                        {"name": "mu_signal", "inits": [1.0], "bounds": [[0.0, 10.0]]},
                    ],
                },
            }
        ],
        "version": "1.0.0",
    }  # fmt: skip


def signal(m_parent: int, m_lsp: int) -> list[dict[str, Any]]:
    """JSON Patch that adds a signal; harder and better separated the larger the mass gap."""
    cross_section = 180.0 * math.exp(-(m_parent - 400) / 130.0)  # fb
    gap = m_parent - m_lsp
    efficiency = 0.002 / (1 + math.exp(-(gap - 350) / 120))
    total = LUMINOSITY * cross_section * efficiency
    hard = 1 / (1 + math.exp(-(gap - 500) / 100))
    shares = {"SR_low": [0.65 * (1 - hard), 0.35 * (1 - hard)], "SR_high": [0.4 * hard, 0.6 * hard]}
    operations = []
    for index, (channel, share) in enumerate(shares.items()):
        data = [round(total * fraction, 6) for fraction in share]
        operations.append(
            {
                "op": "add",
                "path": f"/channels/{index}/samples/-",
                "value": {
                    "name": "signal",
                    "data": data,
                    "modifiers": [
                        normfactor("mu_signal"),
                        lumi(),
                        normsys("signal_scale", 1.08, 0.93),
                        histosys("jet_energy_scale", data, [0.02, 0.06]),
                        staterror(channel, [round(0.05 * n, 6) for n in data]),
                    ],
                },
            }
        )
    return operations


def patchset(background: dict[str, Any]) -> dict[str, Any]:
    import pyhf

    return {
        "metadata": {
            "references": {"hepdata": "ins0000000"},
            "description": "signals of fitspec's quickstart example",
            "labels": ["m_parent", "m_LSP"],
            "digests": {"sha256": pyhf.utils.digest(background)},
        },
        "patches": [
            {
                "metadata": {"name": f"signal_{parent}_{lsp}", "values": [parent, lsp]},
                "patch": signal(parent, lsp),
            }
            for parent, lsp in MASSES
        ],
        "version": "1.0.0",
    }


def expected_values(background: dict[str, Any], patches: dict[str, Any]) -> str:
    """CSV of pyhf's CLs values at mu = 1, one row a signal."""
    import pyhf

    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(tolerance=1e-3, strategy=2))
    signals = pyhf.PatchSet(patches)
    columns = ["CLs_obs", *(f"CLs_exp_{n}" for n in ("m2", "m1", "0", "p1", "p2"))]
    lines = [
        "# CLs values of pyhf.infer.hypotest, minuit, tolerance 1e-3; see make_quickstart.py",
        ",".join(["m_parent", "m_LSP", *columns]),
    ]
    for patch in signals:
        workspace = pyhf.Workspace(patch.apply(background))
        model = workspace.model()
        observed, band = pyhf.infer.hypotest(
            1.0, workspace.data(model), model, test_stat="qtilde", return_expected_set=True
        )
        numbers = [f"{float(value):.6g}" for value in (observed, *band)]
        lines.append(",".join([*map(str, patch.values), *numbers]))
    return "\n".join(lines) + "\n"


def main(folder: Path) -> None:
    background = workspace()
    patches = patchset(background)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "background.json").write_text(json.dumps(background, indent=1) + "\n")
    (folder / "patchset.json").write_text(json.dumps(patches, indent=1) + "\n")
    (folder / "expected.csv").write_text(expected_values(background, patches))


if __name__ == "__main__":
    default = Path(__file__).parent / "quickstart"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
