"""The front end: commands, exit codes, and one clear line for every bad input."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import wait_until

from fitspec.cli import run_command_line
from fitspec.errors import ExitCode

HEAVY = ("numpy", "orjson", "pooch", "pydantic", "pyhf", "requests", "rich", "scipy", "tomlkit")


@pytest.fixture
def edit(analysis: Path) -> Callable[..., None]:
    """Replaces text in the small specification, or adds to it: ``edit(old=new)``."""

    def replace(old: str = "", new: str = "") -> None:
        path = analysis / "small.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new) if old else text + new)

    return replace


BAD_SPECS = {
    "malformed TOML": (
        'path = "background.json"', 'path = "background.json',
        "small.toml:7: not valid TOML: Illegal character '\\n'", 4,
    ),
    "an unknown key": (
        "files =", "fles =",
        "small.toml:10: patches.fles: unknown key; did you mean 'files'?", 4,
    ),
    "a wrong type": (
        "", "[poi]\ntest = true\n",
        "small.toml:12: poi.test: input should be a valid number, found True", 4,
    ),
    "a label that no patch has": (
        "", "select = { mas = 100 }\n",
        "small.toml:11: patches.select.mas: no patch has this label; did you mean 'mass'?", 4,
    ),
    "a digest that differs": (
        "[patches]", f'digest = "sha256:{64 * "0"}"\n[patches]',
        "small.toml:9: workspace.digest: background.json has digest sha256:", 4,
    ),
    "an absent file of the archive": (
        "background.json", "backgrounds.json",
        "small.toml:7: workspace.path: ", 4,
    ),
    "an absent archive": (
        "[patches]", 'archive = "smal.tar"\n[patches]',
        "small.toml:9: workspace.archive: 'smal.tar' does not exist beside the specification; "
        "did you mean 'small.toml'?", 4,
    ),
    "a pattern without a match": (
        "patch.signal", "patch.signl",
        "small.toml:10: patches.files: no file matches 'patch.signl_{mass}_{width}.json'", 4,
    ),
    "an expectation of a point that is not selected": (
        "", 'select = { mass = 200 }\n[[expect]]\npoint = "signal_100_1"\nCLs_obs = 0.1\n',
        "small.toml:13: expect[0].point: 'signal_100_1' is left out by [patches] select", 4,
    ),
    "an archive that is none": (
        "[patches]", 'archive = "background.json"\n[patches]',
        "small.toml:9: workspace.archive: background.json is no readable archive: ", 4,
    ),
    "a selection without a match": (
        "", "select = { mass = 150 }\n",
        "small.toml: no points; loosen [patches] select", 5,
    ),
    "a POI outside its bounds": (
        "", "[poi]\ntest = 11\n",
        "small.toml:12: poi.test: mu = 11 is outside the POI's bounds [0, 10]", 4,
    ),
    "an absent measurement": (
        "[patches]", 'measurement = "other"\n[patches]',
        "small.toml:9: workspace.measurement: background.json has no measurement 'other'; "
        "it has 'measurement'", 4,
    ),
    "toys of the nominal model": (
        "", '[inference]\ncalculator = "toys"\ntoys = 10\nexpected = "pre-fit"\n',
        "small.toml:11: inference: toys are thrown from the fit to data: ", 4,
    ),
    "an endpoint nobody knows": (
        "", '[endpoint]\nkind = "globus"\n',
        "small.toml:12: endpoint.kind: 'globus' is no kind of endpoint; did you mean "
        "'globus-compute'?", 4,
    ),
    "a scheduler that is not the user's": (
        "", '[endpoint]\nkind = "dask"\naddress = "tcp://10.0.0.1:8786"\n',
        "small.toml:13: endpoint.address: 'tcp://10.0.0.1:8786' is none of your endpoints, and "
        "could run any code here; if you trust it, put at the top of ", 4,
    ),
    "an expectation of no point": (
        "", '[[expect]]\npoint = "signal_100_3"\nCLs_obs = 0.1\n',
        "small.toml:12: expect[0].point: there is no point 'signal_100_3'; did you mean "
        "'signal_100_2'?", 4,
    ),
    "an absent table": (
        "", '[[expect]]\ntable = "limits.csv"\n',
        "small.toml:12: expect[0].table: table 'limits.csv': No such file or directory", 4,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message", "code"), BAD_SPECS.values(), ids=BAD_SPECS)
def test_bad_input_is_one_line_with_a_place_and_an_exit_code(
    old: str,
    new: str,
    message: str,
    code: int,
    edit: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    edit(old, new)
    assert run_command_line(["run", "small.toml"]) == code
    complaint = capsys.readouterr().err
    assert complaint.startswith(f"fitspec: error: {message}")
    assert complaint.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "smll.toml"], "smll.toml: no such file or folder; did you mean 'small.toml'?"),
        (["run", "@1lbb"], "@1lbb: no such curated specification; did you mean '@1Lbb'?"),
        (["run", "small.toml", "-k", "mass=100 and ("], "-k 'mass=100 and (', column "),
        (["run", "small.toml", "-n", "0"], "Invalid value for '-n'"),
        (["run", "small.toml", "--nope"], "No such option: --nope"),
        (["run", "small.toml", "--json", "no/x.json"], "--json no/x.json: there is no such folder"),
        (["run", "small.toml", "--json", "."], "--json .: is a folder; name a file"),
        (["run", ""], "an empty path names nothing"),
        (["run", "small.toml", "--mirror", "none"], "mirror 'none' is no folder"),
        (
            ["run", "small.toml", "--backend", "roofit"],
            "--backend roofit: there is none of this name; native or pyhf",
        ),
        (
            ["run", "small.toml", "--endpoint", "river"],
            "--endpoint river: no endpoint has this name",
        ),
        (["run"], "Missing argument 'SPEC...'; see `fitspec --help`"),
        ([], "no command is given; see `fitspec --help`"),
        (["cache"], "Missing command"),
        (["fit"], "No such command 'fit'"),
    ],
)
@pytest.mark.usefixtures("analysis")
def test_a_bad_command_line_is_a_usage_error(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(arguments) == ExitCode.USAGE_ERROR
    complaint = capsys.readouterr().err
    assert complaint.startswith(f"fitspec: error: {message}")
    assert complaint.count("\n") == 1


def test_a_workspace_that_fails_its_schema_names_the_place(
    analysis: Path, background: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    del background["channels"][1]["samples"][0]["name"]
    (analysis / "background.json").write_text(json.dumps(background))
    assert run_command_line(["run", "small.toml"]) == ExitCode.USAGE_ERROR
    assert capsys.readouterr().err == (
        "fitspec: error: small.toml:7: workspace.path: background.json is no HistFactory "
        "workspace: channels[1].samples[0] must contain ['name'] properties; "
        "see pyhf's workspace schema, version 1.0.0\n"
    )


@pytest.mark.usefixtures("analysis")
def test_a_selection_that_leaves_nothing_has_its_own_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_command_line(["run", "small.toml", "-k", "nothing"]) == ExitCode.NOTHING_COLLECTED
    assert "-k 'nothing' selects none of the 4 points" in capsys.readouterr().err


def test_an_internal_error_is_one_line_and_asks_for_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fitspec.config.load_config", lambda: 1 / 0)
    assert run_command_line(["cache", "info"]) == ExitCode.INTERNAL_ERROR
    complaint = capsys.readouterr().err
    assert complaint.startswith("fitspec: error: internal error: ZeroDivisionError")
    assert complaint.count("\n") == 1


@pytest.mark.usefixtures("analysis")
def test_collect_lists_node_ids_and_counts(
    edit: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    edit(new='[[expect]]\npoint = "signal_100_2"\nCLs_obs = 0.1\nCLs_exp = [1, 2, 3, 4, 5]\n')
    assert run_command_line(["collect", "."]) == ExitCode.OK
    assert capsys.readouterr().out.splitlines() == [
        "small.toml::signal_100_1",
        "small.toml::signal_100_2::CLs_obs",
        "small.toml::signal_100_2::CLs_exp",
        "small.toml::signal_200_1",
        "small.toml::signal_200_2",
        "",
        "4 points, 0 combinations and 2 checks in 1 specification",
    ]


@pytest.mark.usefixtures("analysis")
def test_validate_and_fetch_say_what_they_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["validate", "."]) == ExitCode.OK
    assert run_command_line(["fetch", "small.toml"]) == ExitCode.OK
    valid, fetched = capsys.readouterr().out.splitlines()
    assert valid == "small.toml: valid"
    assert fetched.startswith("small.toml: background.json sha256:")


def test_validate_passes_over_other_files_where_it_is_told_to(
    analysis: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (analysis / "pyproject.toml").write_text('[project]\nname = "fitspec"\n')
    (analysis / "damaged.toml").write_text("fitspec = 1\nx = [\n")
    named = ["validate", "small.toml", "pyproject.toml"]
    assert run_command_line(named) == ExitCode.USAGE_ERROR
    assert "pyproject.toml:1: fitspec: required key is missing" in capsys.readouterr().err
    assert run_command_line([*named, "--skip-others"]) == ExitCode.OK
    assert capsys.readouterr().out == "small.toml: valid\n"
    assert run_command_line(["validate", "--skip-others", "pyproject.toml"]) == ExitCode.OK
    assert capsys.readouterr().out == ""
    for bad, problem in (("damaged.toml", "not valid TOML"), ("absent.toml", "no such file")):
        assert run_command_line([*named, "--skip-others", bad]) == ExitCode.USAGE_ERROR
        assert problem in capsys.readouterr().err


def test_validate_without_a_specification_collects_nothing(tmp_path: Path) -> None:
    assert run_command_line(["validate", str(tmp_path)]) == ExitCode.NOTHING_COLLECTED


def test_schema_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["schema"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["required"] == ["fitspec", "analysis", "workspace"]


@pytest.mark.usefixtures("analysis")
def test_the_cache_is_counted_and_cleared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    downloads = tmp_path / "cache" / "sources"
    downloads.mkdir(parents=True)
    (downloads / "x.tar").write_bytes(bytes(2_000_000))
    assert run_command_line(["run", "small.toml", "-q", "-n", "1", "-k", "100_1"]) == ExitCode.OK
    capsys.readouterr()
    run_command_line(["cache", "info"])
    assert "sources: 1 files, 2.0 MB\nresults: 1 points" in capsys.readouterr().out
    failed = tmp_path / "cache" / "last-failed"
    failed.mkdir()
    run_command_line(["cache", "clear"])
    assert not failed.exists()
    run_command_line(["cache", "info"])
    assert "sources: 1 files, 2.0 MB\nresults: 0 points" in capsys.readouterr().out
    run_command_line(["cache", "clear", "--sources"])
    assert not downloads.exists()


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from fitspec.cli import run_command_line; run_command_line(['--help']);"
        f"sys.stderr.write(' '.join(m for m in {HEAVY} if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Commands:" in done.stdout


@pytest.mark.parametrize("arguments", ["collect small.toml", "run small.toml -v --json r.json"])
def test_a_reader_that_leaves_does_not_stop_the_work(analysis: Path, arguments: str) -> None:
    command = f"{sys.executable} -m fitspec {arguments} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=analysis)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("--json" in arguments) == (analysis / "r.json").exists()


def test_a_full_disk_is_no_bug(analysis: Path) -> None:
    command = f"{sys.executable} -m fitspec collect small.toml > /dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=analysis)
    assert (done.returncode, done.stderr) == (4, "fitspec: error: No space left on device\n")


@pytest.mark.usefixtures("analysis")
def test_debug_shows_the_traceback_and_keeps_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FITSPEC_DEBUG", "1")
    monkeypatch.setattr("fitspec.config.load_config", lambda: 1 / 0)
    assert run_command_line(["cache", "info"]) == ExitCode.INTERNAL_ERROR
    assert "Traceback" in capsys.readouterr().err


def test_signals_are_handled_as_before_afterwards(analysis: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    run_command_line(["run", "small.toml", "-q", "-k", "100_1"])
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_an_early_ctrl_c_is_no_traceback(analysis: Path) -> None:
    for later in (0.0, 0.03, 0.1, 0.3):
        process = subprocess.Popen(
            [sys.executable, "-m", "fitspec", "collect", "small.toml"],
            cwd=analysis, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        # before it imports the first libraries, Python itself is not up
        mapped = Path(f"/proc/{process.pid}/maps")
        wait_until(lambda file=mapped: "pydantic_core" in file.read_text())
        time.sleep(later)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=30)
        assert process.returncode in {0, 2}
        assert "Traceback" not in complaint


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration with three endpoints, one of them the default."""
    path = tmp_path / "config.toml"
    path.write_text(
        'endpoint = "desk"\n[endpoints.desk]\nkind = "local"\nworkers = 1\n'
        '[endpoints.cluster]\nkind = "parsl"\nconfig = "cluster.py"\n'
        '[endpoints.lab]\nkind = "slots"\noptions = { password = "secret" }\n'
    )
    monkeypatch.setenv("FITSPEC_CONFIG", str(path))
    return path


