"""Plots: files, and where the contours and curves in them are."""

from __future__ import annotations

import math
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.contour import QuadContourSet
from reports import failed, point, report

from fitspec.bestfit import BestFit, FittedParameter, Impact
from fitspec.cli import run_command_line
from fitspec.errors import ExitCode, MissingExtraError
from fitspec.outcome import Outcome
from fitspec.report.plots import drawn, write_plots
from fitspec.report.plots.curves import line, scan
from fitspec.report.plots.fits import pulls
from fitspec.report.plots.grids import grids
from fitspec.report.plots.planes import plane
from fitspec.report.read_json import read_report
from fitspec.results import SpecRecord

BAND = np.array([0.4, 0.6, 1.0, 1.5, 2.0])


def limited(x, y, limit, **changes):
    """A hypothesis with an upper limit, and twice that expected."""
    outcome = Outcome("ok", upper_limit_obs=limit, upper_limit_exp=tuple(2 * limit * BAND))
    return point(f"{x}_{y}", labels={"x": x, "y": y}, outcome=outcome, **changes)


def contour(figure, style):
    """(N, 2) vertices of the one contour that is drawn so."""
    [axes] = figure.axes
    drawn = [c for c in axes.collections if isinstance(c, QuadContourSet) and not c.filled]
    [found] = [c for c in drawn if c.linestyles == [style]]
    return np.concatenate([path.vertices for path in found.get_paths()])


def words(figure):
    return [text.get_text() for axes in figure.axes for text in axes.get_legend().get_texts()]


GRID = [
    limited(x, y, math.exp((x - 500) / 100)) for x in (300, 400, 550, 600) for y in (0, 50, 200)
]


def test_a_contour_is_where_the_limit_is_one():
    [grid] = grids(report(*GRID))

    figure = plane(grid)

    observed, expected = contour(figure, "-"), contour(figure, "--")
    assert observed[:, 0] == pytest.approx(500)
    assert expected[:, 0] == pytest.approx(500 - 100 * math.log(2))
    assert observed[:, 1].min() == pytest.approx(0)
    assert observed[:, 1].max() == pytest.approx(200)
    assert words(figure) == [
        r"expected, $\pm 1\,\sigma$", "expected", "observed", "excluded", "not excluded",
    ]  # fmt: skip


def test_hypotheses_without_numbers_are_crosses_and_no_contour_needs_them():
    lost = failed("350_10", "no minimum")
    [grid] = grids(report(*GRID, replace(lost, labels={"x": 350, "y": 10})))

    figure = plane(grid)

    assert words(figure)[-1] == "no numbers"
    assert contour(figure, "-")[:, 0] == pytest.approx(500)


def test_where_nothing_is_excluded_there_is_no_contour():
    [grid] = grids(report(*(limited(x, y, 5.0) for x in (1, 2, 3) for y in (1, 2))))

    assert words(plane(grid)) == ["not excluded"]


def test_a_plane_without_numbers_is_no_plot():
    points = [failed(name, "no minimum") for name in "abc"]
    places = ({"x": 0, "y": 0}, {"x": 1, "y": 0}, {"x": 0, "y": 1})

    run = report(*(replace(p, labels=at) for p, at in zip(points, places, strict=True)))

    assert drawn(run) == {}


def test_limits_along_a_line_are_in_pb_where_cross_sections_are_known():
    points = [limited(x, 7, x / 200, xsec_pb=1000 / x) for x in (300, 100, 200)]
    [grid] = grids(report(*points))

    [axes] = line(grid).axes

    curves = {drawn.get_label(): drawn.get_xydata().tolist() for drawn in axes.get_lines()}
    assert curves["observed"] == pytest.approx(np.array([[100, 5], [200, 5], [300, 5]]))
    assert curves["theory"] == pytest.approx(np.array([[100, 10], [200, 5], [300, 1000 / 300]]))
    assert axes.get_ylabel() == "95% CL upper limit, cross-section, pb"
    assert axes.get_yscale() == "log"


def test_a_line_is_broken_where_there_are_no_numbers():
    lost = replace(failed("150_7", "no minimum"), labels={"x": 150, "y": 7})
    [grid] = grids(report(limited(100, 7, 0.5), lost, limited(200, 7, 1.5)))

    [axes] = line(grid).axes

    curves = {drawn.get_label(): drawn.get_xydata() for drawn in axes.get_lines()}
    assert curves["observed"] == pytest.approx(
        np.array([[100, 0.5], [150, np.nan], [200, 1.5]]), nan_ok=True
    )
    assert curves["no numbers"][:, 0].tolist() == [150]
    assert line(replace(grid, hypotheses=grid.hypotheses[:2])) is None


def test_without_limits_a_line_shows_CLs():
    [grid] = grids(report(*(point(str(m), labels={"m": m}) for m in (1, 2))))

    [axes] = line(grid).axes

    assert axes.get_ylabel() == "CLs"
    assert axes.get_lines()[1].get_ydata() == pytest.approx([0.24444, 0.24444])


def test_a_scan_is_in_order():
    [test] = point("one").outcome.tests
    tests = tuple(replace(test, mu=mu, CLs_obs=math.exp(-mu)) for mu in (2.0, 0.5, 1.0))

    [axes] = scan("small", point("one", outcome=Outcome("ok", tests=tests)), 0.9).axes

    observed = axes.get_lines()[1].get_xydata()
    assert observed == pytest.approx(np.array([[mu, math.exp(-mu)] for mu in (0.5, 1.0, 2.0)]))
    assert axes.get_lines()[2].get_label() == "CLs = 0.1"


