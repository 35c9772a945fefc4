"""The native backend finds what pyhf finds, or lower, and says what is wrong in one line."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pyhf
import pytest

from fitspec.errors import InferenceError
from fitspec.histfactory import apply_patch
from fitspec.histfactory.model import Compiler
from fitspec.inference import Question
from fitspec.inference import test_hypotheses as run_tests  # pytest would collect the name itself
from fitspec.inference.backends.native import NativeLikelihood
from fitspec.inference.backends.pyhf import open_likelihood
from fitspec.outcome import Outcome

Workspace = dict[str, Any]

MUS = (0.3, 1.0, 2.5)
QUESTION = Question("measurement", MUS, "qtilde", "code4", "code4p", "native", "numpy", "scipy")


def modifier(name: str, kind: str, data: Any = None) -> dict[str, Any]:
    return {"name": name, "type": kind, "data": data}


def sample(name: str, data: list[float], *modifiers: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "data": data, "modifiers": list(modifiers)}


def every_modifier() -> Workspace:
    """Two channels in which every type of modifier occurs."""
    lumi, jes = modifier("lumi", "lumi"), modifier("jes", "normsys", {"hi": 1.06, "lo": 0.95})
    shift = modifier("jes", "histosys", {"hi_data": [44.0, 27.0], "lo_data": [37.0, 24.5]})
    signal = sample("signal", [6.0, 9.0], modifier("mu", "normfactor"), lumi, jes,
                    modifier("stat", "staterror", [0.4, 0.6]))  # fmt: skip
    top = sample("top", [40.0, 26.0], lumi, jes, shift, modifier("stat", "staterror", [2.0, 1.5]))
    fakes = sample("fakes", [8.0, 3.0], modifier("fakes", "shapesys", [2.5, 1.1]))
    control = sample("top", [310.0, 95.0], modifier("k_top", "normfactor"), lumi)
    shaped = sample("Zjets", [20.0, 60.0], modifier("shape", "shapefactor"))
    bounds = {"auxdata": [1.0], "sigmas": [0.02], "inits": [1.0], "bounds": [[0.9, 1.1]]}
    config = {"poi": "mu", "parameters": [{"name": "lumi", **bounds}]}
    return {
        "channels": [
            {"name": "SR", "samples": [signal, top, fakes]},
            {"name": "CR", "samples": [control, shaped]},
        ],
        "observations": [{"name": "SR", "data": [51.0, 35.0]}, {"name": "CR", "data": [322, 160]}],
        "measurements": [{"name": "measurement", "config": config}],
        "version": "1.0.0",
    }


@pytest.fixture
def workspace(background, make_patch) -> Workspace:
    """The small workspace with a signal, nothing shared."""
    patched = apply_patch(background, json.dumps(make_patch([8.0, 12.0])).encode(), "signal")
    return copy.deepcopy(patched)


def likelihood(workspace: Workspace, question: Question = QUESTION) -> NativeLikelihood:
    return NativeLikelihood(Compiler(workspace), workspace, question)


def infer(workspace: Workspace, question: Question = QUESTION) -> Outcome:
    return run_tests(likelihood(workspace, question), question)


def infer_with_pyhf(workspace: Workspace, question: Question) -> Outcome:
    with open_likelihood(workspace, question) as theirs:
        return run_tests(theirs, question)


def settings(workspace: Workspace) -> list[dict[str, Any]]:
    """Of the parameters, in the measurement."""
    return workspace["measurements"][0]["config"]["parameters"]


def small(workspace: Workspace) -> Workspace:
    return workspace


def deficit(workspace: Workspace) -> Workspace:
    workspace["observations"][0]["data"] = [38.0, 22.0]
    return workspace


def negative_signal(workspace: Workspace) -> Workspace:
    settings(workspace).append({"name": "mu", "bounds": [[-2.0, 10.0]]})
    return deficit(workspace)


def excess(workspace: Workspace) -> Workspace:
    workspace["observations"][0]["data"] = [66.0, 52.0]
    return workspace


def all_modifiers(_: Workspace) -> Workspace:
    return every_modifier()


# ---- pyhf agrees ----


@pytest.mark.parametrize("test_statistic", ["q", "qtilde", "q0"])
@pytest.mark.parametrize("variant", [small, deficit, negative_signal, excess, all_modifiers])
def test_numbers_are_those_of_the_pyhf_backend(workspace, variant, test_statistic):
    workspace = variant(workspace)
    question = replace(QUESTION, test_statistic=test_statistic)

    ours, theirs = infer(workspace, question), infer_with_pyhf(workspace, question)

    assert ours.mu_hat == pytest.approx(theirs.mu_hat, abs=1e-4)
    assert ours.notes == theirs.notes
    for one, other in zip(ours.tests, theirs.tests, strict=True):
        assert one.CLs_obs == pytest.approx(other.CLs_obs, rel=1e-4)
        assert one.CLs_exp == pytest.approx(other.CLs_exp, rel=1e-4)
        assert one.q == pytest.approx(other.q, rel=1e-5, abs=1e-6)
    if test_statistic == "q0":
        assert ours.p0 == pytest.approx(theirs.p0, rel=1e-4)
        assert ours.discovery.p0_exp == pytest.approx(theirs.discovery.p0_exp, rel=1e-4)


@pytest.mark.parametrize("variant", [small, deficit, negative_signal, excess, all_modifiers])
def test_fits_end_where_those_of_the_pyhf_backend_do_or_a_little_lower(workspace, variant):
    workspace = variant(workspace)

    ours, theirs = infer(workspace).fits, infer_with_pyhf(workspace, QUESTION).fits

    assert [(f.kind, f.data, f.mu) for f in ours] == [(f.kind, f.data, f.mu) for f in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one.twice_nll == pytest.approx(other.twice_nll, rel=1e-6)
        if one.data == "observed":  # Asimov data are not quite the same
            assert other.twice_nll - 1e-5 < one.twice_nll < other.twice_nll + 1e-9


@pytest.mark.parametrize(
    "codes", [("code1", "code0"), ("code4", "code2"), ("code1", "code4p")], ids="-".join
)
def test_interpolation_codes_are_those_of_the_question(workspace, codes):
    normsys, histosys = codes
    question = replace(QUESTION, mus=(0.3, 1.0), normsys=normsys, histosys=histosys)

    ours, theirs = infer(workspace, question), infer_with_pyhf(workspace, question)

    assert ours.mu_hat == pytest.approx(theirs.mu_hat, abs=1e-4)
    assert [t.CLs_obs for t in ours.tests] == pytest.approx(
        [t.CLs_obs for t in theirs.tests], rel=1e-4
    )
    assert (
        ours.tests != infer(workspace, replace(question, normsys="code4", histosys="code4p")).tests
    )


# ---- the seam ----


def test_a_fit_starts_from_the_measurements_values_unless_told_otherwise(workspace):
    settings(workspace).append({"name": "mu", "inits": [0.25], "bounds": [[0.0, 3.0]]})
    ours = likelihood(workspace)

    free = ours.fit(ours.observed)
    again = ours.fit(ours.observed, start=free.parameters)
    shifted = ours.fit(ours.observed, start=free.parameters + 0.3)
    beyond = ours.fit(ours.observed, start=free.parameters + 100.0)

    assert ours.poi_bounds == (0.0, 3.0)
    assert free.iterations > 1
    assert again.iterations == 0
    assert again.twice_nll == free.twice_nll
    assert shifted.twice_nll == pytest.approx(free.twice_nll, abs=1e-9)
    assert beyond.twice_nll == pytest.approx(free.twice_nll, abs=1e-9)  # moved to the bounds
    assert 0 <= free.edm < 1e-9


def test_a_start_is_left_as_it_is(workspace):
    ours = likelihood(workspace)
    start = ours.fit(ours.observed).parameters + 0.1
    before = start.copy()

    ours.fit(ours.observed, 1.0, start)

    assert (start == before).all()


def test_a_conditional_fit_keeps_the_poi(workspace):
    ours = likelihood(workspace)

    minimum = ours.fit(ours.observed, 2.5)

    assert minimum.poi == 2.5
    assert 2.5 in minimum.parameters
    assert minimum.twice_nll > ours.fit(ours.observed).twice_nll


def test_a_parameter_that_the_measurement_fixes_stays(workspace):
    settings(workspace).append({"name": "norm", "fixed": True, "inits": [0.5]})
    ours = likelihood(workspace)

    minimum = ours.fit(ours.observed)

    assert 0.5 in minimum.parameters
    assert minimum.at_bounds == ()
    assert minimum.twice_nll == pytest.approx(
        infer_with_pyhf(workspace, QUESTION).fits[0].twice_nll, abs=1e-6
    )


@pytest.mark.parametrize("mu", [0.0, 1.0, 2.5])
def test_asimov_data_are_fitted_perfectly_by_what_made_them(workspace, mu):
    ours = likelihood(workspace)
    made_of = ours.fit(ours.observed, mu).parameters
    data = ours.asimov(made_of)

    free = ours.fit(data)

    assert free.poi == pytest.approx(mu, abs=1e-5)
    assert free.parameters == pytest.approx(made_of, abs=1e-4)
    assert ours.fit(data, start=made_of).twice_nll == pytest.approx(free.twice_nll, abs=1e-9)
    signal, background = np.array([8.0, 12.0]), ours.asimov(ours.fit(ours.observed, 0.0).parameters)
    if mu == 0.0:
        assert (data.main == background.main).all()
    assert (data.main[1:] > mu * signal).all()  # channels are in order of their names: CR, SR


# ---- parameters at their bounds ----


@pytest.mark.parametrize("backend", [infer, infer_with_pyhf])
def test_a_signal_of_which_there_is_none_is_at_its_bound(workspace, backend):
    fits = backend(deficit(workspace), replace(QUESTION, mus=(1.0,))).fits

    at_bounds = {(fit.data, fit.mu): fit.at_bounds for fit in fits}
    assert at_bounds["observed", None] == ("mu",)
    assert at_bounds["observed", 0.0] == at_bounds["observed", 1.0] == ()


@pytest.mark.parametrize("backend", [infer, infer_with_pyhf])
def test_a_signal_inside_its_bounds_is_not_at_them(workspace, backend):
    fits = backend(excess(workspace), QUESTION).fits

    assert all(fit.at_bounds == () for fit in fits if fit.data == "observed")


def test_parameters_of_one_bin_carry_its_index_and_fixed_ones_are_not_at_bounds():
    workspace = every_modifier()
    settings(workspace).extend(
        [
            {"name": "k_top", "fixed": True},
            {"name": "shape", "bounds": [[0.0, 10.0], [0.0, 1.0]]},  # the data want 0.6 and 1.1
            {"name": "jes", "fixed": True, "inits": [2.0], "bounds": [[-2.0, 2.0]]},
        ]
    )
    question = replace(QUESTION, mus=(1.0,))

    for backend in (infer, infer_with_pyhf):
        at_bounds = backend(workspace, question).fits[-1].at_bounds  # of mu = 1, Asimov data
        assert at_bounds == ("shape[1]",), backend


# ---- another POI ----


def two_signals(workspace: Workspace) -> Workspace:
    """A second signal, and a second background whose normalisation both regions share."""
    for channel, yields in zip(workspace["channels"], ([4.0, 2.0], [30.0]), strict=True):
        channel["samples"].append(sample("top", yields, modifier("k", "normfactor")))
    extra = sample("other", [3.0, 1.5], modifier("mu_other", "normfactor"))
    workspace["channels"][0]["samples"].append(extra)
    return workspace


CHOICES = pytest.mark.parametrize(
    ("poi", "test_statistic", "mus"),
    [
        ("k", "qtilde", (1.1, 1.8)),  # of the background
        ("mu_other", "qtilde", (1.0, 3.0)),  # of the second signal; the first is profiled
        ("norm", "q", (0.8, 1.5)),  # a constrained nuisance parameter
        ("shape", "q", (1.0,)),
    ],
)


@CHOICES
@pytest.mark.parametrize("backend", [infer, infer_with_pyhf])
def test_a_chosen_poi_gives_what_the_measurement_would_give_if_it_named_it(
    workspace, backend, poi, test_statistic, mus
):
    workspace = two_signals(workspace)
    question = replace(QUESTION, mus=mus, test_statistic=test_statistic, optimizer="minuit")
    named = copy.deepcopy(workspace)
    named["measurements"][0]["config"]["poi"] = poi
    before = copy.deepcopy(workspace)

    assert backend(workspace, replace(question, poi=poi)) == backend(named, question)
    assert workspace == before


@CHOICES
def test_a_chosen_poi_gives_what_pyhf_gives_for_it(workspace, poi, test_statistic, mus):
    workspace = two_signals(workspace)
    question = replace(QUESTION, mus=mus, test_statistic=test_statistic, poi=poi)

    ours = infer(workspace, question)

    theirs = pyhf.Workspace(workspace)
    model = theirs.model(poi_name=poi)
    data = theirs.data(model)
    before = pyhf.get_backend()
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(tolerance=1e-4))
    try:
        best = pyhf.infer.mle.fit(data, model)
        assert ours.mu_hat == pytest.approx(float(best[model.config.poi_index]), abs=1e-3)
        for test in ours.tests:
            CLs, band = pyhf.infer.hypotest(
                test.mu, data, model, test_stat=test_statistic, return_expected_set=True
            )
            assert test.CLs_obs == pytest.approx(float(CLs), rel=1e-3)
            assert test.CLs_exp == pytest.approx([float(value) for value in band], rel=1e-3)
    finally:
        pyhf.set_backend(*before)


# ---- what cannot be done ----


def test_a_poi_that_the_measurement_fixes_is_an_error(workspace):
    settings(workspace).append({"name": "mu", "fixed": True})

    with pytest.raises(InferenceError, match=r"^the measurement fixes the POI 'mu'; unfix it"):
        infer(workspace)


def without_background(workspace: Workspace, signal: list[float]) -> Workspace:
    """Of the signal region's first bin, in which 52 events are observed."""
    background, added = workspace["channels"][0]["samples"]
    background.update(data=[0.0, 30.0], modifiers=[])
    added["data"] = signal
    return workspace


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # as in a worker
@pytest.mark.parametrize(
    ("signal", "fit"),
    [([0.0, 12.0], "the free fit"), ([8.0, 12.0], "the fit at mu = 0")],
    ids=["nobody expects them", "only the signal expects them"],
)
@pytest.mark.parametrize("test_statistic", ["qtilde", "q0"])
def test_events_where_nothing_is_expected_are_an_error(workspace, signal, fit, test_statistic):
    workspace = without_background(workspace, signal)
    question = replace(QUESTION, test_statistic=test_statistic)

    for attempt in (infer, infer_with_pyhf):
        with pytest.raises(InferenceError, match=rf"^{fit} did not converge: \S"):
            attempt(workspace, question)
    with pytest.raises(
        InferenceError, match=r"is 0 at the start: bin 0 of channel 'SR' has 52 events"
    ):
        infer(workspace, question)


