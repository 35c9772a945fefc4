"""Best fits are frozen records that survive every transport."""

from __future__ import annotations

import dataclasses

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitspec import bestfit
from fitspec.bestfit import BestFit, Correlations, FittedParameter, Impact, Yield
from fitspec.errors import InferenceError
from fitspec.outcome import Outcome

FINITE = st.floats(allow_nan=False, allow_infinity=False)
MAYBE = st.none() | FINITE
NAMES = st.text(max_size=8)


def some(kind: type, *fields: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(st.builds(kind, *fields), max_size=2).map(tuple)


PARAMETERS = some(FittedParameter, NAMES, FINITE, *[MAYBE] * 5, st.booleans(), st.booleans())
MATRICES = st.lists(st.tuples(FINITE, FINITE), max_size=2).map(tuple)
FITS = st.builds(
    BestFit,
    poi=st.none() | NAMES,
    mu=MAYBE,
    twice_nll=FINITE,
    parameters=PARAMETERS,
    correlations=st.none() | st.builds(Correlations, st.lists(NAMES).map(tuple), MATRICES),
    impacts=st.none() | some(Impact, NAMES, *[MAYBE] * 4),
    yields=st.none()
    | some(Yield, NAMES, st.none() | st.integers(0, 9), st.none() | NAMES, MAYBE, FINITE, MAYBE),
    notes=st.lists(NAMES, max_size=2).map(tuple),
)

RECORDS = [
    item
    for item in vars(bestfit).values()
    if dataclasses.is_dataclass(item) and item.__module__ == bestfit.__name__
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_records_are_frozen_and_have_slots(record):
    assert record.__dataclass_params__.frozen
    assert "__slots__" in vars(record)


@settings(deadline=None)
@given(FITS)
def test_a_fit_survives_the_result_store_with_its_outcome(fit):
    outcome = Outcome("ok", fit=fit)

    assert Outcome.from_json(outcome.to_json()) == outcome


@pytest.mark.parametrize("key", ["poi", "mu", "twice_nll", "parameters"])
def test_a_fit_without_a_key_is_refused(key):
    data = Outcome("ok", fit=BestFit("mu", None, 1.0, ())).to_dict()
    del data["fit"][key]

    with pytest.raises(ValueError, match=r"fit\.|no outcome of this version"):
        Outcome.from_json(orjson.dumps(data))


def test_a_number_that_is_not_finite_is_named():
    matrix = Correlations(("mu", "jes"), ((1.0, float("nan")), (0.1, 1.0)))
    outcome = Outcome("ok", fit=BestFit("mu", None, 1.0, (), correlations=matrix))

    with pytest.raises(InferenceError, match=r"fit.correlations.matrix\[0\]\[1\] is nan"):
        outcome.require_finite()


def test_the_signal_is_the_poi():
    mu, jes = FittedParameter("mu", 1.2), FittedParameter("jes", 0.1)

    assert BestFit("mu", None, 1.0, (jes, mu)).signal is mu
    assert BestFit(None, None, 1.0, (jes, mu)).signal is None


@pytest.mark.parametrize(
    ("up", "down", "size"), [(0.1, -0.3, 0.3), (None, 0.2, 0.2), (None, None, 0.0)]
)
def test_the_size_of_an_impact_is_its_larger_side(up, down, size):
    assert Impact("jes", up, down, None, None).size == size
