"""Specifications in a pytest session: what is collected, selected, reported, and how it fails."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from xml.etree import ElementTree

import pyhf
import pytest

from fitspec.errors import ExitCode
from fitspec.execute import ResultStore
from fitspec.pytesting import nodes

pytest_plugins = ["pytester"]

assert nodes, "what it imports stays; a session in this process forgets what it imports itself"

CHECKS = """\
[[expect]]
point = "signal_100_1"
CLs_obs = 0.9
source = "nobody"

[[expect]]
point = "signal_100_2"
CLs_obs = {known}
CLs_exp = {band}

[[expect]]
point = "signal_200_1"
CLs_obs = 0.9
xfail = "of mass {{mass}} nothing is known"
"""


def by_pyhf(folder: Path, point: str) -> tuple[float, list[float]]:
    """Observed and expected CLs at mu = 1."""
    workspace = pyhf.Workspace(json.loads((folder / "background.json").read_text()))
    model = workspace.model(patches=[json.loads((folder / f"patch.{point}.json").read_text())])
    data = workspace.data(model)
    found, band = pyhf.infer.hypotest(1.0, data, model, return_expected_set=True)
    return float(found), [float(value) for value in band]


@pytest.fixture
def known(analysis: Path) -> float:
    """The small specification with four checks: one fails, two pass, one is known to fail.

    The value is the observed CLs of ``signal_100_2``, as pyhf finds it.
    """
    known, band = by_pyhf(analysis, "signal_100_2")
    with (analysis / "small.toml").open("a") as file:
        file.write(CHECKS.format(known=known, band=band))
    return known


OTHERS = ("hypothesispytest", "typeguard", "platformdirs", "xdist")
"""Plugins that take a second to load."""


@pytest.fixture
def session(analysis: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Runs pytest in the folder of the small analysis."""
    monkeypatch.chdir(analysis)

    def run(*arguments: str) -> pytest.RunResult:
        without = [f"-pno:{name}" for name in OTHERS]
        return pytester.runpytest_inprocess(*without, *arguments)

    return run


@pytest.fixture
def collected(session):
    """Node ids that pytest collects."""

    def collect(*arguments: str) -> list[str]:
        done = session("--collect-only", "-q", *arguments)
        return [line for line in done.outlines if "::" in line]

    return collect


def append(folder: Path, text: str) -> None:
    with (folder / "small.toml").open("a") as file:
        file.write(text)


@pytest.mark.usefixtures("known")
def test_checks_pass_and_fail_as_those_of_a_run(session) -> None:
    done = session("-v", "-W", "error")

    done.assert_outcomes(passed=3, failed=1, xfailed=1)
    assert done.ret == ExitCode.CHECKS_FAILED
    done.stdout.fnmatch_lines(
        [
            "small.toml::signal_100_1::CLs_obs FAILED*",
            "small.toml::signal_100_2::CLs_obs PASSED*",
            "small.toml::signal_100_2::CLs_exp PASSED*",
            "small.toml::signal_200_1::CLs_obs XFAIL (of mass 200 nothing is known)*",
            "small.toml::signal_200_2 PASSED*",
            "*_ signal_100_1 CLs_obs _*",
            "CLs_obs at mu = 1: expected 0.9, found 0.*",
            "*expected*actual*rel. diff.*allowed",
            "*0.9*0.001",
            "  source: nobody",
            "FAILED small.toml::signal_100_1::CLs_obs - Differs: CLs_obs at mu = 1: expe*",
        ],
        consecutive=False,
    )
    done.stdout.no_fnmatch_line("*.py:*")


@pytest.mark.usefixtures("known")
def test_where_expected_failures_count_they_are_failures(session) -> None:
    done = session("--runxfail")
    done.assert_outcomes(passed=3, failed=2)


def test_an_unexpected_pass_is_what_pytest_makes_of_it(session, known, analysis) -> None:
    append(analysis, f'[[expect]]\npoint = "signal_200_2"\nCLs_obs = [0, 1]\nxfail = "{known}"\n')
    text = (analysis / "small.toml").read_text().replace("CLs_obs = [0, 1]", "p_b = 0.5\natol = 1")
    (analysis / "small.toml").write_text(text)

    done = session("-k", "200_2")
    done.assert_outcomes(xpassed=1, deselected=4)
    assert done.ret == ExitCode.OK  # as that of `fitspec run`
    done = session("-k", "200_2", "-o", "xfail_strict=true")
    done.assert_outcomes(failed=1, deselected=4)


