"""Toys: closed forms, pyhf's own toys, their limit of many events, and who counts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyhf
import pytest
from build import background, histosys, normsys, region, shapesys, signal, staterror, workspace
from gaussian import Array, Gaussian, question
from scipy.stats import norm, poisson

from fitspec.errors import InferenceError
from fitspec.histfactory.model import Compiler
from fitspec.inference import Question
from fitspec.inference import test_hypotheses as run_tests  # pytest would collect the name itself
from fitspec.inference import toys as toys_module
from fitspec.inference.backends.native import NativeLikelihood
from fitspec.inference.backends.pyhf import open_likelihood
from fitspec.inference.profile import Profile
from fitspec.inference.toys import BATCH, statistics
from fitspec.outcome import HypothesisTest, Outcome

pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # steps go too far at times
    pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated:DeprecationWarning"),
]


def asked(*mus: float, **settings: Any) -> Question:
    """A question to a workspace of our own."""
    plain = question(*mus, **settings)
    return replace(plain, measurement="fit", tensor="numpy", optimizer="scipy")


def native(spec: dict[str, Any], to: Question) -> NativeLikelihood:
    return NativeLikelihood(Compiler(spec), spec, to)


def run(spec: dict[str, Any], to: Question) -> Outcome:
    return run_tests(native(spec, to), to)


def one_bin(observed: float, signals: float = 6.0, events: float = 4.0) -> dict[str, Any]:
    """A counting experiment without systematics: its q depends on the count alone."""
    return workspace(region([observed], signal([signals]), background([events])))


def agree(found: float, error: float, expected: float) -> None:
    assert abs(found - expected) <= 5 * error + 1e-9, f"{found} +- {error}, expected {expected}"


# ---- closed forms ----


@pytest.mark.parametrize("observed", [1, 2, 4, 9])
@pytest.mark.parametrize("test_statistic", ["q", "qtilde"])
def test_a_counting_experiment_has_the_p_values_of_poisson(observed, test_statistic):
    [test] = run(one_bin(observed), asked(1.0, test_statistic=test_statistic, toys=1500)).tests

    p_sb, CLb = poisson.cdf(observed, 10), poisson.cdf(observed, 4)
    agree(test.p_sb, test.toys.p_sb_error, p_sb)
    agree(1 - test.p_b, test.toys.p_b_error, CLb)
    agree(test.CLs_obs, test.toys.obs_error, p_sb / CLb)
    assert test.toys.p_sb_error == pytest.approx(math.sqrt(p_sb * (1 - p_sb) / 1500), rel=0.3)


def test_the_expected_values_of_a_counting_experiment_are_those_of_its_quantiles():
    [test] = run(one_bin(4.0), asked(1.0, toys=4000)).tests

    counts = poisson.ppf(norm.cdf([-2, -1, 0, 1, 2]), 4)  # few events are a downward fluctuation
    expected = poisson.cdf(counts, 10) / poisson.cdf(counts, 4)
    for found, error, value in zip(test.CLs_exp, test.toys.exp_error, expected, strict=True):
        agree(found, error, value)
    assert list(test.CLs_exp) == sorted(test.CLs_exp)


def test_an_excess_above_the_tested_value_is_as_compatible_as_can_be():
    [test] = run(one_bin(14.0), asked(1.0, toys=300)).tests

    assert (test.q, test.p_sb, test.p_b, test.CLs_obs) == (0.0, 1.0, 0.0, 1.0)


@pytest.mark.parametrize("observed", [4, 7, 11])
def test_a_discovery_has_the_p_value_of_poisson(observed):
    to = asked(test_statistic="q0", toys=1500)
    found = run(one_bin(observed), to).discovery

    p0 = 1.0 if observed <= 4 else poisson.sf(observed - 1, 4)
    agree(found.p0, found.toys.obs_error, p0)
    assert found.significance == pytest.approx(max(0.0, norm.isf(found.p0)), abs=1e-9)
    counts = poisson.ppf(norm.cdf([2, 1, 0, -1]), 10)  # of a signal of strength 1
    for found_p0, error, count in zip(found.p0_exp, found.toys.exp_error, counts, strict=False):
        agree(found_p0, error, poisson.sf(count - 1, 4))


def test_a_discovery_beyond_all_toys_has_no_significance():
    found = run(one_bin(60.0), asked(test_statistic="q0", toys=BATCH)).discovery

    assert (found.p0, found.significance) == (0.0, None)
    assert found.toys.obs_error > 0


@pytest.mark.parametrize("test_statistic", ["q", "qtilde"])
@pytest.mark.parametrize("x", [-0.7, 0.4, 1.3])
def test_toys_of_a_normal_estimate_have_the_asymptotic_p_values(x, test_statistic):
    likelihood = Gaussian(x, 0.6)
    [exact] = run_tests(likelihood, question(1.5, test_statistic=test_statistic)).tests
    to = question(1.5, test_statistic=test_statistic, toys=20_000)
    [test] = run_tests(likelihood, to).tests

    agree(test.CLs_obs, test.toys.obs_error, exact.CLs_obs)
    agree(test.p_sb, test.toys.p_sb_error, exact.p_sb)
    agree(test.p_b, test.toys.p_b_error, exact.p_b)
    for found, error, value in zip(test.CLs_exp, test.toys.exp_error, exact.CLs_exp, strict=True):
        agree(found, error, value)


def test_with_many_events_toys_have_the_asymptotic_p_values():
    uncertain = background([20_000.0], shapesys("u", [150.0]), normsys("n", 0.995, 1.005))
    spec = workspace(region([20_100.0], signal([500.0]), uncertain))
    [exact] = run(spec, asked(1.0)).tests
    [test] = run(spec, asked(1.0, toys=2000)).tests

    agree(test.CLs_obs, test.toys.obs_error, exact.CLs_obs)
    for found, error, value in zip(test.CLs_exp, test.toys.exp_error, exact.CLs_exp, strict=True):
        agree(found, error, value)


# ---- against pyhf ----


def three_kinds() -> dict[str, Any]:
    """Constraints that are normal, Poisson, and of unit width."""
    systematics = staterror("stat", [1.5, 1.0]), normsys("norm", 0.9, 1.12)
    samples = signal([7.0, 5.0]), background([30.0, 14.0], *systematics, shapesys("u", [3.0, 2.0]))
    return workspace(region([34.0, 15.0], *samples))


def test_toys_have_the_distribution_of_pyhfs_own():
    spec = workspace(region([36.0], signal([9.0]), background([30.0], normsys("norm", 0.9, 1.12))))
    [ours] = run(spec, asked(1.0, toys=2000)).tests
    theirs = pyhf.Workspace(spec)
    model, number = theirs.model(), 120
    before = np.random.get_state()
    np.random.seed(1)  # pyhf has no other way
    calculator = pyhf.infer.calculators.ToyCalculator(
        theirs.data(model), model, ntoys=number, track_progress=False
    )
    signals, backgrounds = calculator.distributions(1.0)
    np.random.set_state(before)

    q = calculator.teststatistic(1.0)
    p_sb, CLb, _ = map(float, calculator.pvalues(q, signals, backgrounds))
    # its own percentiles do not work with numpy 2.4
    each = [calculator.pvalues(q, signals, backgrounds)[2] for q in backgrounds.samples]
    assert ours.q == pytest.approx(float(q), abs=1e-4)
    for found, value in ((ours.p_sb, p_sb), (1 - ours.p_b, CLb)):
        agree(found, math.sqrt(found * (1 - found) / number), value)
    error = ours.toys.exp_error[2] * math.sqrt(2000 / number)
    agree(ours.CLs_exp[2], error, float(np.percentile(each, 50)))


@pytest.mark.parametrize("codes", [("code4", "code4p"), ("code1", "code0")], ids=str)
@pytest.mark.parametrize("test_statistic", ["q", "qtilde", "q0"])
def test_the_statistic_of_every_toy_is_that_of_its_profile(test_statistic, codes):
    spec = three_kinds()
    shape = histosys("shape", lo=[28.0, 15.0], hi=[33.0, 13.5])
    spec["channels"][0]["samples"][1]["modifiers"].append(shape)
    spec["measurements"][0]["config"]["parameters"] = [{"name": "mu", "bounds": [[-3.0, 10.0]]}]
    mu = 0.0 if test_statistic == "q0" else 1.0
    to = replace(asked(mu), normsys=codes[0], histosys=codes[1])
    likelihood = native(spec, to)
    truth = likelihood.fit(likelihood.observed, 0.3).parameters
    toys = likelihood.throw(truth, 30, np.random.default_rng(5))

    q = statistics(likelihood, toys, mu, test_statistic, truth)

    expected, below_zero = [], 0
    for row in range(len(toys)):
        profile = Profile(likelihood, toys[row], "toy")
        profile.settle([mu])
        below_zero += profile.free.poi < 0
        expected.append(profile.statistic(mu, test_statistic))
    assert below_zero >= 3
    assert (q > 0).sum() >= 10
    others = np.abs(q - expected) > 1e-6
    assert others.sum() <= (0 if codes == ("code4", "code4p") else 3)  # kinks make more minima
    assert q == pytest.approx(expected, abs=0.1)


def test_the_pyhf_backend_throws_and_fits_its_own():
    to = replace(asked(1.0, toys=10, seed=4), backend="pyhf")
    state = str(np.random.get_state())
    with open_likelihood(three_kinds(), to) as likelihood:
        [first] = run_tests(likelihood, to).tests
    with open_likelihood(three_kinds(), to) as likelihood:
        [again] = run_tests(likelihood, to).tests
    [ours] = run(three_kinds(), asked(1.0, toys=1000)).tests

    assert first == again
    assert str(np.random.get_state()) == state
    agree(first.p_sb, math.hypot(first.toys.p_sb_error, ours.toys.p_sb_error), ours.p_sb)
    agree(first.p_b, math.hypot(first.toys.p_b_error, ours.toys.p_b_error), ours.p_b)


@pytest.mark.parametrize("backend", ["native", "pyhf"])
def test_data_are_thrown_with_the_right_means_and_variances(backend):
    to = replace(asked(1.0), backend=backend)
    ours = native(three_kinds(), to)
    truth, rng = ours.fit(ours.observed, 1.0).parameters, np.random.default_rng(3)
    names, number = list(ours._parameters.names), 4000
    if backend == "native":
        toys = ours.throw(truth, number, rng)
        main, normal, counted = (
            toys.main,
            *np.split(
                toys.auxiliary[:, [names.index(n) for n in ("norm", "stat[0]", "u[0]", "u[1]")]],
                2,
                1,
            ),
        )
    else:
        with open_likelihood(three_kinds(), to) as likelihood:
            pyhf_truth = likelihood.fit(likelihood.observed, 1.0).parameters
            order, slices = likelihood._model.config.auxdata_order, {}
            toys = likelihood.throw(pyhf_truth, number, rng)
        place = 2
        for name in order:
            slices[name] = place
            place += 1 if name == "norm" else 2
        main, counted = toys[:, :2], toys[:, slices["u"] : slices["u"] + 2]
        normal = toys[:, [slices["norm"], slices["stat"]]]

    def moments(sample: Array, means: Any, variances: Any) -> None:
        spread = np.sqrt(variances)
        assert np.all(np.abs(sample.mean(axis=0) - means) < 5 * spread / math.sqrt(number))
        assert sample.var(axis=0) == pytest.approx(variances, rel=5 * math.sqrt(2.2 / number))

    at = {name: truth[names.index(name)] for name in names}
    expected = ours.asimov(truth).main
    moments(main, expected, expected)
    relative = 1.5 / 30
    moments(normal, np.array([at["norm"], at["stat[0]"]]), np.array([1.0, relative**2]))
    counts = np.array([100 * at["u[0]"], 49 * at["u[1]"]])  # (30 / 3)^2 and (14 / 2)^2
    moments(counted, counts, counts)
    assert (counted == np.floor(counted)).all()


# ---- reproducible, however the work is split ----


def test_the_same_seed_gives_the_same_toys_and_another_one_others():
    spec, to = three_kinds(), asked(1.0, toys=60)
    outcome = run(spec, to)

    assert run(spec, to) == outcome
    assert run(spec, replace(to, seed=0)) == outcome
    assert run(spec, replace(to, seed=1)).tests != outcome.tests


def test_the_first_toys_are_the_same_however_many_are_thrown(monkeypatch):
    kept: dict[int, list[Array]] = {}

    def spy(likelihood: Any, toys: Any, *rest: Any) -> Array:
        kept[number].append(np.array(toys))
        return statistics(likelihood, toys, *rest)

    monkeypatch.setattr(toys_module, "statistics", spy)
    for number in (40, BATCH + 10):
        kept[number] = []
        run_tests(Gaussian(0.3), question(1.0, toys=number, seed=7))

    few, many = kept.values()
    assert [len(batch) for batch in many] == [BATCH, BATCH, 10, 10]
    for one, other in zip(few, many[:2], strict=True):
        assert (one == other[:40]).all()
    assert len({tuple(batch[:10]) for batch in many}) == 4  # every batch has its own


def test_a_test_does_not_depend_on_what_is_tested_with_it():
    together = run_tests(Gaussian(0.3), question(1.0, 2.0, toys=100)).tests

    assert together[1:] == run_tests(Gaussian(0.3), question(2.0, toys=100)).tests


# ---- how many ----


def test_a_number_of_toys_is_thrown_exactly():
    [test] = run_tests(Gaussian(0.3), question(1.0, toys=2 * BATCH + 1)).tests

    assert test.toys.thrown == 2 * BATCH + 1
    assert test.toys.failed == 0


@pytest.mark.parametrize(("precision", "most"), [(0.02, 10_000), (1e-4, 600)])
def test_toys_are_thrown_until_CLs_is_known_well_enough(precision, most):
    [test] = run_tests(Gaussian(0.3), question(1.0, toys=most, precision=precision)).tests

    if test.toys.thrown < most:
        assert test.toys.obs_error <= precision
        assert test.toys.thrown % BATCH == 0
        few = question(1.0, toys=test.toys.thrown - BATCH)
        [before] = run_tests(Gaussian(0.3), few).tests
        assert before.toys.obs_error > precision
    else:
        assert (precision, test.toys.thrown) == (1e-4, most)


def test_a_discovery_stops_when_p0_is_known_well_enough():
    to = question(test_statistic="q0", toys=100_000, precision=0.005)
    found = run_tests(Gaussian(0.8), to).discovery

    assert found.toys.obs_error <= 0.005
    assert found.toys.thrown < 100_000
    agree(found.p0, found.toys.obs_error, norm.sf(0.8))


def test_no_toy_above_is_not_certainty():
    [test] = run_tests(Gaussian(0.0, 0.2), question(2.0, toys=BATCH)).tests

    assert test.p_sb == 0.0
    assert test.toys.p_sb_error == pytest.approx(0.7 / BATCH, rel=0.05)
    assert test.toys.obs_error > 0


# ---- toys without a minimum ----


@dataclass
class Fragile(Gaussian):
    """Toys above some value have no minimum, whatever is tried."""

    limit: float = 2.0

    def fit(self, data: float, *rest: Any, **more: Any) -> Any:
        if data > self.limit:
            raise InferenceError("no minimum")
        return super().fit(data, *rest, **more)

    def fit_many(self, toys: Array, mu: float | None, starts: Any) -> Any:
        return replace(super().fit_many(toys, mu, starts), converged=toys <= self.limit)


def test_a_toy_without_a_minimum_is_counted_and_costs_nothing_else():
    # of 1000 toys around 0 and 0.1
    [test] = run_tests(Fragile(0.1, limit=2.6), question(0.1, toys=1000)).tests

    assert 1 <= test.toys.failed <= 20
    assert test.toys.thrown == 1000
    [sound] = run_tests(Gaussian(0.1), question(0.1, toys=1000)).tests
    assert test.p_sb == pytest.approx(sound.p_sb, abs=test.toys.failed / 1000)


def test_too_many_toys_without_a_minimum_are_an_error():
    with pytest.raises(InferenceError, match=r"of 1000 background-only toys have no minimum"):
        run_tests(Fragile(0.1, limit=1.5), question(0.1, toys=1000))


def test_a_toy_that_the_batch_cannot_fit_is_fitted_alone():
    @dataclass
    class Lazy(Gaussian):
        def fit_many(self, toys: Array, mu: float | None, starts: Any) -> Any:
            return replace(super().fit_many(toys, mu, starts), converged=toys < 0.5)

    [lazy], [plain] = (
        run_tests(kind(0.1), question(1.0, toys=200)).tests for kind in (Lazy, Gaussian)
    )

    assert lazy == plain


def test_a_free_fit_above_a_conditional_one_is_made_again():
    @dataclass
    class Misled(Gaussian):
        def fit_many(self, toys: Array, mu: float | None, starts: Any) -> Any:
            found = super().fit_many(toys, mu, starts)
            return found if mu is not None else replace(found, twice_nll=found.twice_nll + 50.0)

    [misled], [plain] = (
        run_tests(kind(0.1), question(1.0, toys=200)).tests for kind in (Misled, Gaussian)
    )

    assert misled == plain


def test_data_unlike_any_background_only_toy_tell_nothing():
    with pytest.raises(InferenceError, match="none of 250 background-only toys has a q as large"):
        run_tests(Gaussian(-9.0, poi_bounds=(-20.0, 20.0)), question(1.0, toys=BATCH))


def test_a_record_of_toys_survives_the_result_store():
    outcome = run_tests(Gaussian(0.3), question(1.0, toys=50))

    assert Outcome.from_json(outcome.to_json()) == outcome
    test: HypothesisTest = outcome.tests[0]
    assert outcome.to_dict()["tests"][0]["toys"]["thrown"] == test.toys.thrown == 50
