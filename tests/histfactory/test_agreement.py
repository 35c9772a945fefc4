"""Agreement with pyhf: values, derivatives, minima, and the CLs that follow."""

from __future__ import annotations

import functools
import tarfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference import (
    ALL_CODES,
    SETTINGS,
    SMOOTH_OR_KINKED,
    Pair,
    central_differences,
    check_expected,
    check_parameters,
    check_value,
)
from strategies import parameter_points, workspaces

from fitspec.errors import InferenceError
from fitspec.histfactory import apply_patch
from fitspec.histfactory.model import Compiler
from fitspec.inference import Question
from fitspec.inference import test_hypotheses as run_tests  # pytest would collect the name itself
from fitspec.inference.backends.native import NativeLikelihood
from fitspec.inference.backends.pyhf import open_likelihood
from fitspec.outcome import Outcome

Json = dict[str, Any]

SLACK = 1e-6
"""How far, in -2 ln L, a minimum may be above that of pyhf."""

SAME = 1e-5
"""How near, in -2 ln L, minima are that count as the same."""

# ---- values ----


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    """Any measurement of a workspace, with any interpolation."""
    spec = draw(workspaces())
    name = draw(st.sampled_from(spec["measurements"]))["name"]
    return Pair(spec, name, draw(st.sampled_from(ALL_CODES)))


def points(pair: Pair) -> st.SearchStrategy[np.ndarray]:
    """Parameters anywhere between their bounds, and on them."""
    p = pair.parameters
    return parameter_points(p.low.tolist(), p.high.tolist()).map(np.array)


@settings(SETTINGS, max_examples=60)
@given(pairs(), st.data())
def test_value_and_expected_events_are_those_of_pyhf(pair, data):
    check_parameters(pair)
    for theta in data.draw(st.lists(points(pair), min_size=3, max_size=3)):
        check_value(pair, theta)
        check_expected(pair, theta)


@settings(SETTINGS, max_examples=40)
@given(pairs(), st.data())
def test_asimov_data_are_those_of_pyhf(pair, data):
    theta, other = (data.draw(points(pair)) for _ in range(2))
    theirs = pair.their_asimov(theta)
    assume((theirs >= 0).all())
    ours = pair.likelihood.asimov(theta)

    assert pair.in_their_layout(ours) == pytest.approx(theirs, rel=1e-9, abs=1e-9)
    for at in (theta, other):
        check_value(pair, at, ours, theirs)


# ---- the published likelihoods ----

ARCHIVES = {
    "1Lbb": "1Lbb-likelihoods.tar.gz",
    "sbottom": "SUSY-2018-31_likelihoods.tar.gz",
    "stau": "SUSY-2018-04_likelihoods.tar.gz",
}
POINTS = (
    ("1Lbb", "", "C1N2_Wh_hbb_900_250"),
    ("1Lbb", "", "C1N2_Wh_hbb_550_0"),  # at mu = 1 with two minima
    ("sbottom", "RegionA/", "sbottom_1300_205_60"),
    ("sbottom", "RegionB/", "sbottom_900_850_60"),
    ("sbottom", "RegionC/", "sbottom_1600_850_60"),
    ("stau", "Region-combined/", "DS_240_40_Staus"),
    ("stau", "Region-lowMass/", "DS_180_1_Staus"),
    ("stau", "Region-highMass/", "DS_360_40_Staus"),
)
IDS = ["-".join(filter(None, (name, folder.rstrip("/")))) for name, folder, _ in POINTS]
IDS[1] += "-two-minima"


@functools.cache
def members(archive: Path) -> dict[str, bytes]:
    """The JSON files that the points above need."""
    wanted = {f"{folder}BkgOnly.json" for _, folder, _ in POINTS} | {"patchset.json"}
    wanted |= {f"{folder}patch.{patch}.json" for _, folder, patch in POINTS}
    with tarfile.open(archive) as opened:
        return {m.name: opened.extractfile(m).read() for m in opened if m.name in wanted}


@functools.cache
def published(mirror: Path, name: str, folder: str, patch: str) -> Json:
    """A published workspace with one of its signals."""
    files = members(mirror / ARCHIVES[name])
    if name == "1Lbb":
        patches = orjson.loads(files["patchset.json"])["patches"]
        operations = next(p["patch"] for p in patches if p["metadata"]["name"] == patch)
        content = orjson.dumps(operations)
    else:
        content = files[f"{folder}patch.{patch}.json"]
    return apply_patch(orjson.loads(files[f"{folder}BkgOnly.json"]), content, patch)


@pytest.mark.data
@pytest.mark.parametrize("point", POINTS, ids=IDS)
def test_a_published_likelihood_is_that_of_pyhf(point, mirror):
    pair = Pair(published(mirror, *point))
    check_parameters(pair)
    p = pair.parameters
    rng = np.random.default_rng(1)
    near = [np.clip(p.inits + rng.normal(0, 0.5, len(p.names)), p.low, p.high) for _ in range(5)]
    for theta in (p.inits, pair.point(**{p.names[pair.model.poi]: 0.0}), p.low, p.high, *near):
        check_value(pair, theta)
        check_expected(pair, theta)
    ours, theirs = pair.likelihood.asimov(p.inits), pair.their_asimov(p.inits)
    assert pair.in_their_layout(ours) == pytest.approx(theirs, rel=1e-9)
    check_value(pair, near[0], ours, theirs)


