"""What a workspace holds: channels, samples, modifiers, measurements and parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from fitspec.errors import WorkspaceError
from fitspec.histfactory import require_consistent
from fitspec.histfactory.likelihood import Likelihood
from fitspec.histfactory.model import Compiler, Model
from fitspec.inspection.effects import Effect, Extreme, effects_of, extremes, luminosities_of

MODIFIERS = ("normfactor", "lumi", "normsys", "histosys", "shapesys", "staterror", "shapefactor")
"""Types of modifiers, in the order in which they are listed."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample of a channel.

    Attributes:
        channel, name: where it is, and what it is called.
        signal: it carries the POI.
        data: nominal events by bin.
        modifiers: their number by type.
        largest: the largest relative increase and decrease of its events.
    """

    channel: str
    name: str
    signal: bool
    data: tuple[float, ...]
    modifiers: Mapping[str, int]
    largest: tuple[Extreme | None, Extreme | None]

    @property
    def events(self) -> float:
        """Nominal events of all bins."""
        return math.fsum(self.data)


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel.

    Attributes:
        name: of the channel.
        observed: events by bin; empty where they are absent.
        nominal: events of all samples by bin.
        expected: events by bin at the starting values of all parameters; None where no likelihood
            can be made of the workspace.
        samples: in the workspace's order.
    """

    name: str
    observed: tuple[float, ...]
    nominal: tuple[float, ...]
    expected: tuple[float, ...] | None
    samples: tuple[Sample, ...]

    @property
    def signal(self) -> float:
        """Nominal events of the samples that carry the POI."""
        return math.fsum(sample.events for sample in self.samples if sample.signal)


@dataclass(frozen=True, slots=True)
class Modifiers:
    """All modifiers of one type: how many, of how many names, and the largest of their effects."""

    type: str
    number: int
    names: int
    largest: tuple[Extreme | None, Extreme | None]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the likelihood.

    Attributes:
        name: those of one bin carry its index.
        types: of the modifiers behind it.
        init, low, high: starting value and bounds.
        constraint: ``normal``, ``poisson`` or None.
        width: sigma of a normal constraint, 1 / sqrt(auxiliary events) of a Poisson one.
        fixed: it is not fitted.
        configured: the measurement says something about it.
    """

    name: str
    types: tuple[str, ...]
    init: float
    low: float
    high: float
    constraint: str | None
    width: float | None
    fixed: bool
    configured: bool

    @property
    def role(self) -> str:
        """``fixed``, ``constrained`` or ``free``."""
        if self.fixed:
            return "fixed"
        return "free" if self.constraint is None else "constrained"


@dataclass(frozen=True, slots=True)
class Summary:
    """A workspace as one of its measurements sees it.

    Attributes:
        measurements: POI by name of all measurements.
        measurement: name of the one in use.
        poi: name of the POI.
        channels: in the workspace's order.
        modifiers: by type.
        parameters: of the likelihood; None where none can be made of the workspace.
        broken: why not; None if it can.
    """

    measurements: Mapping[str, str]
    measurement: str
    poi: str
    channels: tuple[Channel, ...]
    modifiers: tuple[Modifiers, ...]
    parameters: tuple[Parameter, ...] | None
    broken: str | None


def summarise(workspace: Mapping[str, Any], measurement: Mapping[str, Any], poi: str) -> Summary:
    """What a workspace holds.

    Args:
        workspace: valid against the schema, but not necessarily consistent.
        measurement: one of its measurements.
        poi: name of the POI.
    """
    model, broken = _compiled(workspace, measurement["name"], poi)
    expected = {} if model is None else _expected(model)
    observed = {o["name"]: tuple(o["data"]) for o in workspace["observations"]}
    luminosities = luminosities_of(measurement)
    effects: list[Effect] = []
    channels = []
    for channel in workspace["channels"]:
        samples = []
        for sample in channel["samples"]:
            own = effects_of(channel["name"], sample, luminosities)
            effects += own
            samples.append(_sample(channel["name"], sample, own, poi))
        name = channel["name"]
        nominal = _sums([sample.data for sample in samples])
        channels.append(
            Channel(name, observed.get(name, ()), nominal, expected.get(name), tuple(samples))
        )
    return Summary(
        measurements={m["name"]: m["config"]["poi"] for m in workspace["measurements"]},
        measurement=measurement["name"],
        poi=poi,
        channels=tuple(channels),
        modifiers=tuple(_by_type(effects)),
        parameters=None if model is None else tuple(_parameters(model, workspace, measurement)),
        broken=broken,
    )


def _compiled(
    workspace: Mapping[str, Any], measurement: str, poi: str
) -> tuple[Model | None, str | None]:
    try:
        require_consistent(workspace, measurement, poi, needs_poi=False)
        model = Compiler(workspace).compile(workspace, measurement, poi, needs_poi=False)
    except WorkspaceError as error:
        return None, str(error)
    return model, None


def _expected(model: Model) -> dict[str, tuple[float, ...]]:
    """Events by channel at the starting values."""
    found: dict[str, tuple[float, ...]] = {}
    with np.errstate(all="ignore"):  # a starting value may be far outside of what makes sense
        events = Likelihood(model).expected(model.parameters.inits).tolist()
    for (channel, _), value in zip(model.bins, events, strict=True):
        found[channel] = (*found.get(channel, ()), value)
    return found


def _sample(channel: str, sample: Mapping[str, Any], effects: Sequence[Effect], poi: str) -> Sample:
    types = [effect.type for effect in effects]
    return Sample(
        channel=channel,
        name=sample["name"],
        signal=any(effect.name == poi for effect in effects),
        data=tuple(sample["data"]),
        modifiers={kind: types.count(kind) for kind in MODIFIERS if kind in types},
        largest=extremes(effects),
    )


def _sums(data: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Bin by bin; samples that are too short, which only a broken workspace has, count as far as
    they go."""
    return tuple(math.fsum(column) for column in zip_longest(*data, fillvalue=0.0))


def _by_type(effects: Sequence[Effect]) -> list[Modifiers]:
    found = []
    for kind in MODIFIERS:
        own = [effect for effect in effects if effect.type == kind]
        if own:
            names = {effect.name for effect in own}
            found.append(Modifiers(kind, len(own), len(names), extremes(own)))
    return found


def _parameters(
    model: Model, workspace: Mapping[str, Any], measurement: Mapping[str, Any]
) -> list[Parameter]:
    types: dict[str, set[str]] = {}
    for channel in workspace["channels"]:
        for sample in channel["samples"]:
            for modifier in sample["modifiers"]:
                types.setdefault(modifier["name"], set()).add(modifier["type"])
    configured = {parameter["name"] for parameter in measurement["config"]["parameters"]}
    p = model.parameters
    found = []
    for row, name in enumerate(p.names):
        base = name if name in types else name.rpartition("[")[0]
        constraint = "normal" if p.normal[row] else "poisson" if p.poisson[row] else None
        width = p.sigma[row] if p.normal[row] else p.factor[row] ** -0.5 if p.poisson[row] else None
        found.append(
            Parameter(
                name=name,
                types=tuple(kind for kind in MODIFIERS if kind in types[base]),
                init=float(p.inits[row]),
                low=float(p.low[row]),
                high=float(p.high[row]),
                constraint=constraint,
                width=None if width is None else float(width),
                fixed=bool(p.fixed[row]),
                configured=base in configured,
            )
        )
    return found
