"""Best fits on the terminal: short where there are many, whole with -v."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from fitspec.bestfit import BestFit, FittedParameter, Impact, Yield
from fitspec.outcome import HypothesisTest, Outcome
from fitspec.report import TerminalReport
from fitspec.report.fits import brief
from fitspec.results import PointResult, RunReport, SpecRecord

PARAMETERS = (
    FittedParameter("mu", 0.22811, 0.33844),
    *(FittedParameter(f"np_{i}", i / 10, 0.9, 0.0, 1.0, i / 10, 0.9) for i in range(8)),
    FittedParameter("stat[0]", 1e-10, None, 1.0, 0.5, -2.0, None, at_bound=True),
    FittedParameter("lumi", 1.0, fixed=True),
)
IMPACTS = tuple(Impact(f"np_{i}", -0.1 / (i + 1), 0.05, None, None) for i in range(8))
YIELDS = (
    Yield("SR", 0, None, 12.0, 11.234, 2.345),
    Yield("SR", 0, "top", None, 3.0, 1.0),
    Yield("SR", None, None, 12.0, 11.234, 2.345),
    Yield("CR", 0, None, 1099.0, 1100.2, None),
)
FIT = BestFit("mu", None, 216.068, PARAMETERS, notes=("kept at the bound",))
WHOLE = BestFit("mu", None, 216.068, PARAMETERS, None, IMPACTS, YIELDS)
BACKGROUND = BestFit("mu", 0.0, 220.5, (FittedParameter("mu", 0.0, fixed=True),))
NOTHING = BestFit(None, None, 220.5, PARAMETERS[1:3])


def shown(*fits: BestFit, verbosity: int = 0) -> list[str]:
    points = tuple(
        PointResult("small.toml", f"point_{i}", {}, Outcome("ok", fit=fit, seconds=0.25))
        for i, fit in enumerate(fits)
    )
    return written(points, verbosity)


def written(points: tuple[PointResult, ...], verbosity: int) -> list[str]:
    stream = StringIO()
    environment = dict.fromkeys(
        ("fitspec", "python", "numpy", "pyhf", "backend", "endpoint", "workers"), "1"
    )
    display = TerminalReport(Console(file=stream, width=80), verbosity)
    display.started(len(points), 0, 0, 1, environment)
    display.settled(points, [])
    specs = (SpecRecord("small.toml", "0" * 64, "small"),)
    display.finished(RunReport(specs, {}, points, (), (), deselected=0, seconds=1.0))
    return [" ".join(line.split()) for line in stream.getvalue().splitlines()]


def test_a_fit_is_a_line_and_its_strongest_pulls():
    text = shown(FIT)

    start = text.index("best fit POI value -2 ln L at bounds")
    assert text[start + 1 : start + 9] == [
        "point_0 mu 0.23 +- 0.34 216.068 1",
        "",
        "point_0 (5 of 9) value pull constraint",
        "stat[0] 1e-10 (at bound) -2.00",
        "np_7 0.70 +- 0.90 +0.70 0.90",
        "np_6 0.60 +- 0.90 +0.60 0.90",
        "np_5 0.50 +- 0.90 +0.50 0.90",
        "np_4 0.40 +- 0.90 +0.40 0.90",
    ]
    assert text[start + 9] == "note: point_0: kept at the bound"


def test_with_impacts_they_decide_the_order():
    text = shown(WHOLE)

    start = text.index("point_0 (5 of 8) value pull constraint impact on mu")
    assert text[start + 1] == "np_0 0.00 +- 0.90 +0.00 0.90 -0.1, +0.05"
    assert text[start + 5].startswith("np_4 ")
    assert not any("SR" in line for line in text)


def test_an_impact_that_is_not_known_is_a_dash():
    fit = BestFit("mu", None, 1.0, PARAMETERS, None, (Impact("np_1", None, 0.05, None, None),))

    assert "np_1 0.10 +- 0.90 +0.10 0.90 -, +0.05" in shown(fit)


def test_verbosely_all_parameters_and_yields_are_there():
    text = shown(WHOLE, verbosity=1)

    assert "small.toml::point_0 mu 0.23 +- 0.34 (0.2 s)" in text
    assert [line for line in text if line.startswith("np_7")]
    start = text.index("point_0 bin observed expected")
    assert text[start + 1 : start + 3] == ["SR 0 12 11.2 +- 2.3", "CR 0 1099 1100"]
    assert text[start + 3].startswith("===")


def test_of_many_fits_only_the_pois_are_shown():
    text = shown(*[FIT] * 4)

    assert sum(line.startswith("point_3") for line in text) == 1
    assert not any(line.startswith("np_7") for line in text)


def test_a_poi_that_is_kept_says_so():
    assert "point_0 mu 0 (fixed) 220.500 0" in shown(BACKGROUND)
    assert brief(BACKGROUND) == "mu 0 (fixed)"


def test_without_a_poi_there_is_none():
    assert "point_0 none 220.500 0" in shown(NOTHING)
    assert brief(NOTHING) == "-2 ln L 220.500"


@pytest.mark.parametrize("verbosity", [0, 1])
def test_without_fits_nothing_is_said_of_them(verbosity):
    test = HypothesisTest(1.0, 0.2, (0.1, 0.2, 0.3, 0.4, 0.5), 0.1, 0.6, 1.5, 2.5)
    point = PointResult("small.toml", "one", {}, Outcome("ok", tests=(test,), mu_hat=0.1))

    assert not any("best fit" in line for line in written((point,), verbosity))
