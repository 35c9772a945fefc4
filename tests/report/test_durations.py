"""The slowest points."""

from __future__ import annotations

from reports import failed, point

from fitspec.report.durations import durations

POINTS = (
    point("fast", seconds=0.01), point("slow", seconds=12.3456), point("middle", seconds=2.0),
    failed("never", "not computed: interrupted"), point("old", seconds=99.0, cached=True),
)  # fmt: skip


def test_the_slowest_come_first():
    assert list(durations(POINTS[:4], 2)) == [
        "12.346s small.toml::slow",
        "2.000s small.toml::middle",
    ]


def test_zero_lists_all_that_took_time():
    lines = list(durations(POINTS, 0))

    assert [line.split("::")[-1] for line in lines[:-1]] == ["slow", "middle", "fast"]
    assert lines[-1] == "(1 from the store took no time)"
