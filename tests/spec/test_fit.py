"""The [fit] table: what it may say, and whether anything is tested beside it."""

from __future__ import annotations

import tomllib

import pytest
from pydantic import ValidationError

from fitspec.spec import Spec

MINIMAL = 'fitspec = 1\nanalysis.name = "small"\nworkspace.path = "background.json"\n'


def spec(tables: str) -> Spec:
    return Spec.model_validate(tomllib.loads(MINIMAL + tables))


def test_without_the_table_there_is_no_fit():
    assert spec("").fit is None
    assert not spec("").fit_alone


def test_an_empty_table_asks_for_parameters_and_nothing_else():
    fit = spec("[fit]").fit

    assert (fit.mu, fit.correlations, fit.impacts, fit.yields) == (None, False, False, False)


@pytest.mark.parametrize("impacts", ["true", "false", "10"])
def test_impacts_are_all_none_or_a_number(impacts):
    expected = tomllib.loads(f"x = {impacts}")["x"]
    assert spec(f"fit.impacts = {impacts}").fit.impacts is expected


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        ("fit.impacts = 0", "greater than or equal to 1"),
        ("fit.impacts = 2.5", "valid"),
        ("fit.mu = inf", "finite"),
        ("fit.yields = 1", "valid boolean"),
        ("fit.parameter = true", "Extra inputs"),
        ("fit = {mu = 0, impacts = true}", "impacts are shifts of the best-fit POI, and mu = 0"),
        ("fit = {mu = 0.5, impacts = 3}", "and mu = 0.5 keeps it"),
        (
            'parametrize.region = ["A"]\ncombine.best_expected = "region"\n[fit]',
            "chosen by CLs; ask for it with poi.test",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(tables, problem):
    with pytest.raises(ValidationError, match=problem):
        spec(tables)


@pytest.mark.parametrize(
    ("tables", "alone", "tested"),
    [
        ("[fit]", True, ()),
        ("[fit]\n[poi]", True, ()),
        ("[fit]\n[poi]\ntest = 2", False, (2.0,)),
        ("[fit]\n[poi]\nupper_limit = 0.95", False, ()),
        ('[fit]\n[inference]\ntest_statistic = "q0"', False, ()),
        ("[poi]", False, (1.0,)),
    ],
)
def test_without_anything_to_test_the_fit_is_alone(tables, alone, tested):
    assert (spec(tables).fit_alone, spec(tables).tested) == (alone, tested)
