"""Upper limits: closed forms of Gaussian likelihoods, pyhf's limits, and published ones."""

from __future__ import annotations

import csv
import json
import math
import re
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyhf
import pytest
from answers import compute
from gaussian import Gaussian, TwoMinima, question
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri_exp
from scipy.stats import norm

from fitspec.errors import InferenceError
from fitspec.histfactory import apply_patch
from fitspec.inference import test_hypotheses as answer
from fitspec.inference.curve import Curve
from fitspec.inference.likelihood import Minimum
from fitspec.inference.limits import interpolate_limits
from fitspec.outcome import HypothesisTest
from fitspec.sources import open_archive
from fitspec.worker import PointOrder

N = np.array([-2, -1, 0, 1, 2])


def observed_limit(x: float, sigma: float, level: float) -> float:
    """Where norm.cdf((x - mu) / sigma) is ``level`` times norm.cdf(x / sigma)."""
    return x - sigma * ndtri_exp(math.log(level) + norm.logcdf(x / sigma))


def expected_limits(sigma: float, level: float) -> Any:
    """arXiv:1007.1727 eq. 89."""
    return sigma * (norm.isf(level * norm.cdf(N)) + N)


# ---- root finding ----


@settings(deadline=None)
@given(
    x=st.floats(-4, 4),
    sigma=st.floats(0.05, 3),
    level=st.sampled_from([0.05, 0.1, 0.32]),
    test_statistic=st.sampled_from(["q", "qtilde"]),
)
def test_limits_are_the_closed_forms(x, sigma, level, test_statistic):
    outcome = answer(Gaussian(x, sigma), question(test_statistic=test_statistic, level=level))

    assert outcome.upper_limit_obs == pytest.approx(observed_limit(x, sigma, level), rel=1e-5)
    assert outcome.upper_limit_exp == pytest.approx(expected_limits(sigma, level), rel=1e-5)
    assert outcome.tests == ()


@pytest.mark.parametrize("sigma", [1e-7, 1e-3, 40.0, 1e4])
def test_the_search_finds_limits_of_any_size(sigma):
    outcome = answer(Gaussian(0.3 * sigma, sigma, (0.0, 10.0)), question(level=0.05))

    assert outcome.upper_limit_exp == pytest.approx(expected_limits(sigma, 0.05), rel=1e-5)
    assert outcome.upper_limit_obs == pytest.approx(observed_limit(0.3 * sigma, sigma, 0.05))


@pytest.mark.parametrize("x", [0.5, 4.0, 5.5])
def test_a_bound_in_the_way_is_moved_and_the_free_fit_with_it(x):
    """At 5.5 the free fit, too, is stopped by the bound at first."""
    outcome = answer(Gaussian(x, 1.0, (0.0, 3.0)), question(1.0, level=0.05))

    assert outcome.upper_limit_obs == pytest.approx(observed_limit(x, 1.0, 0.05), rel=1e-5)
    assert outcome.upper_limit_exp == pytest.approx(expected_limits(1.0, 0.05), rel=1e-5)
    assert outcome.notes[-1].startswith("the POI's upper bound 3 was in the way of a limit")
    assert outcome.mu_hat == x


def test_a_bound_that_is_not_in_the_way_stays():
    outcome = answer(Gaussian(0.5, 0.3, (0.0, 10.0)), question(level=0.05))

    assert outcome.notes == ()


def test_a_limit_does_not_change_the_tests_beside_it():
    alone, beside = (
        answer(Gaussian(0.5), question(1.0, 2.0, level=level)) for level in (None, 0.05)
    )

    assert beside.tests == alone.tests
    assert alone.upper_limit_obs is None
    assert alone.upper_limit_exp is None


def test_CLb_is_that_of_the_observed_limit():
    outcome = answer(Gaussian(0.7, 0.5), question(level=0.05))

    assert outcome.upper_limit_CLb == pytest.approx(norm.cdf(0.7 / 0.5), rel=1e-6)


def test_of_the_search_only_the_fits_nearest_to_the_limits_are_reported():
    outcome = answer(Gaussian(0.5), question(1.0, level=0.05))

    limits = [outcome.upper_limit_obs, *outcome.upper_limit_exp]
    for data in ("observed", "asimov"):
        mus = [fit.mu for fit in outcome.fits if fit.data == data and fit.mu is not None]
        assert len(mus) <= 8
    assert all(any(math.isclose(mu, limit, rel_tol=1e-4) for mu in mus) for limit in limits)


