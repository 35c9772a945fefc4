"""Names of bins: which bin a user means."""

from __future__ import annotations

import json

import pytest
from build import background, region, workspace

from fitspec.errors import SourceError, WorkspaceError
from fitspec.sources import load_background
from fitspec.sources.bins import Bin, BinNames


def names(*channels) -> BinNames:
    content = workspace(*channels)
    return BinNames(load_background(json.dumps(content).encode(), "bkg.json", None))


@pytest.fixture
def bins() -> BinNames:
    """A channel of two bins, and one of a single bin."""
    return names(
        region([5.0, 7.0], background([5.0, 6.0]), name="SR"),
        region([90.0], background([88.0]), name="CR"),
    )


def test_a_bin_has_its_channels_name_and_its_index(bins):
    assert bins.find("SR[0]") == Bin(0, 0)
    assert bins.find("SR[1]") == Bin(0, 1)
    assert bins.find("CR") == bins.find("CR[0]") == Bin(1, 0)
    assert bins.all == ["SR[0]", "SR[1]", "CR"]
    assert bins.observed == {Bin(0, 0): 5.0, Bin(0, 1): 7.0, Bin(1, 0): 90.0}
    assert bins.sizes == [2, 1]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("SR", "channel 'SR' has 2 bins; name one of SR[0] to SR[1]"),
        ("SR[2]", "the workspace has no channel or bin 'SR[2]'; did you mean 'SR[1]'?"),
        ("SR[-1]", "the workspace has no channel or bin 'SR[-1]'; did you mean 'SR[1]'?"),
        ("CRR", "the workspace has no channel or bin 'CRR'; did you mean 'CR'?"),
        ("xyz", "the workspace has no channel or bin 'xyz'; channels are SR, CR"),
    ],
)
def test_a_name_that_is_no_bin_says_which_are(bins, name, problem):
    assert name not in bins
    with pytest.raises(SourceError) as caught:
        bins.find(name)
    assert str(caught.value) == problem


def test_channels_may_be_called_anything_that_stays_clear():
    bins = names(
        region([1.0, 2.0], background([1.0, 2.0]), name="SR"),
        region([3.0], background([3.0]), name="SR[0]"),
        region([4.0], background([4.0]), name="a, b (c):unc"),
    )

    assert bins.find("a, b (c):unc") == Bin(2, 0)
    assert bins.find("SR[0][0]") == Bin(1, 0)
    with pytest.raises(SourceError, match=r"'SR\[0\]' is the name of two bins"):
        bins.find("SR[0]")


def test_a_channel_that_is_not_observed_is_refused():
    content = workspace(region([1.0], background([1.0])))
    content["observations"][0]["name"] = "other"
    with pytest.raises(WorkspaceError, match=r"bkg\.json: channel 'SR' has no observation"):
        BinNames(load_background(json.dumps(content).encode(), "bkg.json", None))
