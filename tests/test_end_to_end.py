"""The installed command on real input: published likelihoods, interrupts, terminals."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyhf
import pytest

ROOT = Path(__file__).resolve().parents[1]
FITSPEC = Path(sys.executable).with_name("fitspec")
SBOTTOM = (
    "A::sbottom_1300_205_60",
    "A::sbottom_1400_950_60",
    "A::sbottom_1500_850_60",
    "B::sbottom_1400_550_60",
    "C::sbottom_1600_850_60",
)


def fitspec(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the installed command; its two streams and exit code."""
    command = [str(FITSPEC), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=600)


def published(mirror: Path) -> dict[str, list[float]]:
    """Observed CLs and expected band by point, from the mirror's own table."""
    with (mirror / "published" / "hypotest.csv").open() as file:
        rows = list(csv.DictReader(file))
    columns = ["CLs_obs", *(f"CLs_exp_{sigma}" for sigma in ("m2", "m1", "0", "p1", "p2"))]
    return {row["point"]: [float(row[column]) for column in columns] for row in rows}


def computed(results: Path) -> dict[str, list[float]]:
    """The same from results.json, by the last part of a point's id."""
    points = json.loads(results.read_text())["points"]
    tests = {point["id"]: point["tests"][0] for point in points}
    return {name: [test["CLs_obs"], *test["CLs_exp"]] for name, test in tests.items()}


