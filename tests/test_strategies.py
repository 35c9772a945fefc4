"""What the strategies draw: valid for pyhf, and of every feature that they are there for."""

from __future__ import annotations

import copy
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jsonpatch
import pyhf
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from strategies import SIGNALS, parameter_points, workspaces, workspaces_and_patches

Json = dict[str, Any]

SETTINGS = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
OVERRIDES = {
    "normfactor": {"inits", "bounds", "fixed"},
    "shapefactor": {"inits", "bounds", "fixed"},
    "normsys": {"inits", "bounds", "fixed", "auxdata"},
    "histosys": {"inits", "bounds", "fixed", "auxdata"},
    "lumi": {"inits", "bounds", "fixed", "auxdata", "sigmas"},
    "staterror": {"inits", "bounds", "fixed", "auxdata", "sigmas"},
    "shapesys": {"inits", "bounds", "fixed", "auxdata", "factors"},
}


@settings(SETTINGS, max_examples=40)
@given(workspaces())
def test_a_workspace_is_valid_and_starts_from_a_likely_point(workspace: Json) -> None:
    assert json.loads(json.dumps(workspace)) == workspace
    check(workspace)


@settings(SETTINGS, max_examples=30)
@given(workspaces_and_patches())
def test_a_patch_makes_a_valid_workspace(drawn: tuple[Json, list[Json]]) -> None:
    background, patch = drawn
    before = copy.deepcopy(drawn)
    patched = jsonpatch.apply_patch(background, patch)
    assert (background, patch) == before
    assert json.loads(json.dumps(patch)) == patch
    assert any(use.sample in SIGNALS for use in View(patched).uses)
    check(patched)

    assert not any(use.sample in SIGNALS for use in View(background).uses)
    pyhf.Workspace(background)
    if View(background).uses:  # pyhf has no model without parameters
        for i in range(len(background["measurements"])):
            pyhf.Workspace(background).model(measurement_index=i, poi_name=None)


def check(workspace: Json) -> None:
    """Every measurement's model builds, and is finite where a fit starts."""
    validated = pyhf.Workspace(workspace)
    for measurement in workspace["measurements"]:
        model = validated.model(measurement_name=measurement["name"])
        start, data = model.config.suggested_init(), validated.data(model)
        bounds = model.config.suggested_bounds()
        assert len(data) == model.config.nmaindata + model.config.nauxdata
        assert all(lo <= value <= hi for value, (lo, hi) in zip(start, bounds, strict=True))
        assert not model.config.suggested_fixed()[model.config.poi_index]
        assert math.isfinite(model.logpdf(start, data).item())

        rates = model.main_model.expected_data(start, return_by_sample=True)
        samples = zip(model.config.samples, rates, strict=True)
        assert all(sum(rate for n, rate in samples if n not in SIGNALS) > 0)


# ---- every feature occurs ----


@dataclass(frozen=True)
class Use:
    """A modifier where it stands."""

    channel: str
    sample: str
    nominal: list[float]
    name: str
    kind: str
    data: Any


class View:
    """A workspace as the features below look at it."""

    def __init__(self, workspace: Json) -> None:
        self.channels = workspace["channels"]
        self.names = [channel["name"] for channel in self.channels]
        self.samples = [sample for channel in self.channels for sample in channel["samples"]]
        self.observed = [n for item in workspace["observations"] for n in item["data"]]
        self.configs = [measurement["config"] for measurement in workspace["measurements"]]
        self.pois = [config["poi"] for config in self.configs]
        self.uses = [
            Use(channel["name"], sample["name"], sample["data"], m["name"], m["type"], m["data"])
            for channel in self.channels
            for sample in channel["samples"]
            for m in sample["modifiers"]
        ]
        self.kinds = {use.name: use.kind for use in self.uses}

    def of(self, kind: str) -> list[Use]:
        return [use for use in self.uses if use.kind == kind]

    def groups(self, kind: str) -> list[list[Use]]:
        """The uses of each name."""
        groups = defaultdict(list)
        for use in self.of(kind):
            groups[use.name].append(use)
        return list(groups.values())

    def shared(self, kind: str) -> bool:
        """Whether samples of one channel share a modifier."""
        return any(
            max(Counter(use.channel for use in group).values()) > 1 for group in self.groups(kind)
        )

    def spread(self, kind: str) -> bool:
        """Whether channels share a modifier."""
        return any(len({use.channel for use in group}) > 1 for group in self.groups(kind))

    def sites(self, kind: str) -> set[tuple[str, str, str]]:
        return {(use.name, use.channel, use.sample) for use in self.of(kind)}

    def overrides(self, kind: str) -> list[Json]:
        parameters = [parameter for config in self.configs for parameter in config["parameters"]]
        return [item for item in parameters if self.kinds.get(item["name"]) == kind]

    def stat_bins(self) -> list[tuple[float, ...]]:
        """The uncertainties that make up each staterror parameter."""
        groups = [
            [use.data for use in group if use.channel == channel]
            for group in self.groups("staterror")
            for channel in self.names
        ]
        return [bin_ for group in groups for bin_ in zip(*group, strict=True)]


