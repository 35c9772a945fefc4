"""Interpolation codes: pyhf's values, and derivatives that belong to them."""

from __future__ import annotations

import numpy as np
import pyhf
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from reference import SETTINGS, central_differences

from fitspec.histfactory.interpolation import ADDITIVE, code4_coefficients, powers

ALPHAS = st.lists(
    st.sampled_from([0.0, 1.0, -1.0]) | st.floats(-8, 8, allow_subnormal=False), min_size=1
).map(np.array)
FACTORS = st.floats(0.2, 3)
KNOTS = np.array([-1.0, 0.0, 1.0])
RIGHT = np.array([True])
STEP = [1e-5]


def theirs(code, low, nominal, high, alphas):
    """What pyhf makes of a single variation: one value for each alpha."""
    interpolate = getattr(pyhf.interpolators, code)([[[[low], [nominal], [high]]]])
    return np.asarray(interpolate(pyhf.tensorlib.astensor([alphas])))[0, 0, :, 0]


@SETTINGS
@given(code=st.sampled_from(sorted(ADDITIVE)), alphas=ALPHAS, low=FACTORS, high=FACTORS)
def test_what_a_histosys_adds_is_what_it_adds_in_pyhf(code, alphas, low, high):
    up, down = ADDITIVE[code](alphas, alphas >= 0)

    delta = up[0] * (high - 1.0) + down[0] * (1.0 - low)
    assert delta == pytest.approx(theirs(code, low, 1.0, high, alphas), abs=1e-13)


@SETTINGS
@given(code=st.sampled_from(sorted(ADDITIVE)), alpha=st.floats(-8, 8))
def test_its_derivatives_are_differences_of_its_values(code, alpha):
    assume(np.abs(alpha - KNOTS).min() > 1e-3)

    def parts(alphas):
        return np.array(ADDITIVE[code](alphas, alphas >= 0))

    at = np.array([alpha])
    differences = central_differences(parts, at, STEP)[0]
    assert parts(at)[:, 1:] == pytest.approx(differences[:, :2], abs=1e-6)


@pytest.mark.parametrize("knot", KNOTS)
def test_code4p_has_no_kinks(knot):
    before, after = (
        np.array(ADDITIVE["code4p"](np.array([x]), RIGHT))
        for x in (np.nextafter(knot, -2), np.nextafter(knot, 2))
    )
    assert before == pytest.approx(after, abs=1e-14)


@pytest.mark.parametrize("right", [True, False])
def test_the_derivative_at_the_kink_of_code0_is_that_of_the_side_asked_for(right):
    up, down = ADDITIVE["code0"](np.zeros(1), np.array([right]))

    assert (up[0], down[0]) == (0, 0)
    assert (up[1], down[1]) == ((1, 0) if right else (0, 1))


@SETTINGS
@given(alphas=ALPHAS, low=FACTORS, high=FACTORS)
def test_the_polynomial_of_a_normsys_is_that_of_pyhf(alphas, low, high):
    alphas = alphas[np.abs(alphas) < 1]

    coefficients = code4_coefficients(np.log([high]), np.log([low]))
    factors = (powers(alphas) @ coefficients)[:, 0, 0]
    assert factors == pytest.approx(theirs("code4", low, 1.0, high, alphas), rel=1e-12)


@SETTINGS
@given(low=FACTORS, high=FACTORS)
def test_the_polynomial_joins_the_exponentials_with_both_derivatives(low, high):
    coefficients = code4_coefficients(np.log([high]), np.log([low]))

    lower, upper = (powers(np.array([-1.0, 1.0])) @ coefficients)[:, :, 0]
    rise, fall = np.log(high), -np.log(low)
    assert upper == pytest.approx([high, rise * high, rise**2 * high], rel=1e-9, abs=1e-9)
    assert lower == pytest.approx([low, fall * low, fall**2 * low], rel=1e-9, abs=1e-9)


@SETTINGS
@given(st.floats(-2, 2))
def test_powers_come_with_their_derivatives(alpha):
    value, slope, curvature = powers(np.array([alpha]))[0]

    assert value == pytest.approx([alpha**n for n in range(7)])
    differences = central_differences(lambda x: powers(x)[0], np.array([alpha]), STEP)[0]
    assert [slope, curvature] == pytest.approx(differences[:2], abs=1e-5)
