"""Hypothesis strategies for HistFactory workspaces: every modifier, every mix that pyhf accepts.

Numbers are short, rates about 1 to 200, no bin lacks background, no signal is without yield. What
belongs together is drawn together, so that a failing example can lose what it does not need.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain, islice
from typing import Any, NamedTuple

from hypothesis import strategies as st

Json = dict[str, Any]
Strategy = st.SearchStrategy[Any]
Rule = Callable[[float, float], float]
Parameters = dict[str, tuple[str, list[float]]]  # name: modifier type, auxiliary data (or ones)

SIGNALS, BACKGROUNDS = ("signal", "Higgs"), ("ttbar", "fakes", "Zjets")
ALPHAS = ("normsys", "histosys")
SYSTEMATICS = [(name, kind) for name in ("jes", "scale", "Theory") for kind in ALPHAS]
ABSENT: Parameters = {"absent": ("normsys", [0.0])}  # a workspace may configure what it lacks
CONSTRAINTS = dict.fromkeys(ALPHAS, ("auxdata",)) | {"shapesys": ("auxdata", "factors")}
CONSTRAINTS |= dict.fromkeys(("lumi", "staterror"), ("auxdata", "sigmas"))
RATES = st.integers(2, 100).map(lambda k: k / 2)
YIELDS = st.integers(-12, 100).map(lambda k: max(k, 0) / 2)
PULLS = st.sampled_from((0, 1, -1, 2, -2, 3, -3, -math.inf))
SHIFTS = st.just(0) | st.integers(-40, 60)  # %
UNCERTAINTIES = st.integers(-6, 40).map(lambda k: max(k, 0))  # %
DOWN, UP = st.integers(60, 99), st.integers(101, 150)  # %
NORMSYS = (st.just((100, 100)) | st.tuples(DOWN, UP) | st.tuples(UP, UP)).map(
    lambda pair: {"lo": pair[0] / 100, "hi": pair[1] / 100}
)
STEPS, SIGMAS = st.integers(-2, 2), st.integers(2, 30).map(lambda k: k / 100)
GAMMAS = st.tuples(st.sampled_from((0.1, 0.9)), st.sampled_from((1.1, 5.0)))
BOUNDS = dict.fromkeys(ALPHAS, st.tuples(st.integers(-5, -2), st.sampled_from((1.5, 3.0, 8.0))))
BOUNDS["normfactor"] = st.tuples(st.just(0.0), st.sampled_from((5.0, 10.0, 20.0)))


class Plan(NamedTuple):
    """The modifiers of a workspace, of which each sample carries some."""

    poi: str
    factors: list[str]
    systematics: list[tuple[str, str]]  # names and types; a name may have both types
    shape_bins: int  # the channels with so many bins share a shapefactor
    shapesys: bool
    stat: list[str] | None  # who share a staterror in all channels that have them, or None: any


PLANS = st.builds(
    Plan,
    poi=st.sampled_from(("mu", "mu_SIG", "SigXsec")),
    factors=st.lists(st.sampled_from(("k_bkg", "Norm", "lumi")), max_size=3, unique=True),
    systematics=st.lists(st.sampled_from(SYSTEMATICS), max_size=5, unique=True),
    shape_bins=st.sampled_from((0, 0, 0, 1, 2, 3, 4)),
    shapesys=st.booleans(),
    stat=st.lists(st.sampled_from(BACKGROUNDS + SIGNALS), max_size=2, unique=True) | st.none(),
)


@st.composite
def workspaces(draw: st.DrawFn) -> Json:
    """Workspaces with a signal; the parameter of interest of the first measurement scales it."""
    plan = draw(PLANS)
    regions = [draw(_regions(name, plan)) for name in chain(["SR"], _some(draw, ("CR", "VR")))]
    channels, observations = zip(*draw(st.permutations(regions)), strict=True)
    return {
        "channels": list(channels),
        "observations": list(observations),
        "measurements": _measurements(draw, _parameters(channels), plan.poi),
        "version": "1.0.0",
    }


@st.composite
def workspaces_and_patches(draw: st.DrawFn) -> tuple[Json, list[Json]]:
    """Background-only workspaces, and JSON patches that add the signal samples to them.

    At times the patch also removes a channel (whose observation stays), replaces the configuration
    of a parameter, or adds a modifier to a background sample.
    """
    full = draw(workspaces())
    background = copy.deepcopy(full)
    for channel in background["channels"]:
        channel["samples"] = [s for s in channel["samples"] if s["name"] not in SIGNALS]

    removed = draw(st.sampled_from([None, *_removable(full["channels"], full["measurements"])]))
    patch = [*_late_modifier(draw, background, removed), *_reconfiguration(draw, background)]
    for i, channel in enumerate(full["channels"]):
        for sample in channel["samples"] if i != removed else ():
            if sample["name"] in SIGNALS:
                path = f"/channels/{i}/samples/{draw(st.sampled_from('-0'))}"
                patch.append({"op": "add", "path": path, "value": sample})
    if removed is not None:
        patch.append({"op": "remove", "path": f"/channels/{removed}"})
    return background, patch


def parameter_points(low: Sequence[float], high: Sequence[float]) -> st.SearchStrategy[list[float]]:
    """Points near the origin or all over the bounds, often exactly at 0, 1, -1 or a bound."""
    bounds = list(zip(low, high, strict=True))
    near = [(max(lo, min(-1.5, hi)), min(hi, max(1.5, lo))) for lo, hi in bounds]
    inner = (_component(lo, hi, (0.0, 1.0, -1.0)) for lo, hi in near)
    outer = (_component(lo, hi, (0.0, 1.0, -1.0, lo, hi)) for lo, hi in bounds)
    return st.one_of(st.tuples(*inner), st.tuples(*outer)).map(list)


def _component(low: float, high: float, special: Sequence[float]) -> st.SearchStrategy[float]:
    grid = st.integers(0, 100).map(lambda k: min(low + (high - low) * k / 100, high))
    inside = [float(value) for value in special if low <= value <= high]
    return st.sampled_from(inside) | grid if inside else grid


@st.composite
def _regions(draw: st.DrawFn, name: str, plan: Plan) -> tuple[Json, Json]:
    """A channel and its observation; the signal region has a signal, the others may have one."""
    bins = draw(st.integers(1, 4) | st.just(plan.shape_bins or 2))
    pools = (BACKGROUNDS, SIGNALS) if name == "SR" else (BACKGROUNDS,)
    needed = [draw(st.sampled_from(pool)) for pool in pools]
    others = _some(draw, [n for n in BACKGROUNDS + SIGNALS if n not in needed])
    samples: list[Json] = []
    for n in islice(chain(needed, others), 4):
        rates = _each(YIELDS if samples else RATES, bins)
        samples.append(draw(_samples(name, n, rates.filter(any) if n in SIGNALS else rates, plan)))
    _add_staterrors(draw, name, samples, plan)
    observation = {"name": name, "data": _observed(draw, samples)}
    return {"name": name, "samples": draw(st.permutations(samples))}, observation


@st.composite
def _samples(draw: st.DrawFn, region: str, name: str, rates: Strategy, plan: Plan) -> Json:
    """A sample with what the plan has for it; not yet with a staterror."""
    nominal = draw(rates)
    sample: Json = {"name": name, "data": nominal, "modifiers": []}
    if name in SIGNALS:
        _add(sample, plan.poi, "normfactor")
    for factor in _some(draw, plan.factors):
        _add(sample, factor, "lumi" if factor == "lumi" else "normfactor")
    for systematic, kind in _some(draw, plan.systematics):
        data = draw(NORMSYS) if kind == "normsys" else _histosys(draw, nominal)
        _add(sample, systematic, kind, data)
    if plan.shape_bins == len(nominal) and draw(st.booleans()):
        _add(sample, "shape", "shapefactor")
    if plan.shapesys and draw(st.booleans()):
        _add(sample, f"uncert_{region}_{name}", "shapesys", _uncertainties(draw, nominal))
    return sample


def _add_staterrors(draw: st.DrawFn, region: str, samples: list[Json], plan: Plan) -> None:
    """One of the region, or the one of all the regions that have the same carriers."""
    present = [sample["name"] for sample in samples]
    carriers = list(_some(draw, present)) if plan.stat is None else plan.stat
    name = f"stat_{region}" if plan.stat is None else "stat"
    for sample in samples:
        if sample["name"] in carriers and set(carriers) <= set(present):
            _add(sample, name, "staterror", _uncertainties(draw, sample["data"]))
        if draw(st.booleans()):
            sample["modifiers"].reverse()


def _observed(draw: st.DrawFn, samples: list[Json]) -> list[float]:
    """Counts, whole or not, within three standard deviations of the background, or 0."""
    rates = (sample["data"] for sample in samples if sample["name"] in BACKGROUNDS)
    expected = list(map(sum, zip(*rates, strict=True)))
    counts = _moved(draw, expected, PULLS, lambda n, k: max(n + k * math.sqrt(n), 0.0))
    digits = draw(st.sampled_from((None, 1)))
    return [round(count, digits) for count in counts]


def _histosys(draw: st.DrawFn, nominal: list[float]) -> Json:
    """Two sides, or one side twice; some bins, at times all, stay as they are."""
    sides = _moved(draw, nominal * 2, SHIFTS, lambda n, p: max(n + (n or 1) * p / 100, 0.0))
    up, down = sides[: len(nominal)], sides[len(nominal) :]
    return {"hi_data": up, "lo_data": list(up) if draw(st.booleans()) else down}


def _uncertainties(draw: st.DrawFn, nominal: list[float]) -> list[float]:
    """Absolute ones, up to 40 % of the rates; some are zero, some are not where the rate is."""
    return _moved(draw, nominal, UNCERTAINTIES, lambda n, percent: (n or 1.0) * percent / 100)


def _parameters(channels: Sequence[Json]) -> Parameters:
    """Every parameter's modifier type and auxiliary data (ones if it has none), as in pyhf."""
    found: Parameters = {}
    for channel in channels:
        pairs = [(m, sample["data"]) for sample in channel["samples"] for m in sample["modifiers"]]
        for name, (kind, values) in {m["name"]: _auxdata(m, data) for m, data in pairs}.items():
            before = found[name][1] if kind == "staterror" and name in found else []
            found[name] = (kind, before + values)
    return found


