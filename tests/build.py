"""Small workspaces by hand: what a test says about its model, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]


def workspace(
    *channels: tuple[Json, list[float]], poi: str = "mu", parameters: Sequence[Json] = ()
) -> Json:
    """Channels with their observed events, and one measurement, ``fit``."""
    return {
        "channels": [channel for channel, _ in channels],
        "observations": [{"name": c["name"], "data": observed} for c, observed in channels],
        "measurements": [{"name": "fit", "config": {"poi": poi, "parameters": list(parameters)}}],
        "version": "1.0.0",
    }


def region(observed: list[float], *samples: Json, name: str = "SR") -> tuple[Json, list[float]]:
    return {"name": name, "samples": list(samples)}, observed


def sample(name: str, data: list[float], *modifiers: Json) -> Json:
    return {"name": name, "data": data, "modifiers": list(modifiers)}


def signal(data: list[float], *modifiers: Json) -> Json:
    """A sample that ``mu`` scales."""
    return sample("signal", data, normfactor("mu"), *modifiers)


def background(data: list[float], *modifiers: Json) -> Json:
    return sample("background", data, *modifiers)


def modifier(kind: str, name: str, data: Any = None) -> Json:
    return {"name": name, "type": kind, "data": data}


def normfactor(name: str) -> Json:
    return modifier("normfactor", name)


def lumi(name: str = "lumi") -> Json:
    return modifier("lumi", name)


def normsys(name: str, lo: float, hi: float) -> Json:
    return modifier("normsys", name, {"lo": lo, "hi": hi})


def histosys(name: str, lo: list[float], hi: list[float]) -> Json:
    return modifier("histosys", name, {"lo_data": lo, "hi_data": hi})


def shapefactor(name: str) -> Json:
    return modifier("shapefactor", name)


def shapesys(name: str, data: list[float]) -> Json:
    return modifier("shapesys", name, data)


def staterror(name: str, data: list[float]) -> Json:
    return modifier("staterror", name, data)


LUMI: Json = {
    "name": "lumi", "inits": [1.0], "bounds": [[0.9, 1.1]], "auxdata": [1.0], "sigmas": [0.02]
}  # fmt: skip
"""How a measurement configures a luminosity."""
