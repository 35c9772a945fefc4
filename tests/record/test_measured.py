"""Numbers of a point as expectations: digits, and tolerances from how they were made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fitspec.outcome import Discovery, HypothesisTest, Outcome, Toys
from fitspec.record.measured import DIGITS, Measured, measured, provenance
from fitspec.results import PointResult

BAND = (0.01, 0.05, 0.1, 0.3, 0.6)
TEST = HypothesisTest(1.0, 1 / 3, BAND, 0.1, 0.25, 1.0, 2.0)
TOYS = Toys(1000, 0, 0.0123, (0.001, 0.002, 0.003, 0.004, 0.0042), 0.01, 0.02)


def quantities(xsec_pb: float | None = None, **outcome) -> dict[str, Measured]:
    point = PointResult("a.toml", "signal", {}, Outcome("ok", **outcome), xsec_pb=xsec_pb)
    return {m.quantity: m for m in measured(point, "signal", None)}


def test_values_have_enough_digits_and_no_more():
    found = quantities(tests=(TEST,))

    assert found["CLs_obs"] == Measured("signal", "CLs_obs", 1.0, 0.33333333, 1e-3, 0.0)
    assert found["CLs_obs"].value == pytest.approx(1 / 3, rel=10.0 ** (1 - DIGITS))
    assert found["CLs_exp"].value == BAND
    assert found["excluded"].value is False


def test_the_best_fit_may_be_zero():
    found = quantities(mu_hat=0.0)

    assert (found["mu_hat"].value, found["mu_hat"].atol) == (0.0, 1e-3)


def test_tolerances_of_toys_are_five_of_their_uncertainties():
    found = quantities(tests=(replace(TEST, toys=TOYS),))

    assert found["CLs_obs"].atol == pytest.approx(0.062)  # 5 x 0.0123, rounded up
    assert found["CLs_exp"].atol == pytest.approx(0.021)
    assert found["p_b"].atol == pytest.approx(0.1)


def test_no_toy_as_extreme_leaves_room_for_a_few():
    none = replace(TOYS, obs_error=0.0)

    assert quantities(tests=(replace(TEST, CLs_obs=0.0, toys=none),))["CLs_obs"].atol == 0.005


def test_limits_by_toys_and_in_pb():
    found = quantities(
        xsec_pb=0.01, upper_limit_obs=2.0, upper_limit_exp=BAND,
        upper_limit_obs_error=0.1, upper_limit_exp_error=(0.01, 0.02, 0.03, 0.04, 0.05),
    )  # fmt: skip

    assert {name: (m.value, m.atol) for name, m in found.items()} == {
        "upper_limit_obs": (2.0, pytest.approx(0.5)),
        "upper_limit_exp": (BAND, pytest.approx(0.25)),
        "upper_limit_xsec_obs": (0.02, pytest.approx(0.005)),
        "upper_limit_xsec_exp": (pytest.approx([b * 0.01 for b in BAND]), pytest.approx(0.0025)),
    }


def test_asymptotic_limits_have_a_relative_tolerance_alone():
    found = quantities(upper_limit_obs=2.0, upper_limit_exp=BAND)

    assert {(m.rtol, m.atol) for m in found.values()} == {(1e-3, 0.0)}


def test_a_discovery_has_its_p0():
    asymptotic = Discovery(0.02, BAND, 2.05, 4.2, 2.7)
    by_toys = replace(asymptotic, toys=replace(TOYS, obs_error=0.004))

    assert quantities(discovery=asymptotic)["p0"].atol == 0.0
    assert quantities(discovery=by_toys)["p0"].atol == pytest.approx(0.02)


def test_provenance_names_versions_backend_and_day():
    made = {"fitspec": "0.1.0", "backend": "native", "numpy": "2", "scipy": "1", "pyhf": "0.7"}

    assert provenance(made, "2026-11-25") == (
        "recorded by fitspec 0.1.0, native backend, numpy 2, scipy 1, pyhf 0.7, 2026-11-25"
    )