def _auxdata(modifier: Json, nominal: list[float]) -> tuple[str, list[float]]:
    kind, data = modifier["type"], modifier["data"]
    if kind == "shapesys":
        pairs = zip(nominal, data, strict=True)
        return kind, [round((n / u) ** 2, 3) if n * u else 1.0 for n, u in pairs]
    values = [0.0] if kind in ALPHAS else [1.0]
    return kind, values * (len(nominal) if kind in ("shapefactor", "staterror") else 1)


def _measurements(draw: st.DrawFn, parameters: Parameters, poi: str) -> list[Json]:
    """Up to three measurements, each with parameters of its own; the first is of the signal."""
    scalars = [name for name, (kind, _) in parameters.items() if kind in ("normfactor", "lumi")]
    measurements = []
    for i, name in enumerate([poi, *draw(st.lists(st.sampled_from(scalars), max_size=2))]):
        configs = [
            _config(draw, parameter, kind, auxdata)
            for parameter, (kind, auxdata) in (parameters | ABSENT).items()
            if kind == "lumi" or draw(st.booleans())
        ]
        for config in configs:
            if config["name"] == name:
                config.pop("fixed", None)
        measurements.append({"name": f"fit_{i}", "config": {"poi": name, "parameters": configs}})
    return measurements


def _config(draw: st.DrawFn, name: str, kind: str, auxdata: list[float]) -> Json:
    """Some of the attributes that pyhf allows; for lumi, all those that it demands."""
    keys = ("inits", "bounds", *CONSTRAINTS.get(kind, ()), "fixed")
    needed = keys[:-1] if kind == "lumi" else ()
    chosen = (key for key in keys if key in needed or draw(st.booleans()))
    return {"name": name, **{key: _attribute(draw, key, kind, auxdata) for key in chosen}}