@pytest.mark.data
@pytest.mark.parametrize(
    ("backend", "points"), [("native", SBOTTOM), ("pyhf", SBOTTOM[-1:])], ids=["native", "pyhf"]
)
def test_sbottom_points_have_their_published_values(
    mirror: Path, tmp_path: Path, backend: str, points: tuple[str, ...]
) -> None:
    names = [point.split("::") for point in points]
    keywords = " or ".join(f"(region={region} and {name})" for region, name in names)
    results = tmp_path / "results.json"
    done = fitspec(
        "run", "@sbottom", "--mirror", mirror, "-k", keywords,
        "--json", results, "--backend", backend,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    n = len(points)
    summary = rf"{n} points? fitted, {2 * n} passed, {650 - n} deselected"
    assert re.search(summary, done.stdout)
    assert f"backend: {backend}" in done.stdout
    values = computed(results)
    assert set(values) == set(points)
    for point in points:
        expected = published(mirror)[point.split("::")[1]]
        assert values[point] == pytest.approx(expected, rel=1e-4), point


@pytest.mark.data
def test_1Lbb_900_250_has_its_published_values_and_is_then_instant(
    mirror: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results.json"
    arguments = ("run", "@1Lbb", "-k", "900_250", "--mirror", mirror, "--json", results)
    done = fitspec(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    expected = published(mirror)["C1N2_Wh_hbb_900_250"]
    assert computed(results)["C1N2_Wh_hbb_900_250"] == pytest.approx(expected, rel=1e-4)

    again = fitspec(*arguments, cwd=tmp_path)
    assert again.returncode == 0
    assert "1 point fitted (1 from the store), 3 passed" in again.stdout


@pytest.mark.data
def test_the_curated_specifications_hold_1053_points(mirror: Path) -> None:
    done = fitspec("collect", "fitspecs", "--mirror", mirror)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("1053 points, 218 combinations and 416 checks")


@pytest.mark.data
@pytest.mark.parametrize(
    ("spec", "summary"),
    [
        ("@1Lbb", "125 points fitted, 127 passed"),
        ("@stau", "57 points fitted, 57 passed"),
        ("@sbottom-limits", "216 points fitted, 212 passed, 1 xfailed"),
        ("@stau-discovery", "2 points fitted, 4 passed"),
    ],
)
def test_whole_grids_have_the_published_limits(mirror: Path, spec: str, summary: str) -> None:
    done = fitspec("run", spec, "--mirror", mirror, "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    assert summary in done.stdout


@pytest.mark.data
def test_a_published_patch_without_a_signal_is_a_known_failure(mirror: Path) -> None:
    point = "B::sbottom_1500_1495_60"
    done = fitspec("run", "@sbottom", "-k", point, "--mirror", mirror, "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "makes the workspace unsound: no sample carries the POI 'mu_SIG'" in done.stdout
    assert "0 points fitted, 1 xfailed, 649 deselected" in done.stdout


@pytest.mark.data
@pytest.mark.parametrize("backend", ["native", "pyhf"])
def test_a_weak_signal_is_fitted_to_its_minimum(mirror: Path, tmp_path: Path, backend: str) -> None:
    """At SLSQP's own tolerance pyhf.infer.hypotest gives CLs 0.99988 and mu_hat 0.996 here.

    Independent of our fits: hypotest with minuit, tolerance 1e-4, strategy 2, gives 0.99814 and
    8e-7. SLSQP at 1e-10 and 1e-12 agrees with itself on 0.997817.
    """
    results = tmp_path / "results.json"
    point = "B::sbottom_1400_950_60"
    done = fitspec(
        "run",
        "@sbottom",
        "-k",
        point,
        "--mirror",
        mirror,
        "--json",
        results,
        "--backend",
        backend,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    CLs = computed(results)[point][0]
    assert CLs == pytest.approx(0.99814, rel=5e-4)
    assert CLs == pytest.approx(0.9978172, rel=1e-5)
    [found] = json.loads(results.read_text())["points"]
    assert found["mu_hat"] < 1e-5
    assert "mu_SIG" in found["fits"][0]["at_bounds"]


def test_the_quickstart_holds_and_a_second_run_uses_the_store() -> None:
    first = fitspec("run", "examples/quickstart.toml")
    assert (first.returncode, first.stderr) == (0, ""), first.stdout
    assert "9 points fitted, 19 passed" in first.stdout
    second = fitspec("run", "examples/quickstart.toml")
    assert "9 points fitted (9 from the store), 19 passed" in second.stdout


@pytest.mark.parametrize("backend", ["native", "pyhf"])
def test_a_discovery_is_reported_and_checked(analysis: Path, backend: str) -> None:
    background = json.loads((analysis / "background.json").read_text())
    patch = json.loads((analysis / "patch.signal_200_2.json").read_text())
    model = pyhf.Workspace(background).model(patches=[patch])
    data = pyhf.Workspace(background).data(model)
    p0, band = pyhf.infer.hypotest(0.0, data, model, test_stat="q0", return_expected_set=True)
    with (analysis / "small.toml").open("a") as spec:
        spec.write('[inference]\ntest_statistic = "q0"\n')
        spec.write(f'[[expect]]\npoint = "signal_200_2"\np0 = {float(p0)}\nrtol = 1e-4\n')
    done = fitspec(
        "run", "small.toml", "--backend", backend, "--json", "results.json", cwd=analysis
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "4 points fitted, 1 passed" in done.stdout
    report = json.loads((analysis / "results.json").read_text())
    [point] = [point for point in report["points"] if point["id"] == "signal_200_2"]
    assert point["tests"] == []
    assert point["discovery"]["p0"] == pytest.approx(float(p0), rel=1e-4)
    assert point["discovery"]["p0_exp"] == pytest.approx([float(p) for p in band], rel=1e-4)
    assert point["discovery"]["p0_exp"] == sorted(point["discovery"]["p0_exp"])
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith("signal_200_2"))
    assert float(row[1]) == pytest.approx(float(p0), rel=1e-3)


@pytest.mark.parametrize("backend", ["native", "pyhf"])
def test_a_deficit_leaves_the_signal_at_its_bound(analysis: Path, backend: str) -> None:
    background = json.loads((analysis / "background.json").read_text())
    background["observations"][0]["data"] = [38.0, 22.0]
    (analysis / "background.json").write_text(json.dumps(background))
    arguments = ("-k", "100_1", "--backend", backend, "--json", "results.json")
    done = fitspec("run", "small.toml", *arguments, cwd=analysis)
    assert done.returncode == 0, done.stderr
    [point] = json.loads((analysis / "results.json").read_text())["points"]
    assert point["mu_hat"] == pytest.approx(0.0, abs=1e-9)
    at_bounds = {(fit["data"], fit["mu"]): fit["at_bounds"] for fit in point["fits"]}
    assert at_bounds["observed", None] == ["mu"]
    assert at_bounds["observed", 1.0] == at_bounds["asimov", 1.0] == []


def test_a_wrong_expectation_fails_with_a_table_and_its_source(tmp_path: Path) -> None:
    text = (ROOT / "examples" / "quickstart.toml").read_text()
    text = text.replace('"quickstart"\npath', f'"{ROOT / "examples" / "quickstart"}"\npath')
    text = text.replace('"quickstart"     #', f'"{ROOT / "examples" / "quickstart"}" #')
    text = text[: text.index("[[expect]]")]
    text += '[[expect]]\npoint = "signal_400_0"\nCLs_obs = 0.02\nsource = "a guess"\n'
    (tmp_path / "wrong.toml").write_text(text)
    done = fitspec("run", "wrong.toml", "-k", "400_0", cwd=tmp_path)
    assert done.returncode == 1
    assert "wrong.toml::signal_400_0::CLs_obs at mu = 1" in done.stdout
    assert "source: a guess" in done.stdout
    row = next(line.split() for line in done.stdout.splitlines() if " 0.02 " in line)
    assert row[0] == "0.02"
    assert float(row[1]) == pytest.approx(0.01716, abs=1e-5)
    assert float(row[2]) == pytest.approx(0.14, abs=0.01)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_interrupted_run_reports_what_it_has_and_resumes(
    analysis: Path, how: signal.Signals
) -> None:
    """By pyhf, which is slow enough: when the signal comes, most points are not done."""
    (analysis / "small.toml").write_text(
        (analysis / "small.toml").read_text()
        + "[poi]\nscan = { start = 0, stop = 3, num = 40 }\n[backend]\nname = 'pyhf'\n"
    )
    process = subprocess.Popen(
        [FITSPEC, "run", "small.toml", "-n", "1", "-v", "--json", "part.json"],
        cwd=analysis, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    first = next(line for line in lines if line.startswith("small.toml::"))
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (2, "")
    assert "interrupted: 1 point fitted, 3 not computed" in out
    report = json.loads((analysis / "part.json").read_text())
    assert report["summary"]["interrupted"] is True
    done = [point["id"] for point in report["points"] if point["status"] == "ok"]
    assert [f"small.toml::{name}" for name in done] == [first.split()[0]]
    missing = {point["error"] for point in report["points"] if point["status"] == "error"}
    assert missing == {"not computed: interrupted"}

    resumed = fitspec("run", "small.toml", "-q", "-k", done[0], cwd=analysis)
    assert "1 point fitted (1 from the store)" in resumed.stdout


def test_a_terminal_shows_live_progress(analysis: Path) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [FITSPEC, "run", "small.toml", "-n", "1"],
        cwd=analysis, stdout=follower, stderr=follower,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(follower)
    screen = _read_all(leader)
    assert process.wait(timeout=60) == 0
    assert "fits" in screen
    assert "4/4" in screen
    assert "4 points fitted" in screen


def _read_all(descriptor: int) -> str:
    chunks = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:  # Linux's way of saying that the other side is closed
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(descriptor)
    return b"".join(chunks).decode()


def test_json_numbers_are_those_on_the_screen(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    done = fitspec("run", "examples/quickstart.toml", "--json", results, "-v", "-k", "600_0")
    report: dict[str, Any] = json.loads(results.read_text())
    test = report["points"][0]["tests"][0]
    assert f"CLs obs {test['CLs_obs']:.4g}, exp {test['CLs_exp'][2]:.4g}" in done.stdout
    assert report["checks"][0]["actual"] == test["CLs_obs"]
