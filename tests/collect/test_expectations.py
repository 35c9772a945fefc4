"""``[[expect]]``: inline or as tables, joined to the points they speak of."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitspec.collect.cases import Opener
from fitspec.collect.expectations import Expectation, expectations_of
from fitspec.collect.points import combinations_of, points_of
from fitspec.errors import SpecError
from fitspec.sources import Access
from fitspec.spec import load_spec

BAND = (0.1, 0.2, 0.3, 0.4, 0.5)
IN_REGIONS = """\
fitspec = 1
[analysis]
name = "regions"
[parametrize]
region = ["A", "B"]
[workspace]
path = "background.json"
[patches]
files = "patch.signal_{mass}_{width}.json"
[combine]
best_expected = "region"
"""


def found(folder: Path, tail: str, table: str = "") -> list[Expectation]:
    """Expectations of the specification with more text at its end, and of its table."""
    path = folder / "small.toml"
    path.write_text(path.read_text() + tail)
    (folder / "published.csv").write_text(table)
    spec = load_spec(path, "small.toml")
    points = points_of(spec, Opener(Access(folder / "cache")))
    return expectations_of(spec, points, combinations_of(spec, points))


def values(expectations: list[Expectation]) -> dict[str, object]:
    return {e.node_id.removeprefix("small.toml::"): e.value for e in expectations}


@pytest.fixture
def regions(analysis) -> Path:
    """The small analysis in two regions that are combined."""
    (analysis / "small.toml").write_text(IN_REGIONS)
    return analysis


TABLE = '[[expect]]\ntable = "published.csv"\n'


def test_an_inline_expectation_is_one_a_quantity(analysis):
    [CLs, band, excluded] = found(
        analysis,
        '[[expect]]\npoint = "signal_100_2"\nCLs_obs = 0.25\nCLs_exp = [0.1, 0.2, 0.3, 0.4, 0.5]\n'
        'excluded = false\nrtol = 0.02\natol = 1e-4\nsource = "Table 5"\nxfail = "rounded"\n',
    )

    assert [e.node_id for e in (CLs, band, excluded)] == [
        f"small.toml::signal_100_2::{name}" for name in ("CLs_obs", "CLs_exp", "excluded")
    ]
    assert (CLs.value, band.value, excluded.value) == (0.25, BAND, False)
    assert {e.target.id for e in (CLs, band, excluded)} == {"signal_100_2"}
    assert (CLs.mu, CLs.rtol, CLs.atol) == (1.0, 0.02, 1e-4)
    assert (CLs.source, CLs.xfail) == ("Table 5", "rounded")
    lines = (analysis / "small.toml").read_text().splitlines()
    for expectation in (CLs, band, excluded):
        assert expectation.file == "small.toml"
        assert lines[expectation.line - 1].startswith(f"{expectation.quantity} = ")


def test_without_tolerances_a_thousandth_is_allowed(analysis):
    [expectation] = found(analysis, '[[expect]]\npoint = "signal_100_1"\nmu_hat = 0.5\n')

    assert (expectation.rtol, expectation.atol) == (1e-3, 0.0)
    assert (expectation.source, expectation.xfail) == (None, None)
    assert expectation.mu is None  # it belongs to no tested value


def test_a_table_is_joined_on_its_labels(analysis):
    expectations = found(
        analysis,
        TABLE,
        "# from HEPData\nwidth,mass,CLs_obs,excluded\n1,100,0.5,false\n2,200,0.01,true\n1,200,,\n",
    )

    assert values(expectations) == {
        "signal_100_1::CLs_obs": 0.5,
        "signal_100_1::excluded": False,
        "signal_200_2::CLs_obs": 0.01,
        "signal_200_2::excluded": True,
    }


def test_a_table_is_joined_on_the_point_id(analysis):
    expectations = found(analysis, TABLE, "point,CLs_obs\nsignal_200_1,0.5\n")

    assert values(expectations) == {"signal_200_1::CLs_obs": 0.5}


def test_an_expectation_of_a_table_is_written_in_its_row(analysis):
    table = "# a comment\npoint,CLs_obs\n\nsignal_200_1,0.5\nsignal_100_1,0.4\n"

    expectations = found(analysis, TABLE, table)

    assert [(e.target.id, e.file, e.line) for e in expectations] == [
        ("signal_200_1", "published.csv", 4), ("signal_100_1", "published.csv", 5),
    ]  # fmt: skip


def test_labels_of_a_table_are_numbers_where_they_parse_as_such(analysis):
    expectations = found(analysis, TABLE, "mass,width,CLs_obs\n1.0e2,+2,0.5\n")

    assert values(expectations) == {"signal_100_2::CLs_obs": 0.5}


def test_one_label_is_enough_where_it_names_one_point(analysis):
    (analysis / "patch.signal_200_2.json").unlink()

    assert values(found(analysis, TABLE, "mass,CLs_obs\n200,0.5\n")) == {
        "signal_200_1::CLs_obs": 0.5
    }


def test_the_bands_of_a_table_are_five_columns(analysis):
    columns = ",".join(f"CLs_exp_{suffix}" for suffix in ("p2", "p1", "0", "m1", "m2"))

    expectations = found(analysis, TABLE, f"point,{columns}\nsignal_100_1,0.5,0.4,0.3,0.2,0.1\n")

    assert values(expectations) == {"signal_100_1::CLs_exp": BAND}


def test_the_keys_beside_a_table_hold_for_all_its_rows(analysis):
    tail = (
        f'[poi]\ntest = [1, 2]\n{TABLE}rtol = 0.3\nsource = "Table 5"\nxfail = "known"\nmu = 2.0\n'
    )

    expectations = found(analysis, tail, "point,CLs_obs\nsignal_100_1,0.5\nsignal_100_2,0.5\n")

    assert [(e.rtol, e.source, e.xfail, e.mu) for e in expectations] == [
        (0.3, "Table 5", "known", 2.0)
    ] * 2


@pytest.mark.parametrize(
    ("poi", "expect", "mu"),
    [
        ("", "", 1.0),
        ("test = 0.5", "", 0.5),
        ("test = [0.5, 1.0]", "", 1.0),
        ("test = [0.5, 1.0]", "mu = 0.5", 0.5),
        ("scan = { start = 0, stop = 2, num = 5 }", "mu = 1.5", 1.5),
    ],
    ids=["default", "the only one", "1 of several", "named", "of a scan"],
)
def test_mu_is_the_named_value_or_the_only_one_or_1(analysis, poi, expect, mu):
    point = f'[[expect]]\npoint = "signal_100_1"\nCLs_obs = 0.5\n{expect}\n'

    [expectation] = found(analysis, f"[poi]\n{poi}\n{point}")

    assert expectation.mu == mu


def test_a_tables_mu_column_wins_over_the_key(analysis):
    tail = f"[poi]\ntest = [0.5, 1.0, 2.0]\n{TABLE}mu = 2.0\n"

    expectations = found(analysis, tail, "point,mu,p_b\nsignal_100_1,0.5,1\nsignal_100_1,,1\n")

    assert [e.mu for e in expectations] == [0.5, 2.0]


def test_a_parametrize_key_in_point_stands_for_every_case(regions):
    expectations = found(
        regions,
        '[[expect]]\npoint = "{region}::signal_100_1"\nCLs_obs = 0.5\nsource = "Region {region}"\n',
    )

    assert [(e.target.id, e.source) for e in expectations] == [
        ("A::signal_100_1", "Region A"),
        ("B::signal_100_1", "Region B"),
    ]


def test_a_parametrize_key_in_table_stands_for_every_case(regions):
    for region in "AB":
        (regions / f"{region}.csv").write_text(f"point,CLs_obs\n{region}::signal_100_1,0.5\n")

    expectations = found(regions, '[[expect]]\ntable = "{region}.csv"\n')

    assert list(values(expectations)) == ["A::signal_100_1::CLs_obs", "B::signal_100_1::CLs_obs"]


def test_without_the_combined_label_a_row_speaks_of_the_combination(regions):
    table = "region,mass,width,CLs_obs\nB,100,1,0.5\n"
    assert list(values(found(regions, TABLE, table))) == ["B::signal_100_1::CLs_obs"]

    table = "mass,width,CLs_obs\n100,1,0.4\n"
    [expectation] = found(regions, "", table)
    assert expectation.node_id == "small.toml::signal_100_1::CLs_obs"
    assert [point.id for point in expectation.target.points] == [
        "A::signal_100_1",
        "B::signal_100_1",
    ]


def test_a_combination_is_named_without_its_case(regions):
    [expectation] = found(regions, '[[expect]]\npoint = "signal_100_1"\nCLs_obs = 0.5\n')

    assert expectation.target.id == "signal_100_1"


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        pytest.param(
            "mass,CLs_obs\n\n100,0.5\n",
            "published.csv:3: 2 points match; add the column width",
            id="ambiguous",
        ),
        pytest.param(
            "CLs_obs\n0.5\n",
            "published.csv:2: 4 points match; add the column mass, width",
            id="no label at all",
        ),
        pytest.param(
            "mass,width,CLs_obs\n100,1,0.5\n100,3,0.5\n",
            "published.csv:3: no point has mass = 100, width = 3; correct the row",
            id="unmatched labels",
        ),
        pytest.param(
            "point,CLs_obs\nsignal_1,0.5\n",
            "published.csv:2: no point has signal_1; correct the row",
            id="unmatched id",
        ),
        pytest.param(
            "point,CLs_obd\nsignal_100_1,0.5\n",
            "published.csv: column 'CLs_obd' is neither a label nor a quantity; "
            "did you mean 'CLs_obs'?",
            id="unknown column",
        ),
        pytest.param(
            "point,CLs_obs\nsignal_100_1,small\n",
            "published.csv:2: CLs_obs = 'small' is not a number",
            id="no number",
        ),
        pytest.param(
            "point,CLs_obs\nsignal_100_1,nan\n",
            "published.csv:2: CLs_obs = 'nan' is not a number",
            id="nan",
        ),
        pytest.param(
            "point,excluded\nsignal_100_1,1\n",
            "published.csv:2: excluded = '1' is not true or false",
            id="no boolean",
        ),
        pytest.param(
            "point,upper_limit_obs\nsignal_100_1,1\n",
            "upper_limit_obs is expected but not asked for; set poi.upper_limit",
            id="not asked for",
        ),
        pytest.param(
            "point,mu,CLs_obs\nsignal_100_1,2,1\n",
            "mu = 2 is not tested; tested are 1",
            id="mu not tested",
        ),
    ],
)
def test_an_error_in_a_table_names_its_row(analysis, table, problem):
    with pytest.raises(SpecError) as caught:
        found(analysis, TABLE, table)

    error = caught.value
    assert (error.file, error.line) == ("small.toml", 12 if "table" in error.key else 11)
    assert error.key.startswith("expect[0]")
    assert str(error).endswith(f": {problem}")
    assert "\n" not in str(error)


def test_a_table_may_know_a_part_of_a_band(analysis):
    table = "point,CLs_exp_m1,CLs_exp_0,CLs_exp_p1\nsignal_100_1,0.2,0.3,0.4\n"

    [expectation] = found(analysis, TABLE, table)

    assert expectation.value == (None, 0.2, 0.3, 0.4, None)


def test_a_table_that_is_not_there_is_an_error(analysis):
    with pytest.raises(SpecError, match=r"^small.toml:12: expect\[0\].table: table 'other.csv'"):
        found(analysis, '[[expect]]\ntable = "other.csv"\n')


ASKED_FOR = {
    "p0 = 0.5": 'set inference.test_statistic = "q0"',
    "upper_limit_obs = 1.0": "set poi.upper_limit",
    "upper_limit_exp = [1.0, 2.0, 3.0, 4.0, 5.0]": "set poi.upper_limit",
    "upper_limit_xsec_obs = 1.0": "set poi.upper_limit and [cross_section]",
    "upper_limit_xsec_exp = [1.0, 2.0, 3.0, 4.0, 5.0]": "set poi.upper_limit and [cross_section]",
}


@pytest.mark.parametrize(("line", "remedy"), ASKED_FOR.items(), ids=lambda text: text.split()[0])
def test_a_quantity_that_is_not_asked_for_is_an_error(analysis, line, remedy):
    name = line.split()[0]

    with pytest.raises(SpecError) as caught:
        found(analysis, f'[[expect]]\npoint = "signal_100_1"\n{line}\n')

    expected = f"expect[0].{name}: {name} is expected but not asked for; {remedy}"
    assert str(caught.value) == f"small.toml:13: {expected}"


@pytest.mark.parametrize("line", ["CLs_obs = 0.5", "p_b = 0.5", "excluded = true"])
def test_where_only_a_limit_is_asked_there_is_no_test_to_check(analysis, line):
    with pytest.raises(SpecError, match=r"is expected but not asked for; set poi\.test$"):
        found(analysis, f'[poi]\nupper_limit = 0.95\n[[expect]]\npoint = "signal_100_1"\n{line}\n')


@pytest.mark.parametrize("line", ["CLs_obs = 0.5", "CLs_exp = [1, 2, 3, 4, 5]", "excluded = true"])
def test_where_a_discovery_is_asked_there_is_no_CLs_to_check(analysis, line):
    q0 = '[inference]\ntest_statistic = "q0"\n[[expect]]\npoint = "signal_100_1"\n'
    name = line.split()[0]

    with pytest.raises(SpecError, match=f"{name} is expected but not asked for; q0 gives p0$"):
        found(analysis, f"{q0}{line}\n")


def test_p0_belongs_to_no_mu(analysis):
    q0 = '[inference]\ntest_statistic = "q0"\n[[expect]]\npoint = "signal_100_1"\n'

    [expectation] = found(analysis, f"{q0}p0 = 0.02\n")

    assert (expectation.quantity, expectation.value, expectation.mu) == ("p0", 0.02, None)
    with pytest.raises(SpecError, match="mu belongs to CLs_obs, CLs_exp, p_b, excluded"):
        found(analysis, "mu = 1.0\n")


def test_a_point_that_does_not_exist_is_an_error_with_the_nearest(analysis):
    with pytest.raises(SpecError) as caught:
        found(analysis, '[[expect]]\npoint = "signal_1OO_1"\nCLs_obs = 0.5\n')

    expected = "small.toml:12: expect[0].point: there is no point 'signal_1OO_1'"
    assert str(caught.value) == f"{expected}; did you mean 'signal_100_1'?"


def test_a_mu_that_is_not_tested_is_an_error(analysis):
    point = '[[expect]]\npoint = "signal_100_1"\nCLs_obs = 0.5\nmu = 1.5\n'

    with pytest.raises(SpecError) as caught:
        found(analysis, f"[poi]\ntest = [0.5, 2.0]\n{point}")

    expected = "small.toml:16: expect[0].mu: mu = 1.5 is not tested; tested are 0.5, 2"
    assert str(caught.value) == expected


def test_a_scanned_mu_is_named_as_one_writes_it(analysis):
    tail = "[poi]\nscan = { start = 0, stop = 1, num = 11 }\n"
    [expectation] = found(
        analysis, tail + '[[expect]]\npoint = "signal_100_1"\nmu = 0.3\nCLs_obs = 0.5\n'
    )

    assert expectation.mu == pytest.approx(0.3, rel=1e-12)
    assert expectation.mu in load_spec(analysis / "small.toml").spec.poi.values


def test_labels_in_a_source_are_those_of_the_point(regions):
    [expectation] = found(
        regions,
        '[[expect]]\npoint = "A::signal_100_1"\nCLs_obs = 0.5\n'
        'source = "region {region}"\nxfail = "m = {mass} {other}"\n',
    )

    assert (expectation.source, expectation.xfail) == ("region A", "m = 100 {other}")


def test_a_table_of_one_case_needs_no_column_for_it(regions):
    for region in "AB":
        (regions / f"limits{region}.csv").write_text("mass,width,CLs_obs\n100,1,0.5\n")

    both = found(regions, '[[expect]]\ntable = "limits{region}.csv"\n')

    assert list(values(both)) == ["A::signal_100_1::CLs_obs", "B::signal_100_1::CLs_obs"]


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("mass,width,mu_hat\n", "published.csv expects nothing"),
        ("mass,width\n100,1\n", "published.csv expects nothing"),
        (
            "mass,width,mu_hat\n100,1,0.5\n100,1,0.6\n",
            "published.csv:3: small.toml::signal_100_1::mu_hat is expected twice",
        ),
    ],
    ids=["no rows", "no quantities", "a row twice"],
)
def test_a_table_that_checks_nothing_or_twice_is_an_error(analysis, table, problem):
    with pytest.raises(SpecError) as caught:
        found(analysis, TABLE, table)

    assert caught.value.problem == problem


def test_a_mu_without_a_quantity_that_has_one_is_an_error(analysis):
    with pytest.raises(SpecError, match="mu belongs to CLs_obs, CLs_exp, p_b, excluded; none is"):
        found(analysis, '[[expect]]\npoint = "signal_100_1"\nmu = 1\nmu_hat = 0.5\n')


def test_a_row_may_have_tolerances_of_its_own(analysis):
    table = "mass,width,CLs_obs,rtol,atol\n100,1,0.5,0.1,\n100,2,0.5,,0.2\n200,1,0.5,,\n"

    listed = found(analysis, TABLE, table)

    own = {e.target.id: (e.rtol, e.atol) for e in listed}
    block = own["signal_200_1"]
    assert own == {
        "signal_100_1": (0.1, block[1]), "signal_100_2": (block[0], 0.2), "signal_200_1": block
    }  # fmt: skip
    assert block[0] != 0.1
    assert block[1] != 0.2


def test_a_tolerance_below_zero_is_an_error(analysis):
    with pytest.raises(SpecError, match=r"published\.csv:2: atol = -1 is below 0"):
        found(analysis, TABLE, "mass,width,CLs_obs,atol\n100,1,0.5,-1\n")


def test_an_expectation_knows_its_block(analysis):
    block = '[[expect]]\npoint = "signal_100_1"\nCLs_obs = 0.5\n'

    both = found(analysis, block + TABLE, "mass,width,mu_hat\n100,1,0.5\n")

    assert [(e.quantity, e.block) for e in both] == [("CLs_obs", 0), ("mu_hat", 1)]