def test_a_signal_that_cannot_be_seen_has_no_limit():
    @dataclass
    class Flat(Gaussian):
        """Nothing depends on mu."""

        def minimum(self, poi: float, data: float) -> Minimum:
            return Minimum(poi, poi, 1.0, 1, None)

    outcome = answer(Flat(0.5), question(1.0, level=0.05))

    assert outcome.status == "error"
    assert re.search(r"^InferenceError: .* does not exclude even mu = .*too small", outcome.error)
    assert outcome.upper_limit_obs is None
    assert outcome.tests == answer(Flat(0.5), question(1.0)).tests  # these are right all the same


def test_a_limit_where_two_starts_differ_is_that_of_the_lower_minimum():
    outcome = answer(TwoMinima(0.5), question(level=0.05))

    assert outcome.upper_limit_obs == pytest.approx(observed_limit(0.5, 1.0, 0.05), rel=1e-5)
    assert any(note.endswith("more fits") for note in outcome.notes)
    assert len(outcome.notes) <= 4


def test_a_free_fit_that_is_undercut_on_the_way_is_made_again_and_the_limit_with_it():
    @dataclass
    class Late(Gaussian):
        """Its free fit stops at 3 until somebody starts it near the minimum at 2.3."""

        def fit(
            self, data: float, mu: float | None = None, start: Any = None, known: Any = ()
        ) -> Minimum:
            found = super().fit(data, mu, start, known)
            far = start is None or abs(start - 2.3) > 1.5
            if mu is None and data == 2.3 and far:
                return replace(self.minimum(3.0, data), twice_nll=3.0)
            return found

    assert answer(Late(2.3), question()).mu_hat == 3.0  # the fit at mu = 0 is no lower

    outcome = answer(Late(2.3), question(level=0.05))

    assert outcome.upper_limit_obs == pytest.approx(observed_limit(2.3, 1.0, 0.05), rel=1e-5)
    assert outcome.mu_hat == 2.3


def test_the_tests_beside_a_limit_use_what_its_search_has_found():
    """A free fit that stops too high, until a fit of the search is lower."""

    @dataclass
    class Late(Gaussian):
        def fit(
            self, data: float, mu: float | None = None, start: Any = None, known: Any = ()
        ) -> Minimum:
            far = start is None or abs(start - 2.3) > 1.69
            if mu is None and data == 2.3 and far:
                return replace(self.minimum(3.0, data), twice_nll=2.8)
            return super().fit(data, mu, start, known)

    assert answer(Late(2.3), question(4.0)).mu_hat == 3.0
    assert answer(Late(2.3), question(4.0, level=0.05)).tests == (
        answer(Gaussian(2.3), question(4.0)).tests
    )


def test_a_lower_background_only_fit_on_the_way_makes_new_asimov_data():
    @dataclass
    class Late(Gaussian):
        """The fit at mu = 0 ends too high, and at other parameters, until it starts near 2.3."""

        def fit(
            self, data: float, mu: float | None = None, start: Any = None, known: Any = ()
        ) -> Minimum:
            found = super().fit(data, mu, start, known)
            if data == 2.3 and mu is None and (start is None or abs(start - 2.3) > 1.69):
                return replace(self.minimum(3.0, data), twice_nll=2.8)
            if data == 2.3 and mu == 0.0 and start != 2.3:
                return replace(found, parameters=0.4, twice_nll=found.twice_nll + 1.0)
            return found

    curve = Curve(Late(2.3), question())
    assert curve.expected_root(1.4) == pytest.approx(1.0)  # away from 0.4

    curve.p_values(3.5)  # a fit that is lower than the free one

    assert not curve.settle()
    assert curve.expected_root(1.4) == pytest.approx(1.4)
    assert curve.settle()


def test_a_bound_at_zero_is_no_place_to_begin():
    outcome = answer(Gaussian(-0.5, 1.0, (-5.0, 0.0)), question(level=0.05))

    assert outcome.upper_limit_exp == pytest.approx(expected_limits(1.0, 0.05), rel=1e-5)