def _attribute(draw: st.DrawFn, key: str, kind: str, auxdata: list[float]) -> Any:
    if key == "fixed":
        return draw(st.booleans())
    if key == "sigmas":
        return draw(_each(SIGMAS, len(auxdata)))
    if key == "bounds":
        return [list(pair) for pair in draw(_each(BOUNDS.get(kind, GAMMAS), len(auxdata)))]
    if kind in ALPHAS:
        return _moved(draw, auxdata, STEPS, lambda centre, k: centre + k / 4)
    centres = [1.0] * len(auxdata) if key == "inits" else auxdata
    return _moved(draw, centres, STEPS, lambda centre, k: centre * (1 + k / 25))


def _removable(channels: list[Json], measurements: list[Json]) -> list[int]:
    """Channels without which a signal is left and every measurement is still valid."""
    configs = [measurement["config"] for measurement in measurements]
    if any(parameter["name"] == "stat" for c in configs for parameter in c["parameters"]):
        return []  # a value for each bin of several channels
    left = [_parameters(channels[:i] + channels[i + 1 :]) for i in range(len(channels))]
    return [i for i, names in enumerate(left) if all(c["poi"] in names for c in configs)]


def _late_modifier(draw: st.DrawFn, workspace: Json, removed: int | None) -> list[Json]:
    """Take a modifier off some sample, or none, and what puts it back."""
    sites = [
        (f"/channels/{i}/samples/{j}/modifiers", sample["modifiers"], modifier)
        for i, channel in enumerate(workspace["channels"])
        for j, sample in enumerate(channel["samples"])
        for modifier in sample["modifiers"]
        if i != removed and modifier["type"] != "staterror"  # carried alike in all its channels
    ]
    if not sites or draw(st.booleans()):
        return []
    path, modifiers, modifier = draw(st.sampled_from(sites))
    modifiers.remove(modifier)
    return [{"op": "add", "path": f"{path}/{draw(st.sampled_from('-0'))}", "value": modifier}]


