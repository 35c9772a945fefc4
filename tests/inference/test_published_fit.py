"""A published likelihood against minuit's covariance, and against cabinetry's fit and ranking."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyhf
import pytest

from fitspec.bestfit import BestFit, FittedParameter, Impact
from fitspec.collect import collect
from fitspec.histfactory import apply_patch
from fitspec.histfactory.model import Compiler
from fitspec.inference import FitQuestion, Question, fit_observed
from fitspec.inference.backends.native import NativeLikelihood
from fitspec.plan import make_plan
from fitspec.sources import Access
from fitspec.spec import find_specs

pytestmark = pytest.mark.data

EVERYTHING = FitQuestion(correlations=True, impacts=True, yields=True)

# DS_120_1_Staus, fitted by cabinetry 0.6.0 with pyhf 0.7.6 and iminuit 2.33.0: fit.fit with
# tolerance 1e-4 and strategy 2, fit.ranking from there, model_utils.prediction of it
CABINETRY = {
    "mu_SIG": (0.228118, 0.335594),
    "mu_W": (0.908241, 0.111093),
    "mu_QCD": (0.974481, 0.269484),
    "lumi": (0.999787, 0.0168862),
    "TopSystHardCodeSR1": (0.0588872, 1.05743),
    "TAUS_TRUEHADTAU_SME_TES_DETECTOR": (0.17369, 1.12141),
    "TAUS_TRUEHADTAU_3P_SYST": (-0.177509, 0.984624),
    "staterror_SR2cut_cuts[0]": (0.954305, 0.124416),
    "MUON_SCALE": (-0.0330557, 1.42927),
    "DIBOSONRenormTheo": (-0.0913809, 0.977953),
}
CORRELATIONS = {
    ("mu_SIG", "TopSystHardCodeSR1"): -0.08251,
    ("mu_SIG", "TAUS_TRUEHADTAU_SME_TES_DETECTOR"): -0.50074,
    ("mu_SIG", "mu_W"): 0.25647,
    ("mu_QCD", "staterror_QCR1cut_cuts[0]"): -0.69620,
}
RANKING = {  # up, down, and with the uncertainty before the fit
    "TopSystHardCodeSR1": (-0.20122, 0.00472, -0.16183, 0.00471),
    "TAUS_TRUEHADTAU_SME_TES_DETECTOR": (-0.17436, 0.13881, -0.15552, 0.12342),
    "TAUS_TRUEHADTAU_3P_SYST": (-0.09075, 0.1181, -0.09208, 0.11992),
    "staterror_QCR1cut_cuts[0]": (0.04701, -0.05899, 0.04764, -0.05992),
    "staterror_SR2cut_cuts[0]": (-0.0493, 0.05214, -0.05, 0.05294),
    "JET_Flavor_Response": (-0.04849, 0.00843, -0.03829, 0.0071),
    "DIBOSONRenormTheo": (-0.03209, 0.02247, -0.03289, 0.02294),
    "JET_GroupedNP_1": (0.01559, -0.0138, 0.01337, -0.01123),
}
YIELDS = {
    "QCR1cut_cuts": (71.7604, 8.4814),
    "QCR2cut_cuts": (26.8733, 5.06397),
    "SR1cut_cuts": (8.42586, 2.67483),
    "SR2cut_cuts": (9.73669, 2.14595),
    "WCRcut_cuts": (1098.94, 33.2584),
}


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    """What is made once for all tests."""
    return {}


@pytest.fixture
def stau(mirror: Path, tmp_path: Path, kept: dict[str, Any]) -> dict[str, Any]:
    """The workspace of DS_120_1_Staus, and the best fit of it."""
    if not kept:
        access = Access(tmp_path, mirror, offline=True)
        plan = make_plan(collect(find_specs(["@stau"]), access, "DS_120_1_"))
        [task] = plan.fits.values()
        order = task.order
        kept["workspace"] = apply_patch(task.background.content, order["patch"], "signal")
        kept["fit"] = fitted(kept["workspace"])
    return kept


def fitted(workspace: dict[str, Any]) -> BestFit:
    name = workspace["measurements"][0]["name"]
    question = Question(name, (), "qtilde", "code4", "code4p", "native", "", "", fit=EVERYTHING)
    likelihood = NativeLikelihood(Compiler(workspace), workspace, question)
    return fit_observed(likelihood, EVERYTHING).fit


def parameters(fit: BestFit) -> dict[str, FittedParameter]:
    return {parameter.name: parameter for parameter in fit.parameters}


def as_minuit_says_it(parameter: FittedParameter, bounds: tuple[float, float]) -> float:
    """An uncertainty the way minuit reports it.

    It fits sin^-1 of a parameter between bounds, and reports the mean shift of the parameter where
    that is moved by its uncertainty: up to 1.5% less here, for uncertainties of 1.4 within +-5.
    """
    low, high = bounds
    half = (high - low) / 2
    angle = math.asin((parameter.value - low) / half - 1)
    step = parameter.uncertainty / (half * math.cos(angle))
    return half * (math.sin(angle + step) - math.sin(angle - step)) / 2


def bounds_of(name: str) -> tuple[float, float]:
    if name == "lumi":
        return 0.915, 1.085
    return (0.0, 10.0) if name.startswith(("mu_", "stat")) else (-5.0, 5.0)


def test_the_fit_is_that_of_cabinetry(stau):
    found = parameters(stau["fit"])

    assert stau["fit"].notes == ()
    for name, (value, uncertainty) in CABINETRY.items():
        assert found[name].value == pytest.approx(value, abs=3e-4 * uncertainty)
        theirs = as_minuit_says_it(found[name], bounds_of(name))
        assert theirs == pytest.approx(uncertainty, rel=1e-3), name


def test_correlations_are_those_of_cabinetry(stau):
    names, matrix = stau["fit"].correlations.names, stau["fit"].correlations.matrix

    for (one, other), expected in CORRELATIONS.items():
        found = matrix[names.index(one)][names.index(other)]
        assert found == pytest.approx(expected, abs=1e-3)


def test_impacts_are_those_of_cabinetry(stau):
    """To the precision of minuit's fits, and of its uncertainties, which it fixes parameters at."""
    found = {impact.parameter: impact for impact in stau["fit"].impacts}

    assert [name for name in found if name in RANKING][:3] == list(RANKING)[:3]
    for name, expected in RANKING.items():
        up, down, nominal_up, nominal_down = expected
        impact: Impact = found[name]
        nominal = (impact.nominal_up, impact.nominal_down)
        assert nominal == pytest.approx((nominal_up, nominal_down), abs=2e-4)
        assert (impact.up, impact.down) == pytest.approx((up, down), rel=0.035, abs=3e-4)