def moved(use: Use) -> list[bool]:
    pairs = zip(use.nominal, use.data["hi_data"], use.data["lo_data"], strict=True)
    return [not n == hi == lo for n, hi, lo in pairs]


def carriers(view: View, channel: str) -> set[str]:
    return {use.sample for use in view.of("staterror") if use.channel == channel}


FEATURES: dict[str, Callable[[View], bool]] = {
    **{f"{n} channels": lambda v, n=n: len(v.channels) == n for n in (1, 2, 3)},
    **{
        f"{n} bins": lambda v, n=n: any(len(s["data"]) == n for s in v.samples)
        for n in (1, 2, 3, 4)
    },
    **{
        f"{n} samples": lambda v, n=n: any(len(c["samples"]) == n for c in v.channels)
        for n in (1, 2, 3, 4)
    },
    "channels out of order": lambda v: v.names != sorted(v.names),
    "samples out of order": lambda v: any(
        (n := [s["name"] for s in c["samples"]]) != sorted(n) for c in v.channels
    ),
    "samples missing from a channel": lambda v: (
        len({frozenset(s["name"] for s in c["samples"]) for c in v.channels}) > 1
    ),
    "empty bin": lambda v: any(0 in s["data"] for s in v.samples),
    "empty background": lambda v: any(not any(s["data"]) for s in v.samples),
    "empty bin of a signal": lambda v: any(
        0 in s["data"] for s in v.samples if s["name"] in SIGNALS
    ),
    "several signals": lambda v: len({s["name"] for s in v.samples} & set(SIGNALS)) > 1,
    "none observed": lambda v: 0 in v.observed,
    "whole number observed": lambda v: any(isinstance(n, int) for n in v.observed),
    "broken number observed": lambda v: any(n % 1 for n in v.observed),
    "POI of another name": lambda v: v.pois[0] != "mu",
    "POI mu": lambda v: v.pois[0] == "mu",
    "POI lumi": lambda v: "lumi" in v.pois,
    "several measurements": lambda v: len(v.configs) > 1,
    "measurements of different POIs": lambda v: len(set(v.pois)) > 1,
    "same POI, different parameters": lambda v: any(
        a["poi"] == b["poi"] and a != b for a in v.configs for b in v.configs
    ),
    "no parameters configured": lambda v: any(not c["parameters"] for c in v.configs),
    "absent parameter configured": lambda v: any(
        p["name"] not in v.kinds for c in v.configs for p in c["parameters"]
    ),
    "zero uncertainty freed": lambda v: any(
        p.get("fixed") is False for p in v.overrides("staterror")
    ),
    **{f"{kind}": lambda v, k=kind: bool(v.of(k)) for kind in OVERRIDES},
    **{
        f"{key} of {kind}": lambda v, k=kind, a=key: any(a in p for p in v.overrides(k))
        for kind, keys in OVERRIDES.items()
        for key in sorted(keys)
    },
    **{
        f"{kind} fixed": lambda v, k=kind: any(p.get("fixed") for p in v.overrides(k))
        for kind in OVERRIDES
    },
    **{
        f"{kind} shared in a channel": lambda v, k=kind: v.shared(k)
        for kind in OVERRIDES
        if kind != "shapesys"
    },
    **{
        f"{kind} over channels": lambda v, k=kind: v.spread(k)
        for kind in OVERRIDES
        if kind != "shapesys"
    },
    "several normfactors": lambda v: len(v.groups("normfactor")) > 2,
    "normfactor of signal and background": lambda v: any(
        {use.sample in SIGNALS for use in group} == {True, False}
        for group in v.groups("normfactor")
    ),
    "two factors on a sample": lambda v: (
        max(Counter((u.channel, u.sample) for u in v.of("normfactor")).values()) > 1
    ),
    "normsys of 1": lambda v: any(use.data == {"hi": 1, "lo": 1} for use in v.of("normsys")),
    "normsys one-sided": lambda v: any(
        use.data["lo"] > 1 and use.data["hi"] > 1 for use in v.of("normsys")
    ),
    "normsys two-sided": lambda v: any(
        use.data["lo"] < 1 < use.data["hi"] for use in v.of("normsys")
    ),
    "histosys as nominal": lambda v: any(not any(moved(use)) for use in v.of("histosys")),
    "histosys of some bins": lambda v: any(len(set(moved(use))) > 1 for use in v.of("histosys")),
    "histosys one-sided": lambda v: any(
        any(moved(use)) and use.data["hi_data"] == use.data["lo_data"] for use in v.of("histosys")
    ),
    "histosys of an empty bin": lambda v: any(
        not n and m
        for use in v.of("histosys")
        for n, m in zip(use.nominal, moved(use), strict=True)
    ),
    "normsys and histosys of one name at once": lambda v: bool(
        v.sites("normsys") & v.sites("histosys")
    ),
    "normsys here, histosys there": lambda v: any(
        one[0] == two[0]
        for one in v.sites("normsys")
        for two in v.sites("histosys")
        if one[1:] != two[1:]
    ),
    "shapesys of several samples": lambda v: len(v.of("shapesys")) > 1,
    "shapesys of a signal": lambda v: any(use.sample in SIGNALS for use in v.of("shapesys")),
    "shapesys without uncertainty": lambda v: any(
        n and not u for use in v.of("shapesys") for n, u in zip(use.nominal, use.data, strict=True)
    ),
    "shapesys without rate": lambda v: any(
        u and not n for use in v.of("shapesys") for n, u in zip(use.nominal, use.data, strict=True)
    ),
    "staterror not on all samples": lambda v: any(
        0 < len(carriers(v, c["name"])) < len(c["samples"]) for c in v.channels
    ),
    "staterror not in all channels": lambda v: any(
        carriers(v, one) and not carriers(v, two) for one in v.names for two in v.names
    ),
    "staterror of a signal": lambda v: any(use.sample in SIGNALS for use in v.of("staterror")),
    "staterror without uncertainty": lambda v: any(not any(bin_) for bin_ in v.stat_bins()),
    "staterror partly without uncertainty": lambda v: any(0 in b and any(b) for b in v.stat_bins()),
}