def test_a_free_fit_that_never_agrees_is_an_error():
    @dataclass
    class Sinking(Gaussian):
        """Every conditional fit is lower than the one before."""

        depth: float = 0.0

        def fit(
            self, data: float, mu: float | None = None, start: Any = None, known: Any = ()
        ) -> Minimum:
            found = super().fit(data, mu, start, known)
            if data == 0.5:
                self.depth += 0.001
            return replace(found, twice_nll=found.twice_nll - self.depth)

    assert answer(Sinking(0.5), question(level=0.05)).error.startswith("ConvergenceError: each")


# ---- interpolation of a scan ----


def scanned(mus: list[float], sigma: float = 1.0, x: float = 0.5) -> list[HypothesisTest]:
    return list(answer(Gaussian(x, sigma), question(*mus)).tests)


def test_a_scan_is_interpolated_as_pyhf_does():
    mus = [float(mu) for mu in np.linspace(0, 5, 21)]
    tests = scanned(mus)

    limits = interpolate_limits(tests, 0.05)

    curves = np.array([[test.CLs_obs, *test.CLs_exp] for test in tests]).T
    expected = [np.interp(0.05, curve[::-1], mus[::-1]) for curve in curves]
    assert [limits.observed, *limits.expected] == pytest.approx(expected, rel=1e-12)
    assert limits.CLb is None


def test_the_order_of_a_scan_does_not_matter():
    tests = scanned([float(mu) for mu in np.linspace(0, 5, 21)])

    assert interpolate_limits(tests[::-1], 0.05) == interpolate_limits(tests, 0.05)


@pytest.mark.parametrize(
    ("mus", "message"),
    [
        ([0.0, 0.5, 1.0], r"the observed CLs is 0.446 at the end of the scan, mu = 1: the limit"),
        ([4.5, 5.0], r"the observed CLs is 4.58e-05 at the start of the scan, mu = 4.5: the"),
        ([0.0, 1.0, 2.5], r"the expected CLs at \+1 sigma is 0.0794 at the end of the scan"),
    ],
)
def test_a_limit_outside_the_scan_is_an_error(mus, message):
    with pytest.raises(InferenceError, match=message):
        interpolate_limits(scanned(mus), 0.05)


def test_a_scan_that_is_asked_for_gives_curve_and_limits():
    mus = [float(mu) for mu in np.linspace(0, 6, 61)]
    outcome = answer(Gaussian(0.5), question(*mus, level=0.05, method="scan"))

    assert [test.mu for test in outcome.tests] == mus
    assert outcome.upper_limit_obs == pytest.approx(observed_limit(0.5, 1.0, 0.05), rel=2e-2)


# ---- pre-fit expected values ----


def test_pre_fit_expected_values_are_those_of_the_nominal_model():
    @dataclass
    class Pulled(Gaussian):
        """The data double the background: the fit to them halves what a signal counts."""

        def asimov(self, parameters: Any) -> Any:
            return 0.0 if parameters == "nominal" else 1e-9

        def nominal(self, mu: float) -> Any:
            return "nominal"

        def fit(self, data: Any, mu: Any = None, start: Any = None, known: Any = ()) -> Minimum:
            self.sigma = 1.0 if data == 0.0 else 2.0
            return super().fit(data, mu, 0.0, known)

    post = answer(Pulled(0.0 + 1e-6), question(1.0, level=0.05))
    pre = answer(Pulled(0.0 + 1e-6), question(1.0, level=0.05, expected="pre-fit"))

    assert post.upper_limit_exp == pytest.approx(expected_limits(2.0, 0.05), rel=1e-4)
    assert pre.upper_limit_exp == pytest.approx(expected_limits(1.0, 0.05), rel=1e-4)
    assert pre.upper_limit_obs == pytest.approx(post.upper_limit_obs, rel=1e-6)
    assert pre.tests[0].CLs_obs == post.tests[0].CLs_obs
    assert pre.tests[0].CLs_exp[2] < post.tests[0].CLs_exp[2]
    assert {fit.data for fit in pre.fits} == {"observed", "asimov", "pre-fit asimov"}


# ---- against pyhf, on a small model and on a published one ----


def limits_of(background: bytes, patch: bytes, measurement: str, *mus: float, **more: Any) -> Any:
    """What a worker answers, with its own likelihood."""
    asked = asdict(replace(question(*mus), measurement=measurement, **more))
    order = PointOrder(patch_name="signal", patch=patch, question=asked)
    outcome = compute(background, [order])[0]
    assert outcome.error is None
    return outcome


