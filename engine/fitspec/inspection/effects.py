"""How much a modifier changes the events of its sample, one standard deviation up and down."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Effect:
    """What a modifier does to the events of one sample of one channel, all bins together.

    Attributes:
        channel, sample: whose modifier it is.
        name, type: of the modifier.
        up, down: relative change at +1 and -1 standard deviation; None where nothing limits it (a
            normfactor), or where there are no events to compare with.
    """

    channel: str
    sample: str
    name: str
    type: str
    up: float | None
    down: float | None


@dataclass(frozen=True, slots=True)
class Extreme:
    """The largest relative change in one direction, and the effect that it belongs to."""

    change: float
    effect: Effect


def effects_of(
    channel: str, sample: Mapping[str, Any], luminosities: Mapping[str, float]
) -> list[Effect]:
    """Effects of a sample's modifiers, in their order.

    Those of shapesys and staterror, which are independent in every bin, are added in quadrature.

    Args:
        channel: the channel's name.
        sample: as in the workspace.
        luminosities: relative uncertainty by name of the luminosities that have one.
    """
    total = math.fsum(sample["data"])
    return [
        Effect(
            channel,
            sample["name"],
            modifier["name"],
            modifier["type"],
            *_changes(modifier, total, luminosities),
        )
        for modifier in sample["modifiers"]
    ]


def extremes(effects: Iterable[Effect]) -> tuple[Extreme | None, Extreme | None]:
    """The largest increase and the largest decrease; None where nothing goes that way."""
    changes = [
        Extreme(change, effect)
        for effect in effects
        for change in (effect.up, effect.down)
        if change is not None
    ]
    highest = max(changes, key=lambda extreme: extreme.change, default=None)
    lowest = min(changes, key=lambda extreme: extreme.change, default=None)
    return (
        highest if highest is not None and highest.change > 0 else None,
        lowest if lowest is not None and lowest.change < 0 else None,
    )


def luminosities_of(measurement: Mapping[str, Any]) -> dict[str, float]:
    """Relative uncertainty by name of the parameters to which a measurement gives a sigma."""
    return {
        parameter["name"]: parameter["sigmas"][0] / parameter["auxdata"][0]
        for parameter in measurement["config"]["parameters"]
        if parameter.get("sigmas") and parameter.get("auxdata") and parameter["auxdata"][0]
    }


def _changes(
    modifier: Mapping[str, Any], total: float, luminosities: Mapping[str, float]
) -> tuple[float | None, float | None]:
    data = modifier["data"]
    match modifier["type"]:
        case "normsys":
            return data["hi"] - 1, data["lo"] - 1
        case "lumi":
            sigma = luminosities.get(modifier["name"])
            return sigma, None if sigma is None else -sigma
        case "histosys":
            return _relative(data["hi_data"], total), _relative(data["lo_data"], total)
        case "shapesys" | "staterror":
            spread = None if total == 0 else math.hypot(*data) / abs(total)
            return spread, None if spread is None else -spread
    return None, None


def _relative(varied: Sequence[float], total: float) -> float | None:
    return None if total == 0 else (math.fsum(varied) - total) / total
