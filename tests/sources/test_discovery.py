"""Model-independent signals: the POI counts events, in one bin at a time."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from build import background, normsys, region, sample, signal, workspace
from scipy.stats import norm

from fitspec.errors import SourceError
from fitspec.histfactory import apply_patch, require_consistent
from fitspec.histfactory.model import Compiler
from fitspec.inference import Question
from fitspec.inference import test_hypotheses as run_tests  # pytest would collect the name itself
from fitspec.inference.backends.native import NativeLikelihood
from fitspec.outcome import Outcome
from fitspec.sources import Background, Discovery, load_background, open_archive


def loaded(content: dict[str, Any]) -> Background:
    return load_background(json.dumps(content).encode(), "bkg.json", None)


def discovery(found: Background, *names: str) -> Discovery:
    measurement = found.measurement(None)
    return Discovery(found, measurement, measurement["config"]["poi"], names)


def outcome_of(found: Background, name: str, *mus: float, statistic: str = "qtilde") -> Outcome:
    """The numbers of the hypothesis that one event comes in this bin."""
    patch = discovery(found, name).read([f"discovery_{name}"])[f"discovery_{name}"]
    patched = apply_patch(found.content, patch, name)
    measurement = found.content["measurements"][0]["name"]
    require_consistent(patched, measurement)
    question = Question(
        measurement, mus, statistic, "code4", "code4p", "native", "numpy", "scipy"
    )  # fmt: skip
    return run_tests(NativeLikelihood(Compiler(found.content), patched, question), question)


@pytest.fixture
def two_regions() -> Background:
    return loaded(
        workspace(
            region([6.0], background([4.0]), name="SR_HM"),
            region([90.0, 30.0], background([88.0, 31.0], normsys("scale", 0.9, 1.1)), name="SR"),
        )
    )


def test_each_name_is_a_hypothesis_of_its_own(two_regions):
    found = discovery(two_regions, "SR_HM", "SR[1]")

    assert found.labels == {
        "discovery_SR_HM": {"channel": "SR_HM"}, "discovery_SR[1]": {"channel": "SR[1]"}
    }  # fmt: skip
    patched = apply_patch(
        two_regions.content, found.read(["discovery_SR[1]"])["discovery_SR[1]"], "discovery_SR[1]"
    )
    assert patched["channels"][0] == two_regions.content["channels"][0]
    assert patched["channels"][1]["samples"][-1] == signal([0.0, 1.0])


def test_the_poi_may_be_as_large_as_the_data_allow(two_regions):
    found = discovery(two_regions, "SR_HM", "SR[1]")

    assert found.poi_bounds == (0.0, 10 + 2 * (6.0 + 4.0))
    [config] = [m["config"] for m in patched(two_regions, "SR[1]")["measurements"]]
    assert config["parameters"] == [{"name": "mu", "bounds": [[0.0, 10 + 2 * (30.0 + 31.0)]]}]


@pytest.mark.parametrize(
    ("given", "bounds"),
    [
        ({"bounds": [[-5.0, 5.0]], "inits": [0.5]}, [[-5.0, 30.0]]),
        ({"bounds": [[0.0, 100.0]]}, [[0.0, 100.0]]),
        ({"inits": [0.5]}, [[0.0, 30.0]]),
    ],
    ids=["negative too", "wider", "none"],
)
def test_what_the_measurement_says_of_the_poi_is_kept(given, bounds):
    others = [{"name": "scale", "inits": [0.1]}]
    content = workspace(
        region([6.0], background([4.0], normsys("scale", 0.9, 1.1))),
        parameters=[*others, {"name": "mu", **given}],
    )
    [measurement] = patched(loaded(content), "SR")["measurements"]
    assert measurement["config"]["parameters"] == [
        *others,
        {"name": "mu", **given, "bounds": bounds},
    ]


def patched(found: Background, name: str) -> dict[str, Any]:
    patch = discovery(found, name).read([f"discovery_{name}"])[f"discovery_{name}"]
    return apply_patch(found.content, patch, name)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["SR"], r"channel 'SR' has 2 bins; name one of SR\[0\] to SR\[1\]"),
        (["SR_MH"], "no channel or bin 'SR_MH'; did you mean 'SR_HM'"),
        (["SR_HM", "SR_HM"], "two patches are called 'discovery_SR_HM'"),
    ],
)
def test_a_name_that_is_no_bin_or_comes_twice_is_refused(two_regions, names, problem):
    with pytest.raises(SourceError, match=problem):
        discovery(two_regions, *names)


def counting(observed: float, expected: float) -> Background:
    """A counting experiment whose background is known."""
    return loaded(workspace(region([observed], sample("background", [expected]))))


@pytest.mark.parametrize(("observed", "expected"), [(10.0, 4.0), (60.0, 30.0), (3.0, 5.0)])
def test_p0_of_a_counting_experiment_is_its_closed_form(observed, expected):
    found = outcome_of(counting(observed, expected), "SR", statistic="q0")

    q0 = 2 * (observed * math.log(observed / expected) - (observed - expected))
    q0 = q0 if observed > expected else 0.0
    assert found.discovery.q0 == pytest.approx(q0, rel=1e-6, abs=1e-9)
    assert found.discovery.p0 == pytest.approx(norm.sf(math.sqrt(q0)), rel=1e-6)
    assert found.mu_hat == pytest.approx(max(observed - expected, 0), abs=1e-4)


@pytest.mark.parametrize(("observed", "expected", "mu"), [(10, 4, 14.0), (60, 30, 45.0), (3, 3, 5)])
def test_cls_of_a_counting_experiment_is_its_closed_form(observed, expected, mu):
    [test] = outcome_of(counting(observed, expected), "SR", mu).tests

    def q(n: float) -> float:
        """Eq. 16 for mu_hat = n - b between 0 and mu."""
        return 2 * (mu + expected - n + n * math.log(n / (mu + expected)))

    sigmas = math.sqrt(q(expected))
    p_sb = norm.sf(math.sqrt(q(observed)))
    p_b = norm.sf(math.sqrt(q(observed)) - sigmas)
    assert (test.q, test.q_asimov) == pytest.approx((q(observed), q(expected)), rel=1e-6)
    assert test.CLs_obs == pytest.approx(p_sb / p_b, rel=1e-6)
    assert test.CLs_exp[2] == pytest.approx(norm.sf(sigmas) / 0.5, rel=1e-6)


PUBLISHED = {
    "Region-lowMass": ("SR1cut_cuts", "SRlowMass"),
    "Region-highMass": ("SR2cut_cuts", "SRhighMass"),
}
"""Signal region of each stau workspace, there and in the paper (arXiv:1911.06660)."""

BY_PYHF = {
    "Region-lowMass": (0.04516442, 0.11625994),
    "Region-highMass": (0.07219602, 0.5),
}
"""CLs at the published limit, and p0: pyhf 0.7.6, minuit at tolerance 1e-3, POI in [0, 40]."""


def stau(mirror: Path, folder: str) -> Background:
    path = f"{folder}/BkgOnly.json"
    archive = open_archive(mirror / "SUSY-2018-04_likelihoods.tar.gz")
    return load_background(archive.read([path])[path], path, None)


@pytest.mark.data
@pytest.mark.parametrize("folder", PUBLISHED)
def test_published_limits_on_events_have_a_cls_of_5_percent(mirror: Path, folder: str):
    """The paper's are from toys, ours asymptotic; what pyhf finds at them is ours, too."""
    with (mirror / "published" / "discovery-limits.csv").open() as file:
        rows = {row["region"]: row for row in csv.DictReader(file)}
    channel, region_name = PUBLISHED[folder]
    row = rows[region_name]
    found = stau(mirror, folder)
    [here] = (o["data"] for o in found.content["observations"] if o["name"] == channel)
    assert here == [float(row["n_obs"])]
    limit, expected_limit = float(row["s95_obs"]), float(row["s95_exp"])

    at_limit, at_expected = outcome_of(found, channel, limit, expected_limit).tests

    assert at_limit.CLs_obs == pytest.approx(0.05, abs=0.025)
    assert at_expected.CLs_exp[2] == pytest.approx(0.05, abs=0.008)
    cls, p0 = BY_PYHF[folder]
    assert at_limit.CLs_obs == pytest.approx(cls, rel=1e-4)
    assert outcome_of(found, channel, statistic="q0").discovery.p0 == pytest.approx(p0, rel=1e-4)