def test_limits_are_pyhfs(background, make_patch):
    patch = make_patch([4.0, 3.0])
    raw, operations = json.dumps(background).encode(), json.dumps(patch).encode()
    theirs = pyhf.Workspace(apply_patch(background, operations, "signal"))
    model = theirs.model()

    outcome = limits_of(raw, operations, "measurement", level=0.05)

    observed, expected = pyhf.infer.intervals.upper_limits.upper_limit(
        theirs.data(model), model, rtol=1e-6
    )
    assert outcome.upper_limit_obs == pytest.approx(float(observed), rel=1e-4)
    assert outcome.upper_limit_exp == pytest.approx([float(limit) for limit in expected], rel=1e-4)


@pytest.mark.parametrize("backend", ["native", "pyhf"])
def test_a_bound_in_the_way_is_moved_in_every_backend(background, make_patch, backend):
    """Also where the data have such an excess that the free fit is at the bound at first."""
    background["observations"][0]["data"] = [75.0, 45.0]
    patch = json.dumps(make_patch([4.0, 3.0])).encode()
    free = limits_of(json.dumps(background).encode(), patch, "measurement", level=0.05)
    poi = {"name": "mu", "bounds": [[0.0, 1.5]]}
    background["measurements"][0]["config"]["parameters"] = [poi]
    raw = json.dumps(background).encode()
    settings = {"backend": backend, "tensor": "numpy", "optimizer": "scipy"}

    bounded = limits_of(raw, patch, "measurement", level=0.05, **settings)

    assert free.mu_hat > 1.5
    assert bounded.mu_hat == pytest.approx(free.mu_hat, rel=1e-3)
    assert bounded.upper_limit_obs == pytest.approx(free.upper_limit_obs, rel=1e-4)
    assert bounded.upper_limit_exp == pytest.approx(free.upper_limit_exp, rel=1e-4)
    assert bounded.notes[-1].startswith("the POI's upper bound 1.5 was in the way of a limit")


def test_pre_fit_values_are_those_of_pyhf_with_the_nominal_model_as_data(background, make_patch):
    """Whose fit at mu = 0 is the nominal model itself."""
    patch = make_patch([4.0, 3.0])
    raw, operations = json.dumps(background).encode(), json.dumps(patch).encode()
    model = pyhf.Workspace(apply_patch(background, operations, "signal")).model()
    nominal = list(model.config.suggested_init())
    nominal[model.config.poi_index] = 0.0

    outcome = limits_of(raw, operations, "measurement", 1.0, expected="pre-fit")

    _, expected = pyhf.infer.hypotest(
        1.0, model.expected_data(nominal), model, return_expected_set=True
    )
    assert outcome.tests[0].CLs_exp == pytest.approx([float(e) for e in expected], rel=1e-4)


@pytest.mark.data
def test_the_published_scan_of_1Lbb_is_reproduced(mirror):
    archive = open_archive(mirror / "1Lbb-likelihoods.tar.gz")
    members = archive.read(["BkgOnly.json", "patchset.json"])
    patches = {p["metadata"]["name"]: p["patch"] for p in
               json.loads(members["patchset.json"])["patches"]}  # fmt: skip
    table = mirror / "published" / "upper-limit-1Lbb-900-250.csv"
    [published] = csv.DictReader(table.read_text().splitlines())
    patch = json.dumps(patches[published["point"]]).encode()
    scan = [float(mu) for mu in np.linspace(0, 5, 41)]

    by_scan = limits_of(
        members["BkgOnly.json"], patch, "BasicMeasurement", *scan, level=0.05, method="scan"
    )
    by_root = limits_of(members["BkgOnly.json"], patch, "BasicMeasurement", level=0.05)

    band = [float(published[f"exp_{suffix}"]) for suffix in ("m2", "m1", "0", "p1", "p2")]
    assert by_scan.upper_limit_obs == pytest.approx(float(published["obs"]), rel=1e-4)
    assert by_scan.upper_limit_exp == pytest.approx(band, rel=1e-4)
    # steps of 0.125 make the interpolated limits too high by up to 1.2%
    assert by_root.upper_limit_obs == pytest.approx(by_scan.upper_limit_obs, rel=2e-3)
    assert by_root.upper_limit_exp == pytest.approx(by_scan.upper_limit_exp, rel=1.2e-2)
