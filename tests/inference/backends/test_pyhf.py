"""pyhf as a backend gives pyhf's own numbers, and leaves pyhf as it was."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

import pyhf
import pytest
from pyhf.infer.test_statistics import qmu, qmu_tilde

from fitspec.errors import InferenceError
from fitspec.histfactory import apply_patch
from fitspec.inference import Question
from fitspec.inference import test_hypotheses as run_tests  # pytest would collect the name itself
from fitspec.inference.backends import pyhf as backend

pytestmark = pytest.mark.filterwarnings(
    "ignore:jsonschema.RefResolver is deprecated:DeprecationWarning"  # by pyhf
)

QUESTION = Question(
    "measurement", (1.0,), "qtilde", "code4", "code4p", "pyhf", "numpy", "scipy"
)  # fmt: skip

SETTINGS = pytest.mark.parametrize(
    ("tensor", "optimizer", "test_statistic"),
    [
        ("numpy", "scipy", "q"),
        ("numpy", "scipy", "qtilde"),
        ("numpy", "minuit", "q"),
        ("numpy", "minuit", "qtilde"),
        ("jax", "scipy", "qtilde"),
    ],
)
OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "scipy": lambda: pyhf.optimize.scipy_optimizer(tolerance=backend.SCIPY_TOLERANCE),
    "minuit": lambda: pyhf.optimize.minuit_optimizer(tolerance=backend.MINUIT_TOLERANCE),
}


@pytest.fixture
def workspace(background, make_patch) -> dict[str, Any]:
    """The small workspace with a signal."""
    patch = json.dumps(make_patch([8.0, 12.0])).encode()
    return copy.deepcopy(apply_patch(background, patch, "signal"))


@pytest.fixture(autouse=True)
def _same_pyhf_afterwards() -> Iterator[None]:
    """Whatever a test does to pyhf's globals does not reach the next one."""
    before = pyhf.get_backend()
    yield
    pyhf.set_backend(*before)


def require(tensor: str, optimizer: str) -> None:
    pytest.importorskip({"jax": "jax"}.get(tensor, tensor))
    pytest.importorskip({"minuit": "iminuit"}.get(optimizer, optimizer))


def infer(workspace: dict[str, Any], question: Question):
    with backend.open_likelihood(workspace, question) as likelihood:
        return run_tests(likelihood, question)


def pyhf_model(workspace: dict[str, Any]) -> tuple[Any, Any]:
    model = pyhf.Workspace(workspace).model()
    return model, pyhf.Workspace(workspace).data(model)


MUS = (0.3, 1.0, 2.5)


@SETTINGS
def test_test_statistics_are_pyhfs_own(workspace, tensor, optimizer, test_statistic):
    require(tensor, optimizer)
    question = replace(
        QUESTION, mus=MUS, tensor=tensor, optimizer=optimizer, test_statistic=test_statistic
    )

    outcome = infer(workspace, question)

    pyhf.set_backend(tensor, OPTIMIZERS[optimizer](), precision="64b")
    model, data = pyhf_model(workspace)
    config = model.config
    init, bounds, fixed = (
        config.suggested_init(), config.suggested_bounds(), config.suggested_fixed()
    )  # fmt: skip
    function = {"q": qmu, "qtilde": qmu_tilde}[test_statistic]
    background = pyhf.infer.mle.fixed_poi_fit(0.0, data, model)
    asimov = model.expected_data(background)
    for mu, test in zip(MUS, outcome.tests, strict=True):
        q = function(mu, data, model, init, bounds, fixed)
        # the free fit to Asimov data starts from the parameters that made them
        start = [float(value) for value in background]
        conditional = pyhf.infer.mle.fixed_poi_fit(mu, asimov, model, return_fitted_val=True)[1]
        free = pyhf.infer.mle.fit(asimov, model, start, return_fitted_val=True)[1]
        # of two starts the lower minimum counts: never above pyhf's, and below by little
        tolerance = {"scipy": 1e-5, "minuit": 1e-4}[optimizer]
        assert test.q == pytest.approx(float(q), rel=tolerance)
        assert test.q_asimov == pytest.approx(float(conditional - free), rel=tolerance)


