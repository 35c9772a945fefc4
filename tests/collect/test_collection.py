"""The selected part of specifications: points, combinations and checks that ``-k`` keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitspec.collect import Collection, collect
from fitspec.errors import ExitCode, NothingCollectedError, SpecError, UsageError
from fitspec.sources import Access
from fitspec.spec import load_spec

EXPECT = """
[[expect]]
point = "signal_100_1"
CLs_obs = 0.5
CLs_exp = [0.1, 0.2, 0.3, 0.4, 0.5]
[[expect]]
point = "signal_200_2"
mu_hat = 0.0
"""
COMBINED = """
[parametrize]
region = ["A", "B"]
[combine]
best_expected = "region"
[[expect]]
point = "signal_100_1"
CLs_obs = 0.5
[[expect]]
point = "A::signal_200_1"
CLs_obs = 0.5
"""
CHECKS = ["signal_100_1::CLs_obs", "signal_100_1::CLs_exp", "signal_200_2::mu_hat"]


def collected(
    folder: Path, tail: str = "", keywords: str = "", only: frozenset[str] | None = None
) -> Collection:
    """The small specification with more text at its end."""
    path = folder / "small.toml"
    path.write_text(path.read_text() + tail)
    return collect([load_spec(path, "small.toml")], Access(folder / "cache"), keywords, only)


def names(found: Collection) -> list[str]:
    return [node.removeprefix("small.toml::") for node in found.node_ids]


def test_everything_is_collected_without_a_selection(analysis):
    found = collected(analysis, EXPECT)

    assert len(found.points) == 4
    assert [e.node_id for e in found.expectations] == [f"small.toml::{name}" for name in CHECKS]
    assert found.deselected == 0
    assert found.combinations == ()


def test_node_ids_are_checks_and_points_without_a_check(analysis):
    assert names(collected(analysis, EXPECT)) == [
        *CHECKS[:2],
        "signal_100_2",
        "signal_200_1",
        CHECKS[2],
    ]


@pytest.mark.parametrize(
    ("keywords", "expected", "deselected"),
    [
        ("signal_100", [*CHECKS[:2], "signal_100_2"], 2),
        ("mass=200", ["signal_200_1", CHECKS[2]], 2),
        ("mass=100 and not width=2", CHECKS[:2], 3),
        ("CLs_obs", CHECKS[:1], 3),
        ("mu_hat or CLs_exp", CHECKS[1:], 2),
        ("signal_100_1 and not CLs_exp", CHECKS[:1], 3),
        ("small.toml", [*CHECKS[:2], "signal_100_2", "signal_200_1", CHECKS[2]], 0),
    ],
)
def test_keywords_keep_points_and_checks(analysis, keywords, expected, deselected):
    found = collected(analysis, EXPECT, keywords)

    assert names(found) == expected
    assert found.deselected == deselected


def test_a_selected_check_brings_its_point(analysis):
    found = collected(analysis, EXPECT, "mu_hat")

    assert [point.id for point in found.points] == ["signal_200_2"]


def test_a_selected_check_of_a_combination_brings_all_its_cases(analysis):
    found = collected(analysis, COMBINED, "toml::signal_100_1::CLs_obs")

    assert [point.id for point in found.points] == ["A::signal_100_1", "B::signal_100_1"]
    assert [c.id for c in found.combinations] == ["signal_100_1"]
    assert names(found) == ["A::signal_100_1", "B::signal_100_1", "signal_100_1::CLs_obs"]
    assert found.deselected == 6


def test_a_combination_without_all_its_cases_is_left_out(analysis):
    found = collected(analysis, COMBINED, "region=A and mass=200")

    assert found.combinations == ()
    assert names(found) == ["A::signal_200_1::CLs_obs", "A::signal_200_2"]


def test_combinations_of_all_points_come_without_a_selection(analysis):
    found = collected(analysis, COMBINED)

    assert len(found.points) == 8
    assert len(found.combinations) == 4
    assert names(found)[-1] == "signal_100_1::CLs_obs"


def test_checks_of_points_that_select_leaves_out_are_left_out(analysis):
    path = analysis / "small.toml"
    path.write_text(path.read_text() + "select = { mass = 100 }\n")

    with pytest.raises(SpecError, match=r"expect\[1\].point: 'signal_200_2' is left out by"):
        collected(analysis, EXPECT)


def test_a_table_may_speak_of_points_that_select_leaves_out(analysis):
    path = analysis / "small.toml"
    path.write_text(path.read_text() + "select = { mass = 100 }\n")
    (analysis / "limits.csv").write_text("mass,width,CLs_obs\n100,1,0.1\n200,1,0.2\n")

    found = collected(analysis, '[[expect]]\ntable = "limits.csv"\n')

    assert names(found) == ["signal_100_1::CLs_obs", "signal_100_2"]
    assert found.deselected == 0


def test_targets_of_checks_are_the_points_themselves(analysis):
    found = collected(analysis, COMBINED)

    targets = [expectation.target for expectation in found.expectations]
    everything = [*found.points, *found.combinations]
    assert all(any(target is known for known in everything) for target in targets)


def test_several_specifications_are_collected_in_their_order(analysis):
    text = (analysis / "small.toml").read_text()
    (analysis / "again.toml").write_text(text)
    specs = [load_spec(analysis / name, name) for name in ("small.toml", "again.toml")]

    found = collect(specs, Access(analysis / "cache"), "signal_100_1")

    assert found.node_ids == ["small.toml::signal_100_1", "again.toml::signal_100_1"]
    assert found.specs == tuple(specs)
    assert found.deselected == 6


@pytest.mark.parametrize(
    ("tail", "keywords", "message"),
    [
        (
            "",
            "mass=300",
            "small.toml: -k 'mass=300' selects none of the 4 points; `fitspec collect` lists them",
        ),
        ("select = { mass = 300 }\n", "", "small.toml: no points; loosen [patches] select"),
    ],
    ids=["-k", "select"],
)
def test_nothing_collected_says_what_left_nothing(analysis, tail, keywords, message):
    with pytest.raises(NothingCollectedError) as caught:
        collected(analysis, tail, keywords)

    assert str(caught.value) == message
    assert caught.value.exit_code == ExitCode.NOTHING_COLLECTED == 5


def test_no_specification_at_all_is_nothing_collected(tmp_path):
    with pytest.raises(NothingCollectedError, match=r"^no specification: no points"):
        collect([], Access(tmp_path))


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [("", ["signal_100_1::CLs_exp", "signal_200_1"]), ("200", ["signal_200_1"])],
)
def test_nodes_may_be_chosen_one_by_one(analysis, keywords, expected):
    chosen = {f"small.toml::{name}" for name in ("signal_100_1::CLs_exp", "signal_200_1")}

    found = collected(analysis, EXPECT, keywords, frozenset(chosen))

    assert names(found) == expected
    assert found.deselected == 4 - len(expected)


def test_chosen_nodes_that_are_gone_leave_nothing(analysis):
    with pytest.raises(NothingCollectedError, match="none of the chosen points is there any more"):
        collected(analysis, EXPECT, only=frozenset({"small.toml::signal_1_1"}))


def test_a_malformed_selection_is_told_before_any_source_is_opened(analysis):
    (analysis / "background.json").unlink()

    with pytest.raises(UsageError, match=r"^-k 'a or', column 5"):
        collected(analysis, keywords="a or")
