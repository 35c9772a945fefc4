"""``fitspec compare``, on runs of the small analysis."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fitspec.cli import run_command_line
from fitspec.errors import ExitCode


@pytest.fixture
def runs(analysis: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """old.json, and new.json in which one patch has three times the signal."""
    run = ["run", "small.toml", "-q", "-n", "1", "--json"]
    assert run_command_line([*run, "old.json"]) == ExitCode.OK
    path = analysis / "patch.signal_200_1.json"
    patch = json.loads(path.read_text())
    patch[0]["value"]["data"] = [3 * events for events in patch[0]["value"]["data"]]
    path.write_text(json.dumps(patch))
    assert run_command_line([*run, "new.json"]) == ExitCode.OK
    capsys.readouterr()


@pytest.mark.usefixtures("runs")
def test_a_changed_patch_is_the_cause_of_what_moved(capsys: pytest.CaptureFixture[str]) -> None:
    code = run_command_line(["compare", "old.json", "new.json", "--json", "drift.json"])

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert code == ExitCode.CHECKS_FAILED
    assert "channel SR, signal events 10 -> 30 events signal_200_1" in lines
    [row] = [line for line in lines if line.startswith("signal_200_1 CLs_obs")]
    assert row.endswith("now excluded")
    assert "4 points compared, 1 moved, exclusions of 1 flipped" in lines[-1]
    drift = json.loads(Path("drift.json").read_text())
    assert {shift["id"] for shift in drift["shifts"]} == {"signal_200_1"}
    old, new = (
        next(
            point["tests"][0]["CLs_obs"]
            for point in json.loads(Path(name).read_text())["points"]
            if point["id"] == "signal_200_1"
        )
        for name in ("old.json", "new.json")
    )
    [shift] = [s for s in drift["shifts"] if s["quantity"] == "CLs_obs"]
    assert (shift["old"], shift["new"], shift["difference"]) == (old, new, new - old)


@pytest.mark.usefixtures("runs")
def test_what_did_not_move_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["compare", "old.json", "old.json"]) == ExitCode.OK
    assert "4 points compared, nothing moved" in capsys.readouterr().out
    chosen = ["compare", "old.json", "new.json", "-k", "mass=100"]
    assert run_command_line(chosen) == ExitCode.OK
    assert "2 points compared, nothing moved" in capsys.readouterr().out


@pytest.mark.usefixtures("runs")
def test_a_selection_of_nothing_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    compared = run_command_line(["compare", "old.json", "old.json", "-k", "nothing"])

    assert compared == ExitCode.NOTHING_COLLECTED
    assert "-k 'nothing' selects no point of both runs" in capsys.readouterr().err


@pytest.mark.usefixtures("runs")
def test_a_wide_tolerance_leaves_the_flip() -> None:
    assert run_command_line(["compare", "old.json", "new.json", "--rtol", "1e9"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.json", "old.json"], "none.json: No such file or directory"),
        (["small.toml", "old.json"], "small.toml: not valid JSON: "),
        (["old.json", "old.json", "--rtol", "-1"], "Invalid value for '--rtol'"),
        (["old.json", "old.json", "--json", "no/x.json"], "--json no/x.json: there is no such"),
        (["old.json", "old.json", "-k", "("], "-k '(', column 2: "),
        (["old.json"], "Missing argument 'NEW.json'"),
    ],
)
def test_bad_arguments_are_usage_errors(
    arguments: list[str], message: str, analysis: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (analysis / "old.json").write_text('{"schema": 1}')
    assert run_command_line(["compare", *arguments]) == ExitCode.USAGE_ERROR
    assert capsys.readouterr().err.startswith(f"fitspec: error: {message}")
