"""The settings of a specification as one flat table."""

from __future__ import annotations

from fitspec.spec import load_spec
from fitspec.spec.settings import settings_of


def test_defaults_are_written_out_and_what_is_not_set_is_left_out(analysis):
    assert settings_of(load_spec(analysis / "small.toml").spec) == {
        "poi.method": "root",
        "inference.test_statistic": "qtilde",
        "inference.calculator": "asymptotic",
        "inference.expected": "post-fit",
        "inference.interpcodes.normsys": "code4",
        "inference.interpcodes.histosys": "code4p",
        "backend.name": "native",
    }


def test_nested_tables_become_dotted_keys(analysis):
    with (analysis / "small.toml").open("a") as file:
        file.write(
            "[poi]\nscan = { start = 0, stop = 2, num = 3 }\n"
            '[inference]\ncalculator = "toys"\ntoys = { max = 100, precision = 0.1 }\nseed = 3\n'
        )
    found = settings_of(load_spec(analysis / "small.toml").spec)

    assert found["poi.scan.num"] == 3
    assert found["inference.toys.max"] == 100
    assert found["inference.toys.precision"] == 0.1
    assert found["inference.seed"] == 3
