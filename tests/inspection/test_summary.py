"""Summaries against pyhf, and against the numbers that the workspace was built from."""

from __future__ import annotations

import copy
from typing import Any

import pyhf
import pytest
from build import (
    LUMI,
    background,
    histosys,
    lumi,
    normfactor,
    normsys,
    region,
    shapesys,
    signal,
    staterror,
    workspace,
)

from fitspec.inspection.summary import Summary, summarise

MEASURED = [LUMI, {"name": "mu_b", "inits": [1.2], "bounds": [[0.5, 2.0]]}]


@pytest.fixture
def content() -> dict[str, Any]:
    return workspace(
        region(
            [12.0, 7.0],
            signal([3.0, 4.0], lumi(), staterror("stat_SR", [0.3, 0.0])),
            background(
                [10.0, 0.0], normfactor("mu_b"), normsys("norm", 0.9, 1.1),
                histosys("shape", [9.0, 0.0], [11.0, 0.5]), staterror("stat_SR", [0.4, 0.0]),
            ),
        ),
        region([55.0], background([50.0], normfactor("mu_b"), shapesys("sys_CR", [5.0])),
               name="CR"),
        parameters=MEASURED,
    )  # fmt: skip


def summary(content: dict[str, Any]) -> Summary:
    return summarise(content, content["measurements"][0], "mu")


def test_channels_have_their_events(content: dict[str, Any]) -> None:
    sr, cr = summary(content).channels
    assert (sr.observed, sr.nominal, sr.signal) == ((12.0, 7.0), (13.0, 4.0), 7.0)
    assert (cr.observed, cr.nominal, cr.signal) == ((55.0,), (50.0,), 0.0)
    assert [(s.name, s.signal, s.events) for s in sr.samples] == [
        ("signal", True, 7.0),
        ("background", False, 10.0),
    ]
    assert sr.samples[1].modifiers == {"normfactor": 1, "normsys": 1, "histosys": 1, "staterror": 1}


def test_expected_events_are_those_of_pyhf_at_its_starting_values(content: dict[str, Any]) -> None:
    model = pyhf.Workspace(copy.deepcopy(content)).model()
    expected = model.expected_data(model.config.suggested_init(), include_auxdata=False).tolist()
    ours = {channel.name: channel.expected for channel in summary(content).channels}
    assert [*(ours["CR"] or ()), *(ours["SR"] or ())] == pytest.approx(expected, rel=1e-12)
    assert ours["CR"] == pytest.approx((60.0,))  # 1.2 x 50


def test_parameters_are_those_of_pyhf(content: dict[str, Any]) -> None:
    config = pyhf.Workspace(copy.deepcopy(content)).model().config
    ours = {p.name: p for p in summary(content).parameters or ()}
    theirs = dict(
        zip(
            config.par_names,
            zip(
                config.suggested_init(),
                config.suggested_bounds(),
                config.suggested_fixed(),
                strict=True,
            ),
            strict=True,
        )
    )
    # pyhf calls a parameter of one bin `name[0]`, too
    assert ours.keys() == theirs.keys()
    for name, (init, bounds, fixed) in theirs.items():
        found = ours[name]
        assert (found.init, [found.low, found.high], found.fixed) == (
            init,
            pytest.approx(list(bounds)),
            fixed,
        )


def test_roles_and_constraints(content: dict[str, Any]) -> None:
    found = {
        p.name: (p.role, p.types, p.constraint, p.width, p.configured)
        for p in summary(content).parameters or ()
    }
    assert found["mu"] == ("free", ("normfactor",), None, None, False)
    assert found["mu_b"] == ("free", ("normfactor",), None, None, True)
    assert found["lumi"] == ("constrained", ("lumi",), "normal", 0.02, True)
    assert found["norm"] == ("constrained", ("normsys",), "normal", 1.0, False)
    # sqrt(0.3^2 + 0.4^2) of 13 events; 5 of 50
    stat = ("constrained", ("staterror",), "normal", pytest.approx(0.5 / 13), False)
    assert found["stat_SR[0]"] == stat
    assert found["stat_SR[1]"][0] == "fixed"
    assert found["sys_CR[0]"][2:4] == ("poisson", pytest.approx(0.1))


def test_modifiers_are_counted_by_type(content: dict[str, Any]) -> None:
    counts = {m.type: (m.number, m.names) for m in summary(content).modifiers}
    assert counts == {
        "normfactor": (3, 2), "lumi": (1, 1), "normsys": (1, 1), "histosys": (1, 1),
        "shapesys": (1, 1), "staterror": (2, 1),
    }  # fmt: skip


def test_a_workspace_without_a_likelihood_is_summarised_all_the_same(
    content: dict[str, Any],
) -> None:
    content["channels"][0]["samples"][0]["data"] = [3.0]
    found = summary(content)
    assert found.parameters is None
    assert found.broken is not None
    assert [channel.expected for channel in found.channels] == [None, None]
    assert found.channels[0].nominal == (13.0, 0.0)
