"""What failed last: kept by specification, and changed only by what was run."""

from __future__ import annotations

from pathlib import Path

import pytest
from reports import check, failed, missing, point, report

from fitspec.report import LastFailed
from fitspec.results import SpecRecord

STOPPED = "not computed: stopped at --maxfail 1"


@pytest.fixture
def memory(tmp_path: Path) -> LastFailed:
    return LastFailed(tmp_path)


def known(memory: LastFailed) -> set[str]:
    return {node.removeprefix("small.toml::") for node in memory.of(["small.toml"])}


def test_failed_checks_and_points_without_numbers_are_kept(memory: LastFailed):
    points = (point("one"), failed("two", "lost"), failed("three", "lost"), point("four"))
    checks = (check("failed"), check(quantity="p_b"), missing("three", "lost"), check("xpassed"))

    memory.update(report(*points, checks=checks))

    assert known(memory) == {"one::CLs_obs", "two", "three::CLs_obs"}


def test_a_point_that_failed_beside_its_checks_is_kept(memory: LastFailed):
    memory.update(report(failed("one", "no limit"), checks=(check(),)))

    assert known(memory) == {"one"}


def test_a_cross_check_is_its_points(memory: LastFailed):
    checks = (check("unstable"), check("error", "two", expected=None, actual=None, reason="lost"))

    memory.update(report(point("one"), point("two"), checks=checks))

    assert known(memory) == {"one", "two"}
    memory.update(report(point("one"), checks=(check(),)), keywords="one")
    assert known(memory) == {"two"}


def test_what_passes_is_forgotten_and_what_was_not_run_is_not(memory: LastFailed):
    names = ("one", "two", "three")
    memory.update(report(*map(point, names), checks=tuple(check("failed", name) for name in names)))

    stopped = report(
        point("one"), failed("two", STOPPED), point("three"),
        checks=(check(), missing("two", STOPPED), check("failed", "three")),
    )  # fmt: skip
    memory.update(stopped)

    assert known(memory) == {"two::CLs_obs", "three::CLs_obs"}


def test_what_was_not_run_is_no_failure(memory: LastFailed):
    run = report(
        failed("one", "not computed: interrupted"), failed("two", "not computed: interrupted"),
        checks=(missing("one", "not computed: interrupted"),), interrupted=True,
    )  # fmt: skip

    memory.update(run)

    assert known(memory) == set()


def test_a_combination_with_a_case_left_out_was_not_run(memory: LastFailed):
    reason = "a case of this combination has no numbers"
    lost = report(failed("A::p", "lost"), point("B::p"), checks=(missing("p", reason),))
    left_out = report(failed("A::p", STOPPED), point("B::p"), checks=(missing("p", reason),))

    memory.update(left_out)
    assert known(memory) == set()
    memory.update(lost)
    assert known(memory) == {"A::p", "p::CLs_obs"}


def test_what_is_gone_is_dropped_unless_a_selection_may_hide_it(memory: LastFailed):
    memory.update(report(point("one"), checks=(check("failed"), check("failed", mu=0.5))))

    memory.update(report(point("two")), keywords="two")
    assert known(memory) == {"one::CLs_obs"}
    memory.update(report(point("two")))
    assert known(memory) == set()


def test_every_specification_has_its_own(
    memory: LastFailed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    two = (SpecRecord("a.toml", "0" * 64, "a"), SpecRecord("dir/a.toml", "0" * 64, "b"))
    points = (failed("one", "lost", "a.toml"), failed("two", "lost", "dir/a.toml"))
    memory.update(report(*points, specs=two))
    (tmp_path / "dir").mkdir()

    assert memory.of(["a.toml"]) == {"a.toml::one"}
    assert memory.of(["a.toml", "dir/a.toml"]) == {"a.toml::one", "dir/a.toml::two"}
    monkeypatch.chdir(tmp_path / "dir")
    assert memory.of(["a.toml"]) == {"a.toml::two"}  # the same file from elsewhere
    assert memory.of(["../a.toml", "@curated"]) == {"../a.toml::one"}


def test_a_place_that_cannot_be_written_is_no_error(memory: LastFailed, tmp_path: Path):
    (tmp_path / "last-failed").write_text("")  # it should be a folder

    memory.update(report(failed("one", "lost")))
    memory.update(report(point("one")))

    assert known(memory) == set()


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"failed": 3}', b'{"failed": [1]}'])
def test_a_damaged_file_is_none(memory: LastFailed, tmp_path: Path, damage: bytes):
    memory.update(report(failed("one", "lost")))
    [file] = (tmp_path / "last-failed").iterdir()
    file.write_bytes(damage)

    assert known(memory) == set()
    memory.update(report(failed("two", "lost")))
    assert known(memory) == {"two"}
    memory.update(report(point("two")))
    assert list((tmp_path / "last-failed").iterdir()) == []
