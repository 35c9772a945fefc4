"""Theory cross-sections: what is a table of them, and what is between its rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitspec.errors import SourceError
from fitspec.sources import CrossSections, read_cross_sections

TEXT = "# NLO+NLL, 13 TeV\nmass,xsec_pb,unc_pb\n100,8.0,0.5\n200,1.0,0.1\n400,0.25,\n"


def read(folder: Path, text: str, label: str = "mass") -> CrossSections:
    (folder / "xsec.csv").write_text(text)
    return read_cross_sections(folder / "xsec.csv", label)


def test_other_columns_and_comments_are_left_alone(tmp_path: Path) -> None:
    assert read(tmp_path, TEXT) == CrossSections("xsec.csv", [100, 200, 400], [8, 1, 0.25])


def test_between_two_rows_it_is_a_power_of_the_label(tmp_path: Path) -> None:
    table = read(tmp_path, TEXT)

    for label in (100, 125, 150.5, 200):
        assert table.at(label) == pytest.approx(8 * (100 / label) ** 3, rel=1e-12)
    for label in (250, 399, 400):
        assert table.at(label) == pytest.approx(1 * (200 / label) ** 2, rel=1e-12)


def test_at_its_rows_it_is_the_table(tmp_path: Path) -> None:
    assert [read(tmp_path, TEXT).at(label) for label in (100, 200, 400)] == pytest.approx(
        [8, 1, 0.25], rel=1e-15
    )


@pytest.mark.parametrize("label", [0, -100, 99.99, 400.01, 1e9])
def test_it_is_never_extrapolated(label: float, tmp_path: Path) -> None:
    assert read(tmp_path, TEXT).at(label) is None


def test_a_table_of_one_row_knows_that_label_alone(tmp_path: Path) -> None:
    table = read(tmp_path, "mass,xsec_pb\n100,8\n")

    assert (table.at(100), table.at(101)) == (pytest.approx(8), None)


@given(st.floats(100, 400), st.floats(100, 400))
def test_it_falls_where_the_table_falls(one: float, other: float) -> None:
    table = CrossSections("xsec.csv", [100, 200, 400], [8, 1, 0.25])
    low, high = (table.at(label) for label in sorted([one, other]))

    assert low is not None
    assert high is not None
    assert low >= high * (1 - 1e-12)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("mass,xsec_pb\n", "table 'xsec.csv' has no rows; give it mass and xsec_pb"),
        ("mas,xsec_pb\n1,2\n", "table 'xsec.csv' has no column 'mass'; did you mean 'mas'?"),
        ("mass,XS\n1,2\n", "table 'xsec.csv' has no column 'xsec_pb'; its columns are mass, XS"),
        ("#\nmass,xsec_pb\n1,2\n2,\n", "xsec.csv:4: xsec_pb = '' is no positive number; "),
        ("mass,xsec_pb\n,2\n2,1\n", "xsec.csv:2: mass = '' is no positive number; "),
        ("mass,xsec_pb\n1,2 pb\n", "xsec.csv:2: xsec_pb = '2 pb' is no positive number; "),
        ("mass,xsec_pb\n1,nan\n", "xsec.csv:2: xsec_pb = 'nan' is no positive number; "),
        ("mass,xsec_pb\n1,1e999\n", "xsec.csv:2: xsec_pb = '1e999' is no positive number; "),
        ("mass,xsec_pb\n1,2\n2,0\n", "xsec.csv:3: xsec_pb = '0' is no positive number; "),
        ("mass,xsec_pb\n1,-2\n", "xsec.csv:2: xsec_pb = '-2' is no positive number; "),
        ("mass,xsec_pb\n0,2\n", "xsec.csv:2: mass = '0' is no positive number; "),
        ("mass,xsec_pb\n1,3\n3,2\n\n2,1\n", "xsec.csv:5: mass = 2 comes after 3; sort the rows"),
        ("mass,xsec_pb\n1,3\n1,3\n", "xsec.csv:3: mass = 1 comes after 1; sort the rows"),
        ("mass,xsec_pb\n1,3,4\n", "xsec.csv:2: 3 cells, but 2 columns; "),
    ],
)
def test_a_table_that_makes_no_sense_says_where(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        read(tmp_path, text)

    assert str(caught.value).startswith(problem)


@pytest.mark.data
@pytest.mark.parametrize(
    ("table", "label"), [("sbottom", "m_sbottom"), ("stau-LR", "m_stau"), ("wino-C1N2", "m_C1N2")]
)
def test_published_rows_that_are_left_out_are_met_better_than_by_a_straight_line(
    table: str, label: str, mirror: Path
) -> None:
    whole = read_cross_sections(mirror / "cross-sections" / f"{table}.csv", label)
    ours, straight = [], []
    for i in range(1, len(whole.labels) - 1):
        labels = [*whole.labels[:i], *whole.labels[i + 1 :]]
        xsec_pb = [*whole.xsec_pb[:i], *whole.xsec_pb[i + 1 :]]
        left_out, truth = whole.labels[i], whole.xsec_pb[i]
        found = CrossSections(table, labels, xsec_pb).at(left_out)
        assert found is not None
        ours.append(abs(found / truth - 1))
        straight.append(abs(np.exp(np.interp(left_out, labels, np.log(xsec_pb))) / truth - 1))

    assert np.median(ours) < 0.003
    assert np.max(ours) <= np.max(straight)
    assert np.sqrt(np.mean(np.square(ours))) < np.sqrt(np.mean(np.square(straight)))