@pytest.mark.data
@pytest.mark.parametrize("point", POINTS, ids=IDS)
def test_derivatives_of_a_published_likelihood_are_differences(point, mirror):
    pair = Pair(published(mirror, *point))
    likelihood, observed, p = pair.likelihood, pair.observed, pair.parameters
    rng = np.random.default_rng(2)
    theta = p.inits + rng.uniform(-0.3, 0.3, len(p.names)) * np.where(p.normal, p.sigma, 1)
    steps = np.full(len(theta), 1e-5)

    value, gradient, hessian, scoring = likelihood.expand(theta, observed)
    assert value == likelihood.value(theta, observed)
    assert gradient == pytest.approx(likelihood.slope(theta, observed)[1], rel=1e-9, abs=1e-10)
    slopes = central_differences(lambda x: likelihood.value(x, observed), theta, steps)
    assert gradient == pytest.approx(slopes, rel=1e-6, abs=1e-6 * np.abs(gradient).max())
    curvatures = central_differences(lambda x: likelihood.slope(x, observed)[1], theta, steps)
    assert np.abs(hessian - curvatures).max() < 1e-8 * np.abs(hessian).max()
    assert np.linalg.eigvalsh(scoring)[0] > -1e-9 * np.abs(scoring).max()


# ---- minima, and what follows from them ----


def ask(spec: Json, codes: tuple[str, str], backend: str, optimizer: str = "scipy") -> Outcome:
    """The test of mu = 1, and all the fits it takes."""
    name = spec["measurements"][0]["name"]
    question = Question(name, (1.0,), "qtilde", *codes, backend, "numpy", optimizer)
    if backend == "native":
        return run_tests(NativeLikelihood(Compiler(spec), spec, question), question)
    with warnings.catch_warnings(), open_likelihood(spec, question) as likelihood:
        warnings.simplefilter("ignore")  # pyhf's minimisers probe where numbers overflow
        return run_tests(likelihood, question)


@dataclass
class Comparison:
    """How our fits and CLs compare to those of pyhf."""

    ours: Outcome
    theirs: Outcome

    @property
    def gaps(self) -> dict[str, float]:
        """-2 ln L of our minima minus theirs, for the observed data."""
        ours, theirs = (
            {f"mu = {fit.mu}": fit.twice_nll for fit in outcome.fits if fit.data == "observed"}
            for outcome in (self.ours, self.theirs)
        )
        return {fit: ours[fit] - theirs[fit] for fit in ours.keys() & theirs.keys()}

    @property
    def same_minima(self) -> bool:
        """Whether every fit ends in the same minimum, those to Asimov data included."""
        ours, theirs = (
            {(fit.data, fit.mu): fit.twice_nll for fit in outcome.fits}
            for outcome in (self.ours, self.theirs)
        )
        return all(abs(ours[fit] - theirs[fit]) < SAME for fit in ours.keys() & theirs.keys())

    @property
    def has_power(self) -> bool:
        """Otherwise CLs is next to 1, and made of the square roots of rounding errors."""
        return all(test.q_asimov > 0.01 for test in (*self.ours.tests, *self.theirs.tests))

    def check(self, record: Callable[[str, object], None]) -> None:
        """Our minima are nowhere above; CLs is the same where they are."""
        record("below pyhf", {fit: gap for fit, gap in self.gaps.items() if gap < -SLACK})
        assert max(self.gaps.values()) <= SLACK, self.gaps
        if self.same_minima and self.has_power:
            for ours, theirs in zip(self.ours.tests, self.theirs.tests, strict=True):
                expected = pytest.approx([theirs.CLs_obs, *theirs.CLs_exp], rel=1e-4, abs=1e-6)
                assert [ours.CLs_obs, *ours.CLs_exp] == expected


@pytest.mark.data
# one 1Lbb point costs pyhf a minute; inference/test_published_minima.py has one with several minima
@pytest.mark.parametrize("point", POINTS[2:], ids=IDS[2:])
def test_minima_of_a_published_likelihood_are_not_above_those_of_pyhf(
    point, mirror, record_property
):
    spec = published(mirror, *point)
    comparison = Comparison(
        ask(spec, SMOOTH_OR_KINKED[0], "native"), ask(spec, SMOOTH_OR_KINKED[0], "pyhf")
    )

    comparison.check(record_property)
    assert comparison.has_power


def two_sided(spec: Json) -> Json:
    """The workspace with variations that have one side up and one side down.

    Variations with both sides up have a minimum on either side, and pyhf may find the other one.
    """
    for modifier, nominal in (
        (modifier, sample["data"])
        for channel in spec["channels"]
        for sample in channel["samples"]
        for modifier in sample["modifiers"]
    ):
        data = modifier["data"]
        if modifier["type"] == "normsys" and data["lo"] > 1:
            data["lo"] = round(1 / data["hi"], 3)
        if modifier["type"] == "histosys":
            data["lo_data"] = [
                lo if (hi - n) * (n - lo) > 0 else max(round(2 * n - hi, 3), 0.0)
                for n, lo, hi in zip(nominal, data["lo_data"], data["hi_data"], strict=True)
            ]
    return spec


def compared(spec: Json, codes: tuple[str, str], optimizer: str) -> Comparison:
    """Both answers, if pyhf has one."""
    try:
        theirs = ask(spec, codes, "pyhf", optimizer)
    except InferenceError:
        assume(False)
    return Comparison(ask(spec, codes, "native"), theirs)


@settings(SETTINGS, max_examples=20)
@given(workspaces().map(two_sided), st.sampled_from(SMOOTH_OR_KINKED))
def test_minima_are_not_above_those_of_slsqp(spec, codes):
    compared(spec, codes, "scipy").check(lambda *_: None)