def test_yields_are_those_of_cabinetry(stau):
    """Again with minuit's uncertainties of the parameters, which are up to 1.5% smaller."""
    totals = {y.channel: y for y in stau["fit"].yields if y.sample is None and y.bin is None}

    for channel, (expected, uncertainty) in YIELDS.items():
        assert totals[channel].expected == pytest.approx(expected, rel=1e-4)
        assert totals[channel].uncertainty == pytest.approx(uncertainty, rel=0.015)


def test_the_covariance_is_that_of_pyhfs_curvature(stau):
    """By finite differences of its logarithm of the likelihood; minuit's own are up to 4% off.

    Of all 120 free parameters they would take a minute: free are those that move the POI, and the
    statistical and normalisation ones.
    """
    workspace = orjson.loads(orjson.dumps(stau["workspace"]))
    fix_the_others(workspace, {i.parameter for i in stau["fit"].impacts if i.size > 0.02})
    ours = fitted(workspace)
    model = pyhf.Workspace(workspace).model(validate=False)
    data = pyhf.Workspace(workspace).data(model)

    found = [parameters(ours)[name] for name in model.config.par_names]
    free = [i for i, parameter in enumerate(found) if not parameter.fixed]
    assert 20 < len(free) < 30
    theta = np.array([parameter.value for parameter in found])
    sigmas = np.array([found[i].uncertainty for i in free])

    def in_sigmas(shift: np.ndarray) -> float:
        moved = theta.copy()
        moved[free] += shift * sigmas
        return -float(model.logpdf(moved, data)[0])

    covariance = np.linalg.inv(curvature(in_sigmas, len(free), step=0.01))
    assert covariance.diagonal() == pytest.approx(1.0, rel=2e-3)
    order = [ours.correlations.names.index(model.config.par_names[i]) for i in free]
    matrix = np.array(ours.correlations.matrix)[np.ix_(order, order)]
    assert matrix == pytest.approx(covariance, abs=2e-3)


def curvature(function: Callable[[np.ndarray], float], n: int, step: float) -> np.ndarray:
    """Second derivatives at 0 by central differences."""
    matrix = np.empty((n, n))
    unit = step * np.eye(n)
    for i in range(n):
        for j in range(i + 1):
            corners = (
                (function(unit[i] + unit[j]), function(unit[i] - unit[j])),
                (function(unit[j] - unit[i]), function(-unit[i] - unit[j])),
            )
            (pp, pm), (mp, mm) = corners
            matrix[i, j] = matrix[j, i] = (pp - pm - mp + mm) / (4 * step**2)
    return matrix


def fix_the_others(workspace: dict[str, Any], free: set[str]) -> None:
    """Fix all systematics but some, in the measurement."""
    settings = workspace["measurements"][0]["config"]["parameters"]
    by_name = {setting["name"]: setting for setting in settings}
    for channel in workspace["channels"]:
        for sample in channel["samples"]:
            for modifier in sample["modifiers"]:
                name = modifier["name"]
                if modifier["type"] in {"normsys", "histosys"} and name not in free:
                    setting = by_name.setdefault(name, {"name": name})
                    setting["fixed"] = True
    settings[:] = by_name.values()
