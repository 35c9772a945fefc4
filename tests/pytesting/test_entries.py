"""Checks and points by the names that pytest gives them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitspec.collect import collect
from fitspec.pytesting.entries import Entry, entries_of, names_of
from fitspec.sources import Access
from fitspec.spec import find_specs


def entries(folder: Path, more: str) -> list[Entry]:
    with (folder / "small.toml").open("a") as file:
        file.write(more)
    collection = collect(find_specs(["small.toml"]), Access(folder / "sources"))
    found = list(entries_of(collection))
    assert list(dict.fromkeys(entry.node for entry in found)) == list(
        dict.fromkeys(collection.node_ids)
    )
    return found


def expect(point: str, values: str) -> str:
    return f'[[expect]]\npoint = "{point}"\n{values}\n'


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("signal_1", ("signal_1",)),
        ("A::signal_1::CLs_obs", ("A", "signal_1", "CLs_obs")),
        ("A::discovery_SR[0]::p0", ("A", "discovery_SR[0]::p0")),
        ("signal_1::CLs_obs[mu=0.5#2]", ("signal_1", "CLs_obs[mu=0.5#2]")),
    ],
)
def test_names_are_taken_apart_as_pytest_does_it(name: str, parts: tuple[str, ...]) -> None:
    assert names_of(name) == parts
    assert "::".join(parts) == name


def test_a_point_is_an_entry_where_nothing_is_expected_of_it(analysis: Path) -> None:
    found = entries(analysis, expect("signal_200_1", 'CLs_obs = 0.5\np_b = 0.5\nxfail = "why"'))

    assert ["::".join(entry.names) for entry in found] == [
        "signal_100_1",
        "signal_100_2",
        "signal_200_1::CLs_obs",
        "signal_200_1::p_b",
        "signal_200_2",
    ]
    point, check = found[0], found[2]
    assert (point.node, point.number, point.xfail) == ("small.toml::signal_100_1", None, None)
    assert check.node == "small.toml::signal_200_1::CLs_obs"
    assert (check.number, check.xfail) == (0, "why")
    assert check.labels == {"mass": 200, "width": 1}
    assert check.points == ("small.toml::signal_200_1",)


def test_checks_of_one_quantity_have_names_of_their_own(analysis: Path) -> None:
    at_mu = [expect("signal_100_1", f"CLs_obs = 0.5\nmu = {mu}") for mu in (0.5, 1.0, 1.0)]
    again = expect("signal_100_2", "CLs_obs = 0.5\nmu = 1.0")

    found = entries(analysis, "[poi]\ntest = [0.5, 1.0]\n" + "".join([*at_mu, again, again]))

    checks = [entry for entry in found if entry.number is not None]
    assert [("::".join(entry.names), entry.number) for entry in checks] == [
        ("signal_100_1::CLs_obs[mu=0.5]", 0),
        ("signal_100_1::CLs_obs[mu=1]", 1),
        ("signal_100_1::CLs_obs[mu=1#2]", 2),
        ("signal_100_2::CLs_obs", 0),
        ("signal_100_2::CLs_obs[#2]", 1),
    ]
    assert {entry.node for entry in checks[:3]} == {"small.toml::signal_100_1::CLs_obs"}


def test_checks_of_a_combination_need_all_its_points(analysis: Path) -> None:
    text = (analysis / "small.toml").read_text()
    text = text.replace("[workspace]", '[parametrize]\nregion = ["A", "B"]\n[workspace]')
    (analysis / "small.toml").write_text(text)

    found = entries(
        analysis, '[combine]\nbest_expected = "region"\n' + expect("signal_100_1", "CLs_obs = 0.5")
    )

    check = found[-1]
    assert check.names == ("signal_100_1", "CLs_obs")
    assert check.points == ("small.toml::A::signal_100_1", "small.toml::B::signal_100_1")
    assert len(found) == 8 + 1  # combinations without a check are none of pytest's business
