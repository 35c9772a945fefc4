"""``fitspec run`` in continuous integration: what failed again, its files, and workflows."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import wait_until

from fitspec.cli import run_command_line
from fitspec.errors import ExitCode

EXPECT = """
[[expect]]
point = "signal_100_1"
CLs_obs = 0.5
rtol = 1e-9
source = "a guess"

[[expect]]
point = "signal_200_2"
CLs_obs = 0.5
mu_hat = 7.0
"""

Run = Callable[..., str]


@pytest.fixture
def run(analysis: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the small specification, which expects three wrong numbers; what it printed."""
    with (analysis / "small.toml").open("a") as file:
        file.write(EXPECT)

    def command(*options: str, code: int = ExitCode.CHECKS_FAILED) -> str:
        assert run_command_line(["run", "small.toml", "-n", "1", *options]) == code
        return capsys.readouterr().out

    return command


def summary(text: str) -> str:
    return text.splitlines()[-1].strip("= ").rsplit(" in ", 1)[0]


def test_lf_runs_what_failed_again(run: Run, analysis: Path) -> None:
    assert summary(run("--lf")) == "4 points fitted, 3 failed"
    again = run("--lf")
    assert "--lf: 3 failures of the last run again" in again.splitlines()
    assert summary(again) == "2 points fitted (2 from the store), 3 failed, 2 deselected"

    text = (analysis / "small.toml").read_text()
    (analysis / "small.toml").write_text(text.replace("mu_hat = 7.0\n", "mu_hat = 7.0\natol = 9\n"))
    assert summary(run("--lf")).endswith("1 failed, 2 passed, 2 deselected")  # atol is theirs both
    assert summary(run("--lf")) == "1 point fitted (1 from the store), 1 failed, 3 deselected"


def test_lf_without_failures_runs_all_and_says_so(run: Run, analysis: Path) -> None:
    text = run("--lf", "-k", "100_2", code=ExitCode.OK)
    assert "--lf: nothing failed in the last run; all that is selected runs" in text
    run()
    text = run("--lf", "-k", "100_2", code=ExitCode.OK)
    assert "--lf: 3 known failures, none of them selected here; all that is selected runs" in text
    assert "--lf: 3 failures of the last run again" in run("--lf")  # nothing of them was run


def test_failures_that_are_gone_are_dropped(run: Run, analysis: Path) -> None:
    run()
    text = (analysis / "small.toml").read_text()
    (analysis / "small.toml").write_text(text.replace("mu_hat = 7.0\n", ""))
    assert "--lf: 2 failures of the last run again" in run("--lf")
    (analysis / "small.toml").write_text(text)
    assert "--lf: 2 failures of the last run again" in run("--lf")


@pytest.mark.parametrize("option", [["-x"], ["--maxfail", "1"]])
def test_a_stop_leaves_the_other_failures_as_they_were(run: Run, option: list[str]) -> None:
    run()
    stopped = run(*option, "--no-cache")
    assert "stopped at --maxfail 1" in stopped
    assert "--lf: 3 failures of the last run again" in run("--lf")


def test_files_are_written_where_a_run_is_stopped(run: Run, analysis: Path) -> None:
    run("-x", "--junitxml", "junit.xml", "--json", "results.json")
    [suite] = ET.parse(analysis / "junit.xml").getroot()
    counted = {name: int(suite.get(name, "")) for name in ("tests", "failures", "errors")}
    assert counted == {"tests": 5, "failures": 1, "errors": 0}
    assert len(json.loads((analysis / "results.json").read_text())["checks"]) == 3


