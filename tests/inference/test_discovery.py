"""p0 and its expected band are those of pyhf, whichever backend fits."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pyhf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from fitspec.histfactory import apply_patch
from fitspec.histfactory.model import Compiler
from fitspec.inference import Question
from fitspec.inference import test_hypotheses as run_tests  # pytest would collect the name itself
from fitspec.inference.asymptotics import discovery_p_values
from fitspec.inference.backends.native import NativeLikelihood
from fitspec.inference.backends.pyhf import open_likelihood
from fitspec.outcome import Outcome

pytestmark = pytest.mark.filterwarnings(
    "ignore:jsonschema.RefResolver is deprecated:DeprecationWarning"  # by pyhf
)

QUESTION = Question("measurement", (), "q0", "code4", "code4p", "native", "numpy", "scipy")


def native(workspace: dict[str, Any]) -> Outcome:
    return run_tests(NativeLikelihood(Compiler(workspace), workspace, QUESTION), QUESTION)


def by_pyhf(workspace: dict[str, Any]) -> Outcome:
    with open_likelihood(workspace, QUESTION) as likelihood:
        return run_tests(likelihood, QUESTION)


@pytest.mark.parametrize("backend", [native, by_pyhf])
@pytest.mark.parametrize(
    ("observed", "low"),
    [([66.0, 49.0], 0.0), ([52.0, 33.0], 0.0), ([41.0, 24.0], 0.0), ([41.0, 24.0], -1.5)],
    ids=["excess", "a little", "deficit", "deficit, negative signal allowed"],
)
def test_p0_and_its_band_are_those_of_pyhfs_hypotest(
    background, make_patch, backend, observed, low
):
    background["observations"][0]["data"] = observed
    parameters = background["measurements"][0]["config"]["parameters"]
    parameters.append({"name": "mu", "bounds": [[low, 10.0]]})
    workspace = apply_patch(background, json.dumps(make_patch([8.0, 12.0])).encode(), "signal")
    theirs = pyhf.Workspace(workspace)
    model = theirs.model()
    p0, band = pyhf.infer.hypotest(
        0.0, theirs.data(model), model, test_stat="q0", return_expected_set=True
    )

    discovery = backend(workspace).discovery

    assert discovery.p0 == pytest.approx(float(p0), rel=1e-4)
    assert discovery.p0_exp == pytest.approx([float(value) for value in band], rel=1e-4)
    assert all(one < next_one for one, next_one in pairwise(discovery.p0_exp))
    assert discovery.significance == pytest.approx(norm.isf(float(p0)), rel=1e-4, abs=1e-4)


@settings(deadline=None)
@given(q0=st.floats(0, 1000), q0_asimov=st.floats(0, 1000))
def test_p0_is_the_tail_of_a_normal_variable(q0, q0_asimov):
    p0, band = discovery_p_values(q0, q0_asimov)

    assert p0 == pytest.approx(norm.sf(q0**0.5), rel=1e-9)
    assert band == pytest.approx([norm.sf(q0_asimov**0.5 - n) for n in (-2, -1, 0, 1, 2)], rel=1e-9)
    assert all(0 <= low < high <= 1 for low, high in pairwise(band))


@pytest.mark.parametrize(
    ("significance", "p0"), [(0.0, 0.5), (3.0, 1.3499e-3), (5.0, 2.8665e-7)], ids=str
)
def test_five_standard_deviations_are_what_everybody_knows(significance, p0):
    assert discovery_p_values(significance**2, 1.0)[0] == pytest.approx(p0, rel=1e-4)
