"""One run for many items: in time, only once, and as far as it is needed."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from fitspec import session
from fitspec.errors import EndpointError, SourceError, SpecError
from fitspec.execute import ResultStore
from fitspec.execute.pool import Habits
from fitspec.pytesting.batch import Batch, _alone
from fitspec.session import Settings, run
from fitspec.sources import Access
from fitspec.spec import find_specs

NODES = [f"small.toml::signal_{mass}_{width}" for mass in (100, 200) for width in (1, 2)]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(Access(tmp_path / "sources"), tmp_path / "results", workers=1)


@pytest.fixture
def batch(analysis: Path, settings: Settings) -> Batch:
    [spec] = find_specs(["small.toml"])
    return Batch(spec, settings, lambda: set(NODES))


def test_results_are_those_of_a_run(batch: Batch, settings: Settings) -> None:
    found = [batch.point(node) for node in NODES]

    report = run(["small.toml"], settings)
    assert [replace(point, cached=True) for point in found] == list(report.points)
    assert all(point.cached for point in report.points)


def test_a_result_is_handed_out_before_the_others_are_there(batch: Batch, settings) -> None:
    batch.point(NODES[0])

    assert len(batch.known(NODES)) < len(NODES)
    batch.close()
    assert ResultStore(settings.results).size()[0] == len(batch.known(NODES))


def test_after_an_end_only_what_is_missing_is_computed(batch: Batch, settings) -> None:
    batch.settings = replace(settings, reuse=False)
    first = batch.point(NODES[0])
    batch.close()

    assert not batch.point(NODES[3]).cached
    assert batch.point(NODES[0]) is first


def test_only_what_is_selected_is_computed(batch: Batch, settings) -> None:
    batch.selected = lambda: {NODES[1]}
    batch.at_once = True

    batch.point(NODES[1])

    assert len(batch.known(NODES)) == 1
    assert ResultStore(settings.results).size()[0] == 1


def test_at_once_everything_is_there_with_the_first(batch: Batch, settings) -> None:
    batch.at_once = True

    batch.point(NODES[3])

    assert len(batch.known(NODES)) == len(NODES)
    with _alone(settings.results):  # nobody holds it any more
        pass


def test_what_is_wrong_is_told_to_everybody(batch: Batch, analysis: Path) -> None:
    (analysis / "background.json").unlink()
    for node in NODES:
        with pytest.raises(SpecError, match=r"small.toml:7: workspace.path: "):
            batch.point(node)


def test_a_point_that_is_gone_costs_the_others_nothing(batch: Batch, analysis: Path) -> None:
    (analysis / "patch.signal_200_1.json").unlink()
    with pytest.raises(SourceError, match="signal_200_1 is gone: its sources have changed"):
        batch.point(NODES[2])
    assert len([batch.point(node) for node in NODES if node != NODES[2]]) == 3


class Closed:
    """An endpoint that takes no work."""

    workers = 1
    habits = Habits()

    def open(self):
        raise EndpointError("closed for maintenance")


def test_where_an_endpoint_is_given_up_every_point_says_so(batch: Batch, monkeypatch) -> None:
    monkeypatch.setattr(session, "pool_of", lambda endpoint: Closed())
    for node in NODES:
        assert batch.point(node).outcome.error == "not computed: closed for maintenance"
    assert batch.news() == ["the endpoint is given up: closed for maintenance"]


def test_an_interrupted_run_interrupts_pytest(batch: Batch, monkeypatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fitspec.execute.runner.wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        batch.point(NODES[0])
    monkeypatch.undo()
    assert batch.known(NODES) == []


def test_warnings_are_told_once(batch: Batch, settings: Settings) -> None:
    settings.results.write_text("no folder")

    for node in NODES:
        batch.point(node)

    [warning] = batch.news()
    assert warning.startswith("the result store cannot be written: ")
    assert batch.news() == []


def test_one_at_a_time_is_alone(tmp_path: Path) -> None:
    entered = threading.Event()

    def enter() -> None:
        with _alone(tmp_path):
            entered.set()

    other = threading.Thread(target=enter)
    with _alone(tmp_path):
        other.start()
        assert not entered.wait(0.2)
    assert entered.wait(5)
    other.join()


def test_where_there_are_no_locks_work_is_done_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with _alone(tmp_path / "file"):
        pass