def _reconfiguration(draw: st.DrawFn, workspace: Json) -> list[Json]:
    """Change a parameter's configuration, or none, and what changes it back."""
    parameters = _parameters(workspace["channels"]) | ABSENT
    configs = workspace["measurements"][0]["config"]["parameters"]
    places = [j for j, config in enumerate(configs) if config["name"] in parameters]
    if not places or draw(st.booleans()):
        return []
    j = draw(st.sampled_from(places))
    path, value = f"/measurements/0/config/parameters/{j}", configs[j]
    configs[j] = _config(draw, value["name"], *parameters[value["name"]])
    return [{"op": "replace", "path": path, "value": value}]


def _add(sample: Json, name: str, kind: str, data: Any = None) -> None:
    sample["modifiers"].append({"name": name, "type": kind, "data": data})


def _some(draw: st.DrawFn, items: Sequence[Any]) -> Iterator[Any]:
    """Some of the items, each to be used before the next is chosen."""
    return (item for item in items if draw(st.booleans()))


def _moved(draw: st.DrawFn, values: list[float], steps: Strategy, rule: Rule) -> list[float]:
    """What the rule makes of every value and a step drawn for it."""
    pairs = zip(values, draw(_each(steps, len(values))), strict=True)
    return [round(rule(value, step), 3) for value, step in pairs]


@cache  # what takes time is to make a strategy, not to draw from it
def _each(values: Strategy, count: int) -> Strategy:
    return st.lists(values, min_size=count, max_size=count)