PARAMETERS = tuple(
    FittedParameter(f"syst{i}", 0.1 * i, 0.9, 0.0, 1.0, pull=0.1 * i, constraint=0.9)
    for i in range(40)
)
IMPACTS = tuple(Impact(f"syst{i}", 0.4 - 0.01 * i, -0.4 + 0.01 * i, 0.4, -0.4) for i in range(39))


def names(figure):
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_the_parameters_with_the_largest_impacts_are_shown():
    fit = BestFit("mu", None, 1.0, PARAMETERS, impacts=IMPACTS)

    figure = pulls("small", point("one"), fit)

    assert names(figure) == [f"syst{i}" for i in range(30)]
    assert len(figure.axes) == 2


@pytest.mark.parametrize("impacts", [None, (Impact("syst1", 0.0, 0.0, 0.0, 0.0),)])
def test_without_impacts_those_with_the_largest_pulls(impacts):
    figure = pulls("small", point("one"), BestFit("mu", None, 1.0, PARAMETERS, impacts=impacts))

    assert names(figure) == [f"syst{i}" for i in range(39, 9, -1)]
    assert len(figure.axes) == 1


def test_a_fit_without_constraints_is_no_plot():
    fit = BestFit("mu", None, 1.0, (FittedParameter("mu", 1.0, 0.1),))

    assert pulls("small", point("one"), fit) is None


def test_names_are_safe_and_no_formula_whatever_things_are_called(tmp_path):
    evil = r"../../$\evil$ %s"
    specs = (SpecRecord("small.toml", "0" * 64, evil), SpecRecord("b.toml", "0" * 64, evil))
    points = [
        point(f"{spec}{m}", spec, labels={r"$\x": m, "channel": "/etc"})
        for spec in ("small.toml", "b.toml")
        for m in (1, 2)
    ]

    written = write_plots(report(*points, specs=specs), tmp_path / "plots")

    assert [path.name for path in written] == [
        "evil-s-channel=-etc-exclusion.pdf", "evil-s-channel=-etc-exclusion.png",
        "evil-s-channel=-etc-exclusion-2.pdf", "evil-s-channel=-etc-exclusion-2.png",
    ]  # fmt: skip
    assert {path.parent for path in written} == {tmp_path / "plots"}
    starts = [path.read_bytes()[:4] for path in written]
    assert starts == [b"%PDF", b"\x89PNG", b"%PDF", b"\x89PNG"]


def test_a_name_says_what_is_drawn_however_long_and_strange(tmp_path):
    specs = tuple(
        SpecRecord(path, "0" * 64, name)
        for path, name in (("a.toml", "A" * 300), ("b.toml", "B-α"), ("c.toml", "b-Α"))
    )
    points = [point(f"{spec.path}{m}", spec.path, labels={"m": m}) for spec in specs
              for m in (1, 2)]  # fmt: skip

    first, second, third = (name for name in drawn(report(*points, specs=specs)) if "pdf" in name)

    assert first.startswith("A" * 30 + "-")
    assert first.endswith("-exclusion.pdf")
    assert len(first) < 150
    assert second == "B-α-exclusion.pdf"
    assert third == "b-Α-exclusion-2.pdf"


def test_what_users_set_for_their_own_plots_changes_nothing(tmp_path):
    before = drawn(report(*GRID))
    with matplotlib.rc_context({"font.size": 30, "text.usetex": True, "savefig.dpi": 40}):
        assert drawn(report(*GRID)) == before
        assert matplotlib.rcParams["font.size"] == 30


def test_the_same_results_give_the_same_bytes():
    assert drawn(report(*GRID)) == drawn(report(*GRID))


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("fitspec.report.plots.files.find_spec", lambda name: None)

    with pytest.raises(MissingExtraError, match=r"fitspec\[plot\]"):
        drawn(report(*GRID))


def test_a_folder_that_cannot_be_is_told_before_any_fit(analysis, capsys):
    (analysis / "file").touch()

    assert run_command_line(["run", "small.toml", "--plots", "file"]) == ExitCode.USAGE_ERROR
    assert run_command_line(["run", "small.toml", "--plots", "file/x"]) == ExitCode.USAGE_ERROR

    told = capsys.readouterr()
    assert told.err.count("file is no folder") == 2
    assert "fitted" not in told.out


@pytest.mark.usefixtures("analysis")
def test_a_run_says_what_it_has_drawn(capsys):
    assert run_command_line(["run", "small.toml", "-n", "1", "--plots", "new/plots"]) == ExitCode.OK
    assert "\nplots: 2 files in new/plots\n" in capsys.readouterr().out
    assert run_command_line(["run", "small.toml", "-k", "100_1", "--plots", "p"]) == ExitCode.OK
    assert "\nplots: none to draw\n" in capsys.readouterr().out


@pytest.mark.data
def test_staus_are_excluded_where_the_paper_says(mirror, tmp_path, common_cache, monkeypatch):
    """Abstract of arXiv:1911.06660: 120 to 390 GeV, for a massless neutralino."""
    monkeypatch.setenv("FITSPEC_CACHE", str(common_cache))
    results = tmp_path / "results.json"
    command = ["run", "@stau", "--mirror", str(mirror), "-q", "--json", str(results)]
    assert run_command_line([*command, "--plots", str(tmp_path / "plots")]) == ExitCode.OK
    assert len(list((tmp_path / "plots").glob("*exclusion.*"))) == 2
    [grid] = grids(read_report(results))
    assert grid.axes == ("m_stau", "m_N1")

    figure = plane(grid)

    for style in ("-", ":"):  # what is found, and what was published
        edge = contour(figure, style)
        lightest = edge[edge[:, 1] < 5][:, 0]
        assert lightest.min() == pytest.approx(120, abs=5)
        assert lightest.max() == pytest.approx(390, abs=5)