@SETTINGS
def test_CLs_and_its_band_are_those_of_pyhfs_hypotest(workspace, tensor, optimizer, test_statistic):
    require(tensor, optimizer)
    question = replace(
        QUESTION, mus=MUS, tensor=tensor, optimizer=optimizer, test_statistic=test_statistic
    )
    # all that may differ is where the free fit to Asimov data starts, and so where it stops
    close = {"scipy": 1e-5, "minuit": 1e-4}[optimizer]

    outcome = infer(workspace, question)

    pyhf.set_backend(tensor, OPTIMIZERS[optimizer](), precision="64b")
    model, data = pyhf_model(workspace)
    for mu, test in zip(MUS, outcome.tests, strict=True):
        CLs, (CLsb, CLb), band = pyhf.infer.hypotest(
            mu, data, model, test_stat=test_statistic,
            return_tail_probs=True, return_expected_set=True,
        )  # fmt: skip
        assert test.CLs_obs == pytest.approx(float(CLs), rel=close)
        assert test.p_sb == pytest.approx(float(CLsb), rel=close)
        assert 1 - test.p_b == pytest.approx(float(CLb), rel=close)
        assert test.CLs_exp == pytest.approx([float(value) for value in band], rel=close)


@pytest.mark.parametrize("codes", [("code1", "code0"), ("code4", "code4p")], ids="-".join)
def test_interpolation_codes_are_those_of_pyhf(workspace, codes):
    normsys, histosys = codes
    question = replace(QUESTION, normsys=normsys, histosys=histosys)
    model = pyhf.Workspace(workspace).model(
        modifier_settings={
            "normsys": {"interpcode": normsys}, "histosys": {"interpcode": histosys}
        }
    )  # fmt: skip
    pyhf.set_backend("numpy", OPTIMIZERS["scipy"]())
    fitted, twice_nll = pyhf.infer.mle.fit(
        pyhf.Workspace(workspace).data(model), model, return_fitted_val=True
    )

    outcome = infer(workspace, question)

    assert outcome.fits[0].twice_nll == pytest.approx(float(twice_nll), rel=1e-12)
    assert outcome.mu_hat == pytest.approx(float(fitted[model.config.poi_index]), rel=1e-9)


def test_bounds_are_those_of_the_measurement(workspace):
    workspace["measurements"][0]["config"]["parameters"] = [
        {"name": "mu", "bounds": [[-1.0, 3.0]], "inits": [0.5]}
    ]

    with backend.open_likelihood(workspace, QUESTION) as likelihood:
        assert likelihood.poi_bounds == (-1.0, 3.0)


def test_minuit_tells_the_distance_to_the_minimum(workspace):
    require("numpy", "minuit")

    outcome = infer(workspace, replace(QUESTION, optimizer="minuit"))

    assert all(fit.edm is not None and 0 <= fit.edm < 1e-3 for fit in outcome.fits)


def test_scipy_tells_its_iterations(workspace):
    outcome = infer(workspace, QUESTION)

    assert all(fit.iterations and fit.edm is None for fit in outcome.fits)


def test_the_workspace_is_as_before_afterwards(workspace):
    """It shares its background with other patches."""
    before = copy.deepcopy(workspace)

    infer(workspace, QUESTION)

    assert workspace == before


@pytest.mark.parametrize("optimizer", ["scipy", "minuit"])
def test_a_signal_that_stops_at_its_bound_is_told(workspace, optimizer):
    require("numpy", optimizer)
    workspace["observations"][0]["data"] = [38.0, 22.0]

    fits = infer(workspace, replace(QUESTION, optimizer=optimizer)).fits

    assert fits[0].at_bounds == ("mu",)
    assert [fit.at_bounds for fit in fits if fit.mu == 1.0] == [(), ()]


def break_nothing(likelihood: Any) -> None:
    assert pyhf.get_backend()[1].name == "minuit"


def break_down(likelihood: Any) -> None:
    raise RuntimeError("in the middle of a fit")


