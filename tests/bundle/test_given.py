"""Results of an earlier run are those of the specification, or are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fitspec.bundle import require_belongs
from fitspec.errors import UsageError
from fitspec.outcome import Outcome
from fitspec.results import PointResult, RunReport, SpecRecord
from fitspec.spec import load_spec

POINTS = {"signal_100_1", "signal_100_2"}
POINT = PointResult("small.toml", "signal_100_1", {}, Outcome("ok"))


@pytest.fixture
def report(analysis: Path) -> RunReport:
    """Of one of two points."""
    record = SpecRecord("small.toml", load_spec(analysis / "small.toml").sha256, "small")
    return RunReport((record,), {}, (POINT,), (), (), 1, 1.0)


def refusal(report: RunReport) -> str:
    with pytest.raises(UsageError) as caught:
        require_belongs(report, Path("old.json"), load_spec(Path("small.toml")), POINTS)
    return str(caught.value)


def test_results_of_a_selection_belong(report: RunReport) -> None:
    require_belongs(report, Path("old.json"), load_spec(Path("small.toml")), POINTS)


def test_results_of_another_text_do_not(report: RunReport) -> None:
    Path("small.toml").write_text(Path("small.toml").read_text() + "# another\n")
    assert refusal(report).startswith("old.json is of small.toml with sha256 ")


def test_results_of_several_specifications_do_not(report: RunReport) -> None:
    message = refusal(replace(report, specs=report.specs * 2))
    assert message == "old.json has results of 2 specifications; run small.toml alone"


def test_results_of_points_that_the_specification_lacks_do_not(report: RunReport) -> None:
    """The same text may read other patches: the folder has changed since."""
    other = replace(POINT, id="signal_100_3")
    message = refusal(replace(report, points=(POINT, other)))
    assert message.startswith(
        "old.json has a point 'signal_100_3', and small.toml has none of this id; did you mean"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"interrupted": True},
        {"points": ()},
        {"points": (replace(POINT, outcome=Outcome.failed("not computed: interrupted")),)},
    ],
)
def test_half_a_run_is_no_result(changes: dict[str, object], report: RunReport) -> None:
    message = refusal(replace(report, **changes))  # type: ignore[arg-type]
    assert message == "old.json is of a run that did not come to its end; run it again"