def test_endpoints_are_listed_and_the_default_is_marked(
    configured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["endpoint", "list"]) == ExitCode.OK
    listed = capsys.readouterr().out.splitlines()
    assert listed[:5] == [
        "   name     kind   where",
        "   local    local  here",
        "*  desk     local  here",
        f"   cluster  parsl  {configured.parent / 'cluster.py'}",
        "   lab      slots  here",
    ]
    assert listed[-2].startswith("kinds: local, globus-compute, ")
    assert listed[-1] == f"configuration: {configured}"
    assert "secret" not in "".join(listed)


@pytest.mark.usefixtures("configured")
def test_an_endpoint_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["endpoint", "check", "desk"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["endpoint      desk (local)", "workers       1"]
    names = [line[:14].rstrip() for line in lines[2:]]
    assert names == ["here", "there", "first answer", "round trip", "throughput", "transfer"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "dsk"], "dsk: no endpoint has this name; did you mean 'desk'?"),
        (["check", "funcx"], "funcx: needs the id of an endpoint; name one: put at the top of "),
        (["check"], "Missing argument 'NAME'; see `fitspec --help`"),
        (["check", "desk", "--timeout", "0"], "Invalid value for '--timeout'"),
        ([], "Missing command"),
    ],
)
@pytest.mark.usefixtures("configured")
def test_an_endpoint_that_there_is_not_is_a_usage_error(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["endpoint", *arguments]) == ExitCode.USAGE_ERROR
    complaint = capsys.readouterr().err
    assert complaint.startswith(f"fitspec: error: {message}")
    assert complaint.count("\n") == 1


@pytest.mark.usefixtures("configured")
def test_an_answer_that_comes_too_late_fails_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    code = run_command_line(["endpoint", "check", "desk", "--timeout", "0.001"])
    assert code == ExitCode.CHECKS_FAILED
    assert "fitspec: error: no answer came within 0.001 s; " in capsys.readouterr().err
