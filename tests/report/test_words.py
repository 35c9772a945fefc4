"""Checks that do not hold, in plain text."""

from __future__ import annotations

import pytest
from reports import check, missing

from fitspec.report.words import headline, story, worst

BAND = (0.1, 0.2, 0.4, 0.6, 0.8)


def test_a_number_is_told_with_its_difference_tolerance_and_source():
    assert story(check("failed", expected=0.25, actual=0.24444, source="Table 5")).splitlines() == [
        "CLs_obs at mu = 1: expected 0.25, found 0.24444",
        "    expected   actual  rel. diff.  allowed",
        "        0.25  0.24444       0.022    0.001",
        "  source: Table 5",
    ]


def test_of_a_band_the_number_that_differs_most_is_told():
    band = check("failed", quantity="CLs_exp", expected=BAND, actual=(0.1, 0.21, 0.4, 0.6, 0.82))

    assert worst(band) == (0.2, 0.21)
    assert headline(band) == "CLs_exp at mu = 1: expected 0.2, found 0.21"
    assert len(story(band).splitlines()) == 1 + 1 + 5 + 1


def test_a_difference_is_weighed_by_what_is_allowed():
    band = (0.1, None, 1.0, None, None)
    found = (0.102, 0.2, 1.015, 0.6, 0.8)  # 2% and 1.5%

    assert worst(check("failed", expected=band, actual=found)) == (0.1, 0.102)
    assert worst(check("failed", expected=band, actual=found, atol=0.01)) == (1.0, 1.015)


@pytest.mark.parametrize(
    ("failed", "text"),
    [
        (
            check("failed", quantity="excluded", expected=True, actual=False),
            "excluded at mu = 1: expected True, found False",
        ),
        (missing("one", "lost"), "CLs_obs at mu = 1: lost"),
        (
            check("failed", quantity="mu_hat", mu=None, expected=0.0, actual=1e-9, rtol=0.0),
            "mu_hat: expected 0, found 1e-09",
        ),
    ],
)
def test_a_headline_says_what_differs(failed, text):
    assert headline(failed) == text
    assert story(failed).splitlines()[0] == text


def test_what_is_unstable_says_what_it_may_come_from():
    last = story(check("unstable", reason="the free fit ends elsewhere")).splitlines()[-1]

    assert last == "  the free fit ends elsewhere"