def test_where_nothing_is_expected_and_nothing_observed_there_is_nothing_to_say(workspace):
    """The bin adds its signal to -2 ln L, twice: nothing else depends on it."""
    workspace = without_background(workspace, [8.0, 12.0])
    workspace["observations"][0]["data"][0] = 0.0

    ours = likelihood(workspace)
    at = [ours.fit(ours.observed, mu).twice_nll for mu in (0.0, 1.0)]
    workspace["channels"][0]["samples"][1]["data"][0] = 0.0
    ours = likelihood(workspace)
    without = [ours.fit(ours.observed, mu).twice_nll for mu in (0.0, 1.0)]

    assert at[0] == pytest.approx(without[0], abs=1e-9)
    assert at[1] == pytest.approx(without[1] + 2 * 8.0, abs=1e-9)


def test_a_bin_that_expects_less_than_nothing_is_told(workspace):
    """Background 1 - 0.8 alpha, no events, and other bins that want alpha at 3."""
    workspace["observations"] = [
        {"name": "SR", "data": [0.0, 60.0]}, {"name": "CR", "data": [204.0]}
    ]  # fmt: skip
    shift = {"hi_data": [0.2, 40.0], "lo_data": [1.8, 20.0]}
    workspace["channels"][0]["samples"] = [
        sample("background", [1.0, 30.0], modifier("shape", "histosys", shift)),
        sample("signal", [0.0, 1.0], modifier("mu", "normfactor")),
    ]
    question = replace(QUESTION, mus=(1.0,), histosys="code0")
    ours = likelihood(workspace, question)

    parameters = ours.fit(ours.observed, 0.0).parameters
    note = ours.oddity(parameters, ours.observed)
    with_events = replace(ours.observed, main=ours.observed.main + 1)

    assert ours.oddity(parameters, with_events) is None  # there the likelihood is 0
    assert re.fullmatch(r"expects -0\.\d+ events in bin 0 of channel 'SR'", note)
    with pytest.raises(InferenceError, match=r"-0\.\d+ events in bin 0 of channel 'SR'"):
        infer(workspace, question)  # there are no Asimov data


WITHOUT_PYHF = """\
import json, sys
sys.modules["pyhf"] = sys.modules["pydantic"] = None  # as if they were not installed
from fitspec.worker import payload, run_chunk, unpack
order = json.load(sys.stdin)
order["patch"] = order["patch"].encode()
background = order.pop("background").encode()
[outcome] = run_chunk(payload(background, [order]))["outcomes"]
print(json.loads(unpack(outcome))["tests"][0]["CLs_obs"])
"""


def test_no_pyhf_is_needed(background, make_patch, workspace):
    question = {name: getattr(QUESTION, name) for name in QUESTION.__slots__}
    order = {
        "background": json.dumps(background),
        "patch_name": "signal",
        "patch": json.dumps(make_patch([8.0, 12.0])),
        "question": question,
    }

    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PYHF],
        input=json.dumps(order),
        capture_output=True,
        text=True,
    )

    assert done.stderr == ""
    assert float(done.stdout) == pytest.approx(infer(workspace).tests[0].CLs_obs, rel=1e-12)