PATCHES: dict[str, Callable[[Json, list[Json]], bool]] = {
    "sample at the end": lambda _, patch: any(o["path"].endswith("samples/-") for o in patch),
    "sample at the start": lambda _, patch: any(o["path"].endswith("samples/0") for o in patch),
    "several samples": lambda _, patch: sum(o["path"].count("/") == 4 for o in patch) > 1,
    "modifier": lambda _, patch: any("/modifiers/" in o["path"] for o in patch),
    "modifier at the start": lambda _, patch: any(o["path"].endswith("modifiers/0") for o in patch),
    "channel removed": lambda _, patch: any(o["op"] == "remove" for o in patch),
    "channel removed before another": lambda background, patch: any(
        o["op"] == "remove" and int(o["path"].split("/")[2]) < len(background["channels"]) - 1
        for o in patch
    ),
    "parameter replaced": lambda _, patch: any(o["op"] == "replace" for o in patch),
    "signals only": lambda _, patch: all(o["path"][-9:-1] == "samples/" for o in patch),
}


def test_every_feature_occurs() -> None:
    views = [View(workspace) for workspace in sample(workspaces(), 300)]
    assert not [name for name, has in FEATURES.items() if not any(map(has, views))]


def test_every_kind_of_patch_occurs() -> None:
    drawn = sample(workspaces_and_patches(), 120)
    assert not [name for name, has in PATCHES.items() if not any(has(*pair) for pair in drawn)]


def test_points_are_within_bounds_and_at_times_on_them() -> None:
    low, high = [-5.0, 0, 1e-10, 0.915, 2.0], [5.0, 10, 10.0, 1.085, 3.0]
    points = sample(parameter_points(low, high), 300)
    assert all(
        lo <= x <= hi for point in points for lo, x, hi in zip(low, point, high, strict=True)
    )
    assert all(isinstance(value, float) for point in points for value in point)
    columns = [Counter(column) for column in zip(*points, strict=True)]
    for column, lo, hi in zip(columns, low, high, strict=True):
        special = [value for value in (lo, hi, 0.0, 1.0, -1.0) if lo <= value <= hi]
        assert all(column[value] for value in special)
        assert len(column) > 20
    assert sum(all(abs(value) <= 3 for value in point) for point in points) > 100


def sample(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """Examples of a strategy, every time the same."""
    drawn = []

    @settings(SETTINGS, max_examples=count, phases=[Phase.generate])
    @given(strategy)
    def collect(example: Any) -> None:
        drawn.append(example)

    collect()
    return drawn
