"""File name patterns: what they match, what labels they give, and that their globs find it."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitspec.errors import SourceError
from fitspec.results import Label
from fitspec.sources import FilePattern, open_archive
from fitspec.sources.pattern import label_value


@pytest.mark.parametrize(
    ("pattern", "name", "labels"),
    [
        pytest.param(
            "RegionA/patch.sbottom_{m_sbottom}_{m_N2}_{m_N1}.json",
            "RegionA/patch.sbottom_1300_205_60.json",
            {"m_sbottom": 1300, "m_N2": 205, "m_N1": 60},
            id="masses",
        ),
        pytest.param("{a}.json", "x_y.json", {"a": "x_y"}, id="text"),
        pytest.param("{a}.json", "0.5.json", {"a": 0.5}, id="number with a dot"),
        pytest.param("{a}_{b}", "1_2_3", {"a": 1, "b": "2_3"}, id="as short as possible"),
        pytest.param("{a}{b}", "12", {"a": 1, "b": 2}, id="side by side"),
        pytest.param("{a}/{b}.json", "x/y.json", {"a": "x", "b": "y"}, id="folder"),
        pytest.param("BkgOnly.json", "BkgOnly.json", {}, id="no label"),
        pytest.param("{größe}", "3", {"größe": 3}, id="label beyond ASCII"),
        pytest.param("{a", "{a", {}, id="a single brace is itself"),
    ],
)
def test_a_pattern_gives_labels_in_its_order(
    pattern: str, name: str, labels: dict[str, Label]
) -> None:
    found = FilePattern(pattern).match(name)
    assert found == labels
    assert list(found) == list(labels)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        pytest.param("{a}.json", "1.json.bak", id="something after it"),
        pytest.param("{a}.json", "x/1.json", id="something before it"),
        pytest.param("x_{a}.json", "x_1/2.json", id="label with a slash"),
        pytest.param("x_{a}.json", "x_.json", id="empty label"),
        pytest.param("{a}.json", "1xjson", id="a dot is a dot"),
        pytest.param("X_{a}", "x_1", id="other case"),
    ],
)
def test_a_pattern_does_not_match(pattern: str, name: str) -> None:
    assert FilePattern(pattern).match(name) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("300", 300),
        ("-5", -5),
        ("+5", 5),
        ("007", 7),
        ("0.5", 0.5),
        ("-0.5", -0.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("1E-3", 0.001),
        ("12p5", "12p5"),
        ("1_000", "1_000"),
        ("1,5", "1,5"),
        ("0x10", "0x10"),
        ("1e", "1e"),
        ("--5", "--5"),
        (" 5", " 5"),
        ("5\n", "5\n"),
        ("nan", "nan"),
        ("inf", "inf"),
        ("True", "True"),
        ("", ""),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
        ("9" * 18, 999999999999999999),
        ("9" * 20, 1e20),
    ],
    ids=lambda value: ascii(value)[:12],
)
def test_a_label_is_a_number_where_it_is_one(text: str, value: Label) -> None:
    found = label_value(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        pytest.param("x_{m}_{m}.json", "label {m} stands twice", id="twice"),
        pytest.param("x_{}.json", "{} in 'x_{}.json' is no label name", id="empty"),
        pytest.param("x_{m N}.json", "{m N} in 'x_{m N}.json' is no label name", id="blank"),
        pytest.param("x_{1m}.json", "{1m} in 'x_{1m}.json' is no label name", id="digit first"),
        pytest.param("x_{m:d}.json", "{m:d} in 'x_{m:d}.json' is no label name", id="format"),
    ],
)
def test_a_placeholder_must_be_a_name_of_its_own(pattern: str, problem: str) -> None:
    with pytest.raises(SourceError) as caught:
        FilePattern(pattern)
    assert problem in str(caught.value)


@pytest.mark.parametrize("special", ["*", "?", "[1]", "[!x]", "**", "]", "[", "."])
def test_a_glob_character_in_a_pattern_stands_for_itself(special: str, tmp_path: Path) -> None:
    wanted = f"x{special}_1.json"
    for name in (wanted, "x1_1.json", "xyz_1.json", "x_1.json"):
        (tmp_path / name).touch()
    pattern = FilePattern(f"x{special}_{{m}}.json")
    assert open_archive(tmp_path).names(pattern.glob) == [wanted]


def test_labels_side_by_side_are_found_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x_12.json").touch()
    assert open_archive(tmp_path).names(FilePattern("x_{a}{b}.json").glob) == ["x_12.json"]


literals = st.text(
    st.sampled_from("ab1._-/*?[]!^$()|+\\ é") | st.characters(exclude_characters="{}"), max_size=4
)
separators = st.text(
    st.sampled_from("ab._/*?[]!^$()|+\\ é") | st.characters(exclude_characters="{}-0123456789"),
    min_size=1,
    max_size=4,
)


@settings(deadline=None)
@given(start=literals, pairs=st.lists(st.tuples(st.integers(), separators), max_size=4))
def test_integers_written_into_a_pattern_are_read_back(
    start: str, pairs: list[tuple[int, str]]
) -> None:
    labels = {f"label{i}": value for i, (value, _) in enumerate(pairs)}
    pattern = start + "".join(f"{{label{i}}}{end}" for i, (_, end) in enumerate(pairs))
    assert FilePattern(pattern).match(pattern.format(**labels)) == labels


@settings(deadline=None, max_examples=200)
@given(
    parts=st.lists(literals | st.sampled_from(["{a}", "{b}", "{c}"]), max_size=5),
    label=st.text(st.characters(exclude_characters="/"), min_size=1, max_size=3),
)
def test_whatever_a_pattern_matches_its_glob_matches_too(parts: list[str], label: str) -> None:
    parts = [part for i, part in enumerate(parts) if "{" not in part or part not in parts[:i]]
    pattern = FilePattern("".join(parts))
    name = "".join(label if "{" in part else part for part in parts)
    assert pattern.match(name) is not None
    assert fnmatch.fnmatchcase(name, pattern.glob)