@pytest.mark.parametrize("body", [break_nothing, break_down])
def test_pyhfs_globals_are_as_before_afterwards(workspace, body):
    require("numpy", "minuit")
    before = pyhf.get_backend()
    logger = logging.getLogger("pyhf")
    level = logger.level

    with (
        contextlib.suppress(RuntimeError),
        backend.open_likelihood(workspace, replace(QUESTION, optimizer="minuit")) as likelihood,
    ):
        body(likelihood)

    assert pyhf.get_backend() == before
    assert logger.level == level


def test_the_tensor_library_is_put_back(workspace):
    require("jax", "scipy")
    before = pyhf.get_backend()

    with backend.open_likelihood(workspace, replace(QUESTION, tensor="jax")):
        assert pyhf.tensorlib.name == "jax"

    assert pyhf.get_backend() == before
    assert pyhf.tensorlib is before[0]


def test_pyhfs_globals_are_as_before_after_a_model_that_cannot_be_built(workspace):
    before = pyhf.get_backend()
    workspace["channels"][0]["samples"][1]["data"] = [1.0]

    with pytest.raises(InferenceError):
        infer(workspace, replace(QUESTION, optimizer="minuit"))

    assert pyhf.get_backend() == before


def fix_the_poi(workspace: dict[str, Any]) -> None:
    workspace["measurements"][0]["config"]["parameters"] = [{"name": "mu", "fixed": True}]


def give_the_signal_one_bin(workspace: dict[str, Any]) -> None:
    workspace["channels"][0]["samples"][1]["data"] = [1.0]


def give_the_signal_three_bins(workspace: dict[str, Any]) -> None:
    workspace["channels"][0]["samples"][1]["data"] = [1.0, 2.0, 3.0]


def use_an_unknown_modifier(workspace: dict[str, Any]) -> None:
    workspace["channels"][0]["samples"][1]["modifiers"][0]["type"] = "normfctor"


def lose_the_observations(workspace: dict[str, Any]) -> None:
    del workspace["observations"][1]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (fix_the_poi, "the measurement fixes the POI 'mu'; unfix it in the workspace"),
        (give_the_signal_one_bin, "pyhf cannot build the model: "),
        (give_the_signal_three_bins, "pyhf cannot build the model: "),
        (use_an_unknown_modifier, "pyhf cannot build the model: "),
        (lose_the_observations, "pyhf cannot build the model: "),
    ],
)
def test_a_workspace_that_makes_no_model_is_one_line(workspace, spoil, reason):
    spoil(workspace)

    with pytest.raises(InferenceError) as caught:
        infer(workspace, QUESTION)

    assert str(caught.value).startswith(reason)
    assert len(str(caught.value)) > len(reason) - 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("optimizer", ["scipy", "minuit"])
def test_a_fit_that_does_not_converge_is_an_error_and_silent(
    workspace, optimizer, monkeypatch, capfd
):
    require("numpy", optimizer)
    monkeypatch.setattr(backend, "MAX_ITERATIONS", 1)

    with pytest.raises(InferenceError, match=r"^the free fit did not converge: \S") as caught:
        infer(workspace, replace(QUESTION, optimizer=optimizer))

    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


WITHOUT = """\
import json, sys
sys.modules[sys.argv[1]] = None  # as if it were not installed
from fitspec.inference import Question
from fitspec.inference.backends.pyhf import open_likelihood
import pyhf
before = pyhf.get_backend()
try:
    with open_likelihood({}, Question(**json.loads(sys.argv[2]))):
        pass
except Exception as error:
    print(type(error).__name__, error, pyhf.get_backend() == before)
"""


@pytest.mark.parametrize(
    ("module", "changes", "extra"),
    [
        ("iminuit", {"optimizer": "minuit"}, "minuit"),
        ("jax", {"tensor": "jax"}, "jax"),
    ],
    ids=["iminuit", "jax"],
)
def test_a_library_that_is_not_installed_is_named_with_its_extra(module, changes, extra):
    question = json.dumps(asdict(replace(QUESTION, **changes)))

    printed = subprocess.run(
        [sys.executable, "-c", WITHOUT, module, question], capture_output=True, text=True
    ).stdout

    expected = f"{module} is not installed; pip install 'fitspec[{extra}]'"
    assert printed == f"MissingExtraError {expected} True\n"