def test_a_point_without_numbers_fails_and_costs_the_others_nothing(session, analysis) -> None:
    (analysis / "patch.signal_100_1.json").write_text('[{"op": "remove", "path": "/nothing"}]')
    for point, more in (("signal_100_1", ""), ("signal_200_1", "")):
        append(analysis, f'[[expect]]\npoint = "{point}"\np_b = 0.5\natol = 1\n{more}')

    done = session("-v", "-rf")

    done.assert_outcomes(passed=3, failed=1)
    done.stdout.fnmatch_lines(
        ["FAILED small.toml::signal_100_1::p_b - NoNumbers: p_b at mu = 1: PatchError: *"]
    )
    append(analysis, '[[expect]]\npoint = "signal_100_1"\nCLs_obs = 1\nxfail = "unsound"\n')
    session("-k", "CLs_obs").assert_outcomes(xfailed=1, deselected=4)


SELECTIONS = {
    "an id": (["small.toml::signal_100_2::CLs_obs"], ["100_2::CLs_obs"]),
    "a point": (["small.toml::signal_100_2"], ["100_2::CLs_obs", "100_2::CLs_exp"]),
    "a word": (["-k", "200"], ["200_1::CLs_obs", "200_2"]),
    "an id as a word": (["-k", "100_2::CLs_exp"], ["100_2::CLs_exp"]),
    "a label": (["-k", "mass:100 and not width:1"], ["100_2::CLs_obs", "100_2::CLs_exp"]),
    "a label in full": (["-m", "fitspec(mass=200, width=1)"], ["200_1::CLs_obs"]),
    "all but": (
        ["--deselect", "small.toml::signal_100_2", "-m", "fitspec"],
        ["100_1::CLs_obs", "200_1::CLs_obs", "200_2"],
    ),
    "no specification": (["-m", "not fitspec"], []),
}


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("selection", SELECTIONS)
def test_items_are_selected_as_pytest_does(collected, selection) -> None:
    arguments, found = SELECTIONS[selection]
    if "(" in " ".join(arguments) and pytest.version_tuple < (8, 3):
        pytest.skip("pytest's -m knows no arguments before 8.3")
    assert collected(*arguments) == [f"small.toml::signal_{name}" for name in found]


@pytest.mark.usefixtures("known")
def test_what_failed_last_is_run_again(session) -> None:
    session().assert_outcomes(passed=3, failed=1, xfailed=1)
    session("--lf").assert_outcomes(failed=1, deselected=4)
    first = session("--ff", "-v").outlines
    ran = [line.split()[0] for line in first if "::" in line and "%]" in line]
    assert ran[0] == "small.toml::signal_100_1::CLs_obs"
    assert len(ran) == 5


@pytest.mark.usefixtures("known")
def test_the_first_failure_stops_the_batch(session, tmp_path) -> None:
    done = session("-x")
    done.assert_outcomes(failed=1)
    assert ResultStore(tmp_path / "cache" / "results").size()[0] < 4


def test_brackets_are_no_obstacle(analysis, session, collected) -> None:
    text = (analysis / "small.toml").read_text().split("[patches]")[0]
    (analysis / "small.toml").write_text(text + '[patches]\ndiscovery = ["SR[0]", "SR[1]"]\n')
    append(analysis, '[[expect]]\npoint = "discovery_SR[1]"\nCLs_obs = 0.9\n')
    check = "small.toml::discovery_SR[1]::CLs_obs"

    assert collected() == ["small.toml::discovery_SR[0]", check]
    assert collected(check) == [check]
    session().assert_outcomes(passed=1, failed=1)
    assert session("--lf").parseoutcomes() == {"failed": 1}


