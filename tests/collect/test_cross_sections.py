"""Every point gets the cross-section of its label, or the specification an error at its key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fitspec.collect.cases import Opener
from fitspec.collect.cross_sections import with_cross_sections
from fitspec.collect.expectations import expectations_of
from fitspec.collect.points import Point, points_of, selected
from fitspec.errors import SpecError
from fitspec.sources import Access
from fitspec.spec import SpecFile, load_spec

TABLE = "mass,xsec_pb\n100,8\n200,1\n"
ASKED = '[poi]\nupper_limit = 0.95\n[cross_section]\ntable = "xsec.csv"\non = "mass"\n'


def load(folder: Path, tail: str = ASKED, table: str = TABLE) -> SpecFile:
    """The small specification with more text at its end, and a table beside it."""
    path = folder / "small.toml"
    path.write_text(path.read_text() + tail)
    (folder / "xsec.csv").write_text(table)
    return load_spec(path, "small.toml")


def found(spec: SpecFile) -> list[Point]:
    points = selected(spec, points_of(spec, Opener(Access(spec.path.parent / "cache"))))
    return with_cross_sections(spec, points)


def refusal(spec: SpecFile) -> str:
    with pytest.raises(SpecError) as caught:
        found(spec)
    return str(caught.value)


def test_a_point_has_the_cross_section_of_its_label(analysis):
    points = found(load(analysis))

    assert {p.id: p.xsec_pb for p in points} == {
        f"signal_{mass}_{width}": pytest.approx(xsec)
        for mass, xsec in ((100, 8.0), (200, 1.0))
        for width in (1, 2)
    }


def test_a_label_between_two_rows_is_interpolated(analysis):
    (analysis / "patch.signal_150_1.json").write_text("[]")

    [point] = [p for p in found(load(analysis)) if p.labels["mass"] == 150]

    assert point.xsec_pb == pytest.approx(8 * (100 / 150) ** 3)


def test_without_a_table_there_is_none(analysis):
    assert {p.xsec_pb for p in found(load(analysis, ""))} == {None}


def test_a_case_may_have_a_table_of_its_own(analysis):
    (analysis / "xsec-13.csv").write_text(TABLE)
    (analysis / "xsec-14.csv").write_text("mass,xsec_pb\n100,9\n200,2\n")
    tail = ASKED.replace("xsec.csv", "xsec-{energy}.csv") + "[parametrize]\nenergy = [13, 14]\n"

    points = {p.id: p.xsec_pb for p in found(load(analysis, tail))}

    assert points["13::signal_100_1"] == pytest.approx(8)
    assert points["14::signal_200_2"] == pytest.approx(2)


def test_a_point_outside_the_table_is_an_error(analysis):
    spec = load(analysis, table="mass,xsec_pb\n120,8\n250,1\n")

    assert refusal(spec) == (
        "small.toml:14: cross_section.table: signal_100_1: mass = 100 is outside xsec.csv, which "
        "goes from 120 to 250; extend the table, or leave the point out by patches.select"
    )


def test_a_point_that_select_leaves_out_may_be_outside(analysis):
    spec = load(analysis, f"select = {{ mass = 200 }}\n{ASKED}", "mass,xsec_pb\n120,8\n250,1\n")

    assert [point.id for point in found(spec)] == ["signal_200_1", "signal_200_2"]


@pytest.mark.parametrize(
    ("on", "problem"),
    [
        ("mas", "no point has the label 'mas'; did you mean 'mass'?"),
        ("m_stau", "no point has the label 'm_stau'; labels are mass, width"),
    ],
)
def test_a_label_that_no_point_has_is_told_with_the_nearest(analysis, on, problem):
    spec = load(analysis, ASKED.replace('"mass"', f'"{on}"'))

    assert refusal(spec) == f"small.toml:15: cross_section.on: {problem}"


def test_a_label_that_is_text_is_told_with_one_that_is_a_number(analysis):
    patch = (analysis / "patch.signal_100_1.json").read_text()
    (analysis / "patch.signal_100_0p5.json").write_text(patch)

    spec = load(analysis, ASKED.replace('"mass"', '"width"'), "width,xsec_pb\n1,2\n2,1\n")

    assert refusal(spec) == (
        "small.toml:15: cross_section.on: signal_100_0p5: width = '0p5' is no number; "
        "labels with numbers are mass"
    )


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("xsec.csv", "xsec.csv:3: xsec_pb = '-1' is no positive number; correct the row"),
        ("xsc.csv", "table 'xsc.csv': No such file or directory; check the path"),
        ("x{energy}.csv", "unknown placeholder {energy}; declare it in [parametrize]"),
    ],
)
def test_a_table_that_is_none_is_told_at_its_key(analysis, table, problem):
    spec = load(analysis, ASKED.replace("xsec.csv", table), TABLE.replace("200,1", "200,-1"))

    assert refusal(spec) == f"small.toml:14: cross_section.table: {problem}"


def test_a_workspace_without_labels_has_no_cross_section(analysis, background):
    background["measurements"][0]["config"]["poi"] = "norm"
    (analysis / "background.json").write_text(json.dumps(background))
    path = analysis / "small.toml"
    path.write_text(path.read_text().split("[patches]")[0])

    assert refusal(load(analysis)) == (
        "small.toml:13: cross_section.on: no point has the label 'mass'; labels are none"
    )


def test_limits_in_pb_may_be_expected_of_a_table(analysis):
    (analysis / "published.csv").write_text(
        "# HEPData\nmass,width,upper_limit_xsec_obs\n100,1,0.5\n200,2,0.25\n"
    )
    spec = load(analysis, f'{ASKED}[[expect]]\ntable = "published.csv"\nrtol = 0.1\n')

    expectations = expectations_of(spec, found(spec), [])

    assert {e.node_id: (e.value, e.mu, e.rtol) for e in expectations} == {
        "small.toml::signal_100_1::upper_limit_xsec_obs": (0.5, None, 0.1),
        "small.toml::signal_200_2::upper_limit_xsec_obs": (0.25, None, 0.1),
    }