def test_an_interrupted_run_writes_its_junit_xml(run: Run, analysis: Path) -> None:
    """For real: a signal in the middle of toys that would take long."""
    toys = '[inference]\ncalculator = "toys"\ntoys = 1000000\n'
    with (analysis / "small.toml").open("a") as file:
        file.write(toys)
    process = subprocess.Popen(
        [sys.executable, "-m", "fitspec", "run", "small.toml", "-n", "1", "--junitxml", "j.xml"],
        cwd=analysis, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("collected"):
            break
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
    errors = [error.get("message") for error in ET.parse(analysis / "j.xml").iter("error")]
    assert errors == ["not computed: interrupted"] * 5


@pytest.mark.parametrize("option", ["--json", "--junitxml"])
def test_a_file_that_cannot_be_written_is_told_before_any_fit(
    option: str, analysis: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["run", "small.toml", option, "no/x"]) == ExitCode.USAGE_ERROR
    assert f"{option} no/x: there is no such folder" in capsys.readouterr().err


def test_durations_and_repeated_flags(run: Run) -> None:
    text = run("--durations", "2", "-qq")
    slowest = text[text.index(" slowest 2 durations ") :].splitlines()[1:3]
    assert all(re.fullmatch(r"\d+\.\d{3}s small.toml::signal_\d00_\d", line) for line in slowest)
    stored = run("--durations", "0", "-vv")
    assert "(4 from the store took no time)" in stored
    assert "small.toml::signal_100_2 mu = 1: CLs obs" in stored


@pytest.fixture
def workflow(analysis: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A step of a workflow; its summary file."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    return tmp_path / "summary.md"


def test_in_a_workflow_failures_are_annotations_and_a_summary(workflow: Path, run: Run) -> None:
    first, *told, resume, one, two, three = run("-q").splitlines()
    token = first.removeprefix("::stop-commands::")
    assert resume == f"::{token}::"
    assert token not in "".join(told)
    lines = (Path.cwd() / "small.toml").read_text().splitlines()
    for annotation, check in ((one, "CLs_obs"), (two, "CLs_obs"), (three, "mu_hat")):
        found = re.match(
            r"::error file=analysis/small.toml,line=(\d+),title=([^:,]+)::", annotation
        )
        assert found
        assert lines[int(found[1]) - 1].startswith(f"{check} = ")
        assert found[2].endswith(f"%3A%3A{check}")
    assert workflow.read_text().startswith("## fitspec: 4 points fitted, 3 failed\n")
    run("-q")
    assert workflow.read_text().count("## fitspec: 4 points fitted") == 2  # added, not replaced


def test_a_summary_that_cannot_be_written_changes_nothing(
    workflow: Path, analysis: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workflow.mkdir()
    assert run_command_line(["run", "small.toml", "-q", "-k", "100_1"]) == ExitCode.OK
    assert capsys.readouterr().err == ("fitspec: warning: no summary of the job: Is a directory\n")


def test_in_a_workflow_a_hostile_specification_is_only_text(workflow: Path, analysis: Path) -> None:
    """Whatever it writes into names, sources and files: no line is a command but ours."""
    spec = analysis / "small.toml"
    spec.write_text(spec.read_text() + EXPECT.replace("a guess", "##[add-mask]x ::add-mask::x %0A"))
    hostile = analysis / "::add-mask::x.toml"
    spec.rename(hostile)
    done = subprocess.run(
        [sys.executable, "-m", "fitspec", "run", "./" + hostile.name, "-n", "1"],
        capture_output=True, text=True, cwd=analysis, env={**os.environ},
    )  # fmt: skip
    assert done.returncode == ExitCode.CHECKS_FAILED
    lines = done.stdout.splitlines()
    end = lines.index(f"::{lines[0].removeprefix('::stop-commands::')}::")
    assert any(line.startswith("::add-mask::x.toml::signal") for line in lines[:end])
    assert all(line.startswith("::error file=analysis/%3A%3Aadd") for line in lines[end + 1 :])
    assert len(lines[end + 1 :]) == 3


def test_in_a_workflow_an_invalid_specification_is_an_annotation(
    workflow: Path, analysis: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = analysis / "small.toml"
    spec.write_text(spec.read_text().replace("files =", '"##[x]" = 1\nfles ='))
    assert run_command_line(["validate", "small.toml"]) == ExitCode.USAGE_ERROR
    captured = capsys.readouterr()
    assert captured.out == ""  # it may be a file that somebody needs
    complaints, annotations = captured.err.splitlines()[:2], captured.err.splitlines()[2:]
    assert all(line.startswith("fitspec: error: small.toml:1") for line in complaints)
    assert "##[" not in "".join(complaints)
    prefix = "::error file=analysis/small.toml,line="
    assert [line.split(",title=")[0] for line in annotations] == [f"{prefix}10", f"{prefix}11"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--json", "small.toml"], "--json small.toml: is a specification"),
        (["--json", "one", "--junitxml", "./one"], "--junitxml one: is a specification"),
        (["--json", "loop"], "--json loop: is a link to itself"),
        (["--json", "dangling"], "--json dangling: there is no such folder"),
    ],
)
def test_what_would_be_lost_is_not_written(
    analysis: Path, capsys: pytest.CaptureFixture[str], options: list[str], problem: str
) -> None:
    text = (analysis / "small.toml").read_text()
    (analysis / "loop").symlink_to("loop")
    (analysis / "dangling").symlink_to("no/such")

    assert run_command_line(["run", "small.toml", *options]) == ExitCode.USAGE_ERROR

    told = capsys.readouterr()
    assert problem in told.err
    assert "fitted" not in told.out
    assert (analysis / "small.toml").read_text() == text


def test_an_output_that_fails_does_not_cost_the_others(analysis: Path) -> None:
    command = ["run", "small.toml", "-n", "1", "--json", "/dev/full", "--junitxml", "j.xml"]

    assert run_command_line(command) == ExitCode.USAGE_ERROR

    assert (analysis / "j.xml").read_text().startswith("<?xml")


def catches(pid: int, number: int) -> bool:
    """A process has a handler of its own for a signal."""
    [mask] = re.findall(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("command", ["endpoint check dask", "bundle small.toml -o b.zip"])
def test_sigterm_ends_every_command_as_ctrl_c_does(analysis: Path, command: str) -> None:
    scratch = tempfile.mkdtemp(prefix="f")  # pytest's would be too long for a socket in it
    process = subprocess.Popen(
        [sys.executable, "-m", "fitspec", *command.split()],
        env=os.environ | {"TMPDIR": scratch}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    wait_until(lambda: catches(process.pid, signal.SIGTERM))
    time.sleep(0.4)
    process.terminate()

    _, told = process.communicate(timeout=60)

    assert (process.returncode, told.strip()) in {(2, "fitspec: error: interrupted"), (2, "")}
    Path(scratch).rmdir()  # it is empty
