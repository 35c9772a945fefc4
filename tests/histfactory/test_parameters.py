"""Parameters and what the measurement says about them: as pyhf has it, or refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from build import (
    LUMI,
    background,
    histosys,
    lumi,
    normfactor,
    normsys,
    region,
    sample,
    shapefactor,
    shapesys,
    signal,
    staterror,
    workspace,
)
from reference import agreeing

from fitspec.errors import WorkspaceError
from fitspec.histfactory.model import Compiler

ATTRIBUTES = (
    "inits", "low", "high", "fixed", "normal", "poisson", "sigma", "factor", "auxdata"
)  # fmt: skip


def model_of(workspace, measurement="fit"):
    return Compiler(workspace).compile(workspace, measurement)


def refused(workspace):
    """The message of a workspace that must be refused."""
    with pytest.raises(WorkspaceError) as caught:
        model_of(workspace)
    return str(caught.value)


def counting(*modifiers, parameters=(), observed=(12.0, 19.0)):
    """A signal on a background of two bins that carries modifiers."""
    return workspace(
        region(list(observed), signal([3.0, 5.0]), background([10.0, 20.0], *modifiers)),
        parameters=parameters,
    )


def of(pair, name):
    """Everything about one parameter."""
    p = pair.parameters
    i = p.names.index(name)
    return {key: getattr(p, key)[i].item() for key in ATTRIBUTES}


# ---- what pyhf makes of the modifiers ----


def test_every_kind_of_parameter_is_as_in_pyhf():
    pair = agreeing(
        counting(
            normfactor("k"),
            lumi(),
            normsys("norm", 0.9, 1.2),
            histosys("shape", [9.0, 18.0], [12.0, 21.0]),
            shapefactor("free"),
            shapesys("counted", [1.0, 2.0]),
            staterror("stat", [0.5, 1.0]),
            parameters=[LUMI],
        )
    )

    assert len(pair.parameters.names) == 11
    assert of(pair, "k")["normal"] is of(pair, "k")["poisson"] is False
    assert of(pair, "norm")["sigma"] == 1
    assert of(pair, "counted[1]")["factor"] == pytest.approx(100)
    assert of(pair, "stat[0]")["sigma"] == pytest.approx(0.05)
    assert of(pair, "lumi")["sigma"] == 0.02


def test_a_staterror_is_relative_to_the_sum_of_its_carriers():
    pair = agreeing(
        workspace(
            region(
                [25.0],
                signal([5.0], staterror("stat", [3.0])),
                background([10.0], staterror("stat", [4.0])),
                sample("other", [7.0]),
            )
        )
    )

    assert of(pair, "stat[0]")["sigma"] == pytest.approx(5 / 15)


def test_a_staterror_without_uncertainty_is_fixed_at_one():
    pair = agreeing(counting(staterror("stat", [0.0, 2.0])))

    zero = of(pair, "stat[0]")
    assert (zero["fixed"], zero["inits"], zero["sigma"]) == (True, 1, 1)
    assert of(pair, "stat[1]")["fixed"] is False


def test_a_staterror_of_an_empty_bin_is_fixed_at_one():
    pair = agreeing(
        workspace(region([3.0], signal([3.0]), background([0.0], staterror("stat", [1.0]))))
    )

    assert of(pair, "stat[0]")["fixed"] is True


@pytest.mark.parametrize(
    ("rates", "uncertainties"), [([10.0, 20.0], [0.0, 2.0]), ([0.0, 20.0], [1.0, 2.0])]
)
def test_a_shapesys_without_rate_or_uncertainty_is_fixed(rates, uncertainties):
    pair = agreeing(
        workspace(
            region(
                [12.0, 19.0], signal([3.0, 5.0]), background(rates, shapesys("x", uncertainties))
            )
        )
    )

    assert (of(pair, "x[0]")["fixed"], of(pair, "x[0]")["factor"]) == (True, 1)
    assert of(pair, "x[1]")["fixed"] is False


# ---- what the measurement changes ----


@pytest.mark.parametrize(
    ("modifier", "config"),
    [
        (normfactor("x"), {"inits": [1.5], "bounds": [[0.5, 3.0]]}),
        (normfactor("x"), {"fixed": True}),
        (normsys("x", 0.9, 1.2), {"inits": [0.5], "bounds": [[-2.0, 1.0]], "auxdata": [0.25]}),
        (histosys("x", [9.0, 18.0], [12.0, 21.0]), {"auxdata": [-1.0], "fixed": True}),
        (shapefactor("x"), {"inits": [1.1, 0.9], "bounds": [[0.5, 2.0], [0.1, 3.0]]}),
        (shapesys("x", [1.0, 2.0]), {"auxdata": [90.0, 110.0], "factors": [95.0, 105.0]}),
        (shapesys("x", [0.0, 2.0]), {"fixed": False}),
        (staterror("x", [1.0, 2.0]), {"auxdata": [0.9, 1.1], "sigmas": [0.2, 0.3]}),
        (staterror("x", [0.0, 2.0]), {"fixed": False, "inits": [1.2, 0.8]}),
        (staterror("x", [1.0, 2.0]), {"fixed": True}),
    ],
    ids=lambda value: value["type"] if "type" in value else "-".join(value),
)
def test_the_measurement_has_the_last_word(modifier, config):
    pair = agreeing(counting(modifier, parameters=[{"name": "x", **config}]))

    changed = [i for i, name in enumerate(pair.parameters.names) if name.startswith("x")]
    if "inits" in config:
        assert pair.parameters.inits[changed].tolist() == config["inits"]
    if "fixed" in config:
        assert set(pair.parameters.fixed[changed]) == {config["fixed"]}


def test_a_fixed_luminosity_is_as_in_pyhf():
    pair = agreeing(
        counting(lumi(), parameters=[{**LUMI, "inits": [1.01], "auxdata": [1.02], "fixed": True}])
    )

    assert of(pair, "lumi") == {
        "inits": 1.01, "low": 0.9, "high": 1.1, "fixed": True, "normal": True, "poisson": False,
        "sigma": 0.02, "factor": 0, "auxdata": 1.02,
    }  # fmt: skip


def test_a_fixed_scale_of_a_background_is_as_in_pyhf():
    pair = agreeing(counting(normfactor("mu_BG"), parameters=[{"name": "mu_BG", "fixed": True}]))

    assert of(pair, "mu_BG")["fixed"] is True


def test_a_parameter_that_no_sample_has_may_be_configured():
    pair = agreeing(counting(parameters=[{"name": "absent", "inits": [0.5]}]))

    assert pair.parameters.names == ("mu",)


# ---- what makes no sense ----


@pytest.mark.parametrize("missing", ["inits", "bounds", "auxdata", "sigmas"])
def test_a_luminosity_needs_everything(missing):
    config = {key: value for key, value in LUMI.items() if key != missing}

    assert refused(counting(lumi(), parameters=[config])) == (
        f"its measurement has no {missing} for 'lumi', a luminosity"
    )


def test_a_luminosity_must_be_configured():
    assert refused(counting(lumi())) == (
        "its measurement has no inits, bounds, auxdata, sigmas for 'lumi', a luminosity"
    )


@pytest.mark.parametrize(
    ("modifier", "key"),
    [
        (normsys("x", 0.9, 1.2), "sigmas"),
        (histosys("x", [9.0, 18.0], [12.0, 21.0]), "sigmas"),
        (normfactor("x"), "auxdata"),
        (normfactor("x"), "sigmas"),
        (normfactor("x"), "factors"),
        (staterror("x", [1.0, 2.0]), "factors"),
        (shapesys("x", [1.0, 2.0]), "sigmas"),
    ],
    ids=lambda value: value if isinstance(value, str) else value["type"],
)
def test_a_parameter_is_given_nothing_that_it_does_not_have(modifier, key):
    assert refused(counting(modifier, parameters=[{"name": "x", key: [1.0]}])) == (
        f"its measurement gives {key} of 'x', which has none"
    )


@pytest.mark.parametrize(
    ("modifier", "config", "message"),
    [
        (normfactor("x"), {"inits": [1.0, 1.0]}, "2 inits of 'x', which has 1"),
        (normsys("x", 0.9, 1.2), {"bounds": []}, "0 bounds of 'x', which has 1"),
        (staterror("x", [1.0, 2.0]), {"auxdata": [1.0]}, "1 auxdata of 'x', which has 2"),
        (shapesys("x", [1.0, 2.0]), {"factors": [1.0] * 3}, "3 factors of 'x', which has 2"),
    ],
)
def test_as_many_values_as_parameters_are_needed(modifier, config, message):
    assert refused(counting(modifier, parameters=[{"name": "x", **config}])) == (
        f"its measurement gives {message}"
    )


def test_a_value_is_a_number():
    assert refused(counting(parameters=[{"name": "mu", "bounds": [[0.0, None]]}])) == (
        "its measurement's bounds of 'mu' has a null where a number is needed"
    )


def test_a_parameter_is_configured_once():
    twice = [{"name": "mu", "inits": [1.0]}, {"name": "mu", "inits": [2.0]}]

    assert refused(counting(parameters=twice)) == "its measurement configures a parameter twice"


def test_a_width_must_be_positive():
    config = {"name": "stat", "sigmas": [0.1, 0.0]}

    assert refused(counting(staterror("stat", [1.0, 2.0]), parameters=[config])) == (
        "its measurement gives 'stat' a sigma that is not positive"
    )


# ---- parameters that act a bin, in several channels ----


def two_regions(one, other, bins=(2, 1)):
    """A signal region and a control region whose backgrounds carry modifiers."""
    first, second = ([10.0 * (i + 1) for i in range(n)] for n in bins)
    return workspace(
        region([11.0] * bins[0], signal([3.0] * bins[0]), background(first, one), name="SR"),
        region([9.0] * bins[1], background(second, other), name="CR"),
    )


def test_a_staterror_of_two_channels_has_the_bins_of_both():
    pair = agreeing(two_regions(staterror("stat", [1.0, 2.0]), staterror("stat", [3.0])))

    p = pair.parameters
    sigmas = {name: p.sigma[i] for i, name in enumerate(p.names) if name.startswith("stat")}
    assert sigmas == pytest.approx({"stat[0]": 0.3, "stat[1]": 0.1, "stat[2]": 0.1})


def test_a_shapefactor_of_two_channels_acts_on_both():
    pair = agreeing(two_regions(shapefactor("x"), shapefactor("x"), bins=(2, 2)))

    before, after = (pair.likelihood.expected(pair.point(mu=0, x_1=x)) for x in (1, 2))
    assert (after - before).tolist() == [0, 20, 0, 20]


def test_a_shapefactor_of_a_shorter_channel_has_parameters_to_spare():
    pair = agreeing(two_regions(shapefactor("x"), shapefactor("x"), bins=(1, 2)))

    assert np.sum([name.startswith("x") for name in pair.parameters.names]) == 2


def test_a_shapefactor_grows_with_no_channel():
    assert refused(two_regions(shapefactor("x"), shapefactor("x"))) == (
        "shapefactor 'x' has 1 bins in channel 'CR', but 2 in another one"
    )


def test_a_shapesys_belongs_to_one_sample():
    assert refused(two_regions(shapesys("x", [1.0, 2.0]), shapesys("x", [1.0]))) == (
        "shapesys 'x' cannot be shared: it is carried by 'background' and 'background'"
    )


def test_a_staterror_has_the_same_carriers_everywhere():
    odd = workspace(
        region([11.0], signal([3.0], staterror("stat", [1.0])), background([10.0]), name="SR"),
        region([9.0], background([10.0], staterror("stat", [1.0])), name="CR"),
    )

    assert refused(odd) == "staterror 'stat' is carried by other samples in other channels"