def test_combinations_are_checked_and_regions_selected(analysis, session, collected) -> None:
    text = (analysis / "small.toml").read_text()
    text = text.replace("[workspace]", '[parametrize]\nregion = ["A", "B"]\n[workspace]')
    text = text.replace("background.json", "background{region}.json")
    (analysis / "small.toml").write_text(text + '[combine]\nbest_expected = "region"\n')
    background = json.loads((analysis / "background.json").read_text())
    (analysis / "backgroundA.json").write_text(json.dumps(background))
    background["channels"][0]["samples"][0]["data"] = [90.0, 80.0]
    background["observations"][0]["data"] = [90.0, 80.0]
    (analysis / "backgroundB.json").write_text(json.dumps(background))  # is less sensitive
    value, _ = by_pyhf(analysis, "signal_100_1")
    append(analysis, f'[[expect]]\npoint = "signal_100_1"\nCLs_obs = {value}\n')

    assert len(collected("small.toml::B")) == 4
    assert len(collected()) == 9
    done = session("small.toml::signal_100_1", "--junitxml", "junit.xml")
    done.assert_outcomes(passed=1)
    [case] = ElementTree.parse(analysis / "junit.xml").iter("testcase")
    told = {p.get("name"): p.get("value") for p in case.iter("property")}
    assert float(told["CLs_obs"]) == pytest.approx(value, rel=1e-3)
    assert told["mass"] == "100"


def test_reports_tell_numbers_and_the_seconds_of_points(analysis, session, known) -> None:
    done = session("--junitxml", "junit.xml", "--durations", "0", "-vv")

    cases = {
        f"{case.get('classname')}.{case.get('name')}": case
        for case in ElementTree.parse(analysis / "junit.xml").iter("testcase")
    }
    case = cases["small.toml.signal_100_2.CLs_obs"]
    told = {p.get("name"): p.get("value") for p in case.iter("property")}
    assert float(told["CLs_obs"]) == pytest.approx(known, rel=1e-3)
    assert len(json.loads(told["CLs_exp"])) == 5
    assert (told["mass"], told["width"], told["cached"]) == ("100", "2", "False")
    assert ":" in told["worker"]
    # no item waits for the start of workers in its own time, and points count once
    seconds = {name: float(case.get("time")) for name, case in cases.items()}
    calls = [line.split()[0] for line in done.outlines if " call " in line]
    assert len(calls) == 5
    assert sum(float(call.rstrip("s")) for call in calls) < 0.3
    assert float(told["seconds"]) < 0.3
    assert seconds["small.toml.signal_100_2.CLs_exp"] < 0.1


