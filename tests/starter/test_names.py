"""Patterns of file names."""

from __future__ import annotations

import pytest

from fitspec.sources import FilePattern
from fitspec.starter.names import Column, columns_of, key_of, patterns_of, tokens_of


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["patch.sb_1000_131_1.json", "patch.sb_900_60_1.json"], "patch.sb_{sb_1}_{sb_2}_1.json"),
        (["patch.DS_80_1_Staus.json", "patch.DS_100_40_Staus.json"],
         "patch.DS_{DS_1}_{DS_2}_Staus.json"),
        (["a/M300_N100.json", "a/M400_N50.json"], "a/M{M}_N{N}.json"),
        (["patch_100.json", "patch_200.json"], "patch_{label}.json"),
        (["wino_0.5.json", "wino_12p5.json", "wino_2.json"], "wino_{wino}.json"),
        (["mode_hh.json", "mode_WZ.json"], "mode_{mode}.json"),
        (["100.json", "200.json"], "{label}.json"),
        (["s_1a.json", "s_2b.json"], "s_{s}.json"),  # neighbours are one place
        (["only.json"], "only.json"),
    ],
)  # fmt: skip
def test_a_pattern_finds_the_names_it_was_made_from(names: list[str], text: str) -> None:
    [found] = patterns_of(names)
    assert found.text == text
    for index, name in enumerate(names):
        assert FilePattern(text).match(name) is not None
        filled = text
        for label, values in found.values.items():
            filled = filled.replace(f"{{{label}}}", values[index])
        assert filled == name


def test_names_of_another_shape_are_another_pattern() -> None:
    found = patterns_of(["s_1.json", "s_1_extra.json", "s_2.json", "s_3.json"])
    assert [pattern.text for pattern in found] == ["s_{s}.json", "s_1_extra.json"]
    assert found[0].files == ("s_1.json", "s_2.json", "s_3.json")


@pytest.mark.parametrize(
    ("names", "key", "values"),
    [
        (["RegionA/b.json", "RegionB/b.json"], ("region", "Region"), ("RegionA", "RegionB")),
        (["Region-low/b.json", "Region-high/b.json"], ("region", ""), ("low", "high")),
        (["combined.json", "cut.json"], ("case", ""), ("combined", "cut")),  # no word begins so
        (["ws_100.json", "ws_200.json"], ("ws", ""), ("100", "200")),
    ],
)
def test_a_key_is_called_after_what_is_common(
    names: list[str], key: tuple[str, str], values: tuple[str, ...]
) -> None:
    rows = [tokens_of(name) for name in names]
    [column] = columns_of(rows)
    assert column.values == values
    assert key_of(rows[0], column) == key


def test_columns_are_places_that_differ() -> None:
    rows = [("a", "_", "1", "b"), ("a", "_", "2", "c"), ("a", "_", "2", "c")]
    assert columns_of(rows) == [Column(2, 4, ("1b", "2c", "2c"))]
