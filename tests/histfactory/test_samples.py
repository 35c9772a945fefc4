"""One sample as arrays: what is kept of its modifiers, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from build import (
    background,
    histosys,
    lumi,
    modifier,
    normfactor,
    normsys,
    shapefactor,
    shapesys,
    staterror,
)

from fitspec.errors import WorkspaceError
from fitspec.histfactory.samples import compile_sample


def refused(*modifiers):
    """The message of a sample that must be refused."""
    with pytest.raises(WorkspaceError) as caught:
        compile_sample(background([10.0, 20.0], *modifiers), "SR")
    return str(caught.value)


def test_variations_are_kept_relative_to_the_nominal_model():
    sample = compile_sample(
        background(
            [10.0, 20.0],
            histosys("shape", lo=[9.0, 18.0], hi=[12.0, 20.0]),
            normsys("norm", lo=0.8, hi=1.25),
        ),
        "SR",
    )

    assert sample.name == "background"
    assert sample.nominal.tolist() == [10, 20]
    assert sample.additive == ["shape"]
    assert sample.up.tolist() == [[2, 0]]
    assert sample.down.tolist() == [[1, 2]]
    assert sample.normsys == ["norm"]
    assert sample.log_hi == pytest.approx(np.log([1.25]))
    assert sample.log_lo == pytest.approx(np.log([0.8]))


def test_variations_that_change_nothing_are_left_out_but_have_a_parameter():
    sample = compile_sample(
        background(
            [10.0, 20.0],
            histosys("shape", lo=[10.0, 20.0], hi=[10.0, 20.0]),
            normsys("norm", lo=1.0, hi=1.0),
        ),
        "SR",
    )

    assert (sample.additive, sample.normsys) == ([], [])
    assert sample.kinds == {"shape": "alpha", "norm": "alpha"}


def test_half_a_variation_is_kept():
    sample = compile_sample(
        background(
            [10.0], histosys("one side", lo=[10.0], hi=[11.0]), normsys("too", lo=1.0, hi=1.1)
        ),
        "SR",
    )

    assert (sample.additive, sample.normsys) == (["one side"], ["too"])


def test_factors_are_told_apart_by_how_many_parameters_they_have():
    sample = compile_sample(
        background(
            [10.0, 20.0],
            normfactor("mu"),
            lumi(),
            shapefactor("free"),
            shapesys("counted", [1.0, 2.0]),
            staterror("stat", [0.5, 0.0]),
        ),
        "SR",
    )

    assert sample.scales == ["mu", "lumi"]
    assert {name: kind for name, (kind, _) in sample.shapes.items()} == {
        "free": "shapefactor", "counted": "shapesys", "stat": "staterror"
    }  # fmt: skip
    assert sample.shapes["stat"][1].tolist() == [0.5, 0]


def test_a_histosys_and_a_normsys_may_share_a_name():
    sample = compile_sample(
        background([10.0], histosys("jes", lo=[9.0], hi=[11.0]), normsys("jes", lo=0.9, hi=1.2)),
        "SR",
    )

    assert (sample.additive, sample.normsys, sample.kinds) == (["jes"], ["jes"], {"jes": "alpha"})


@pytest.mark.parametrize(
    "twice",
    [normfactor("x"), normsys("x", 0.9, 1.1), histosys("x", [9.0, 19.0], [11.0, 21.0])],
    ids=lambda modifier: modifier["type"],
)
def test_a_modifier_is_not_given_twice(twice):
    kind = twice["type"]
    assert refused(twice, twice) == (
        f"sample 'background' of channel 'SR' has two {kind} called 'x'"
    )


@pytest.mark.parametrize(
    ("one", "other", "kinds"),
    [
        (normfactor("x"), normsys("x", 0.9, 1.1), "normfactor and alpha"),
        (normfactor("x"), lumi("x"), "normfactor and lumi"),
        (normfactor("x"), shapefactor("x"), "normfactor and shapefactor"),
        (staterror("x", [1.0, 1.0]), shapesys("x", [1.0, 1.0]), "staterror and shapesys"),
    ],
)
def test_a_name_of_two_kinds_is_named(one, other, kinds):
    assert refused(one, other) == (
        f"modifiers called 'x' are of kinds that share no parameter: {kinds}"
    )


@pytest.mark.parametrize(("lo", "hi"), [(0.0, 1.1), (0.9, 0.0), (-0.5, 1.5)])
def test_a_normsys_whose_factor_is_not_positive_is_named(lo, hi):
    assert refused(normsys("jes", lo, hi)) == (
        f"normsys 'jes' of sample 'background' of channel 'SR' has hi = {hi:g} and lo = {lo:g}; "
        "factors must be positive"
    )


@pytest.mark.parametrize(
    "bad",
    [
        histosys("x", lo=[9.0], hi=[11.0, 21.0]),
        histosys("x", lo=[9.0, 19.0], hi=[11.0]),
        shapesys("x", [1.0]),
        staterror("x", [1.0]),
    ],
)
def test_a_modifier_with_the_wrong_number_of_bins_is_named(bad):
    assert refused(bad) == (
        "modifier 'x' of sample 'background' of channel 'SR' has 1 bins, the sample 2"
    )


def test_an_unknown_type_is_named():
    assert refused(modifier("magic", "x")) == (
        "sample 'background' of channel 'SR' has a modifier 'x' of unknown type 'magic'"
    )


@pytest.mark.parametrize(
    "bad",
    [
        histosys("x", lo=[9.0, None], hi=[11.0, 21.0]),
        shapesys("x", [1.0, None]),
        staterror("x", [None, 1.0]),
    ],
    ids=lambda modifier: modifier["type"],
)
def test_a_null_is_no_number(bad):
    assert refused(bad) == (
        "sample 'background' of channel 'SR' has a null where a number is needed"
    )


def test_only_a_shapefactor_needs_no_data():
    with pytest.raises(TypeError):
        compile_sample(background([10.0], modifier("shapesys", "x")), "SR")