INVALID = {
    "a misspelt key": ("files =", "fles =", "small.toml:10: patches.fles: unknown key; did *"),
    "malformed TOML": ("[patches]", "[patches", "small.toml:9: not valid TOML: *"),
    "an absent source": ("background.json", "backgrounds.json", "small.toml:7: workspace.path: *"),
    "an unknown endpoint": (
        "[workspace]", '[endpoint]\nname = "river"\n[workspace]',
        "small.toml:7: endpoint.name: you have no endpoint 'river'; *--fitspec-endpoint local",
    ),
    "an impossible expectation": (
        "[workspace]", '[[expect]]\npoint = "signal_1"\nCLs_obs = 1\n[workspace]',
        "small.toml:7: expect[[]0].point: there is no point 'signal_1'; *",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", INVALID)
def test_what_is_invalid_is_one_line_with_its_place(session, analysis, case) -> None:
    old, new, message = INVALID[case]
    path = analysis / "small.toml"
    path.write_text(path.read_text().replace(old, new))

    done = session()

    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*ERROR collecting small.toml*", message])
    done.stdout.fnmatch_lines(["ERROR small.toml - Invalid: small.toml:*"])
    for trace in ("*Traceback*", "*.py:*", "*above exception*"):
        done.stdout.no_fnmatch_line(trace)


def test_a_specification_without_points_is_a_warning(session, analysis) -> None:
    append(analysis, "select = { mass = 150 }\n")
    done = session("-W", "default")
    done.stdout.fnmatch_lines(["*FitspecWarning: small.toml: no points; loosen*"])
    assert done.ret == ExitCode.NOTHING_COLLECTED
    session("-W", "error").stdout.no_fnmatch_line("*.py:*")


@pytest.mark.usefixtures("known")
def test_a_source_that_is_gone_fails_its_items_in_a_line(session, analysis) -> None:
    (analysis / "conftest.py").write_text(
        "import pathlib\n"
        "def pytest_collection_finish():\n"
        "    pathlib.Path('background.json').unlink()\n"
    )
    done = session("-rf")
    done.assert_outcomes(failed=5)
    done.stdout.fnmatch_lines(["*NotComputed: small.toml:7: workspace.path: *"])
    done.stdout.no_fnmatch_line("*.py:*")


@pytest.mark.usefixtures("known")
def test_a_conftest_may_skip_and_reorder(session, analysis) -> None:
    (analysis / "conftest.py").write_text(
        "import pytest\n"
        "def pytest_collection_modifyitems(items):\n"
        "    items.reverse()\n"
        "    items[0].add_marker(pytest.mark.skip(reason='not today'))\n"
    )
    done = session("-rs")
    done.assert_outcomes(passed=2, failed=1, xfailed=1, skipped=1)
    done.stdout.fnmatch_lines(["SKIPPED [[]1] small.toml*: not today"])


def test_warnings_of_a_run_are_those_of_pytest(session, tmp_path) -> None:
    (tmp_path / "cache").write_text("no folder")
    done = session("-W", "default")
    done.assert_outcomes(passed=4, warnings=1)
    done.stdout.fnmatch_lines(["*FitspecWarning: the result store cannot be written: *"])
    done = session("-W", "error")
    done.assert_outcomes(passed=3, failed=1)
    done.stdout.no_fnmatch_line("*.py:*")


@pytest.mark.usefixtures("analysis")
def test_invalid_options_are_usage_errors(session) -> None:
    for option in ("--fitspec-workers=0", "--fitspec-backend=root", "--fitspec-collect=maybe"):
        assert session(option).ret == ExitCode.USAGE_ERROR


def test_specifications_can_be_left_alone(analysis, session) -> None:
    session("--collect-only", "--fitspec-collect=true").assert_outcomes()
    (analysis / "pytest.ini").write_text("[pytest]\nfitspec_collect = false\n")
    for arguments in ([], ["--fitspec-collect=false"], ["-p", "no:fitspec", "-c", os.devnull]):
        assert session(*arguments).ret == ExitCode.NOTHING_COLLECTED
    assert session("--fitspec-collect=true", "--collect-only").ret == ExitCode.OK


def test_what_is_told_reaches_the_run(analysis, session) -> None:
    source = "https://doi.org/10.17182/hepdata.1.v1/r1"
    (analysis / "files").mkdir()
    (analysis / "files" / "mirror.toml").write_text(f'"{source}" = "r1.tar.gz"\n')
    with tarfile.open(analysis / "files" / "r1.tar.gz", "w:gz") as archive:
        for member in ("background.json", "patch.signal_100_1.json"):
            archive.add(analysis / member, member)
    text = (analysis / "small.toml").read_text()
    text = text.replace("[workspace]", f'[workspace]\narchive = "{source}"')
    (analysis / "small.toml").write_text(text)
    (analysis / "pytest.ini").write_text("[pytest]\nfitspec_mirror = files\nfitspec_workers = 1\n")

    def stored(*arguments: str) -> list[str | None]:
        session("--junitxml=j.xml", *arguments).assert_outcomes(passed=1)
        properties = ElementTree.parse(analysis / "j.xml").iter("property")
        return [p.get("value") for p in properties if p.get("name") == "cached"]

    assert stored() == ["False"]
    assert stored("--fitspec-backend=native") == ["True"]
    assert stored("--fitspec-no-cache") == ["False"]
    assert stored("--fitspec-backend=pyhf") == ["False"]
    done = session("--fitspec-mirror=.", "--fitspec-offline")
    done.stdout.fnmatch_lines(["small.toml:7: workspace.archive: *--fitspec-offline is set*"])
    done = session("--fitspec-endpoint=nowhere")
    done.stdout.fnmatch_lines(["--fitspec-endpoint nowhere: no endpoint has this name; *"])
