"""Kinds of endpoints: the built-in ones, and plugins that are really installed."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from fitspec.config import load_config
from fitspec.errors import EndpointError, UsageError, WorkerLostError
from fitspec.execute.choose import named_endpoint
from fitspec.execute.endpoints import PluginPool, known_kinds, pool_of
from fitspec.execute.local import LocalPool, available_cores
from fitspec.execute.pool import Endpoint, Habits
from fitspec.worker import payload, run_chunk

PLUGIN = """\
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from fitspec.errors import EndpointError
from fitspec.execute.pool import Habits, explain


class Threads(ThreadPoolExecutor):
    made = []

    def __init__(self, endpoint):
        super().__init__(endpoint.options.get("threads", 1))
        self.is_shut_down = False
        Threads.made.append(self)

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.is_shut_down, self.waited = True, wait
        super().shutdown(wait=wait, cancel_futures=cancel_futures)


def threads(endpoint):
    return Threads(endpoint)


def nothing(endpoint):
    return 3


def refused(endpoint):
    raise ConnectionRefusedError("nobody\\nlistens")


def closed(endpoint):
    raise EndpointError("closed on Sundays", "come again")


class WholePool:
    habits = Habits(seconds=30.0, in_flight=None)

    def __init__(self, endpoint):
        self.workers = endpoint.options["nodes"] * 48

    @contextmanager
    def open(self):
        with ThreadPoolExecutor(1) as executor:
            yield executor

    def explain(self, error):
        return explain(error)


class HalfPool:
    workers = 1

    def __init__(self, endpoint):
        pass

    def open(self):
        raise AssertionError


number = 3
"""


@pytest.fixture
def install(tmp_path, monkeypatch) -> Callable[..., None]:
    """Puts a distribution with entry points on the path: ``install(lab="threads")``."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "lab_executors", raising=False)
    (site / "lab_executors.py").write_text(PLUGIN)

    def do(distribution: str = "lab", **kinds: str) -> None:
        info = site / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1\n")
        lines = [f"{kind} = lab_executors:{value}" for kind, value in kinds.items()]
        (info / "entry_points.txt").write_text("\n".join(["[fitspec.executors]", *lines, ""]))

    return do


def test_the_local_kind_has_as_many_workers_as_asked_or_as_there_are_cores():
    assert pool_of(Endpoint("local", "local", workers=3)) == LocalPool(3)
    assert pool_of(Endpoint("local", "local")) == LocalPool(available_cores())


def test_kinds_of_plugins_come_after_the_built_in_ones(install):
    built_in = known_kinds()
    install(lab="threads", attic="threads")

    assert known_kinds() == (*built_in, "attic", "lab")
    assert built_in[:2] == ("local", "globus-compute")


def test_a_plugin_makes_an_executor_whenever_one_is_needed(install):
    install(lab="threads")
    pool = pool_of(Endpoint("lab", "lab", workers=7, options={"threads": 2}))

    assert isinstance(pool, PluginPool)
    assert (pool.workers, pool.habits) == (7, Habits())
    for number in (1, 2):
        with pool.open() as executor:
            answer = executor.submit(run_chunk, payload(b"{}", [])).result()
            assert answer["outcomes"] == []
            assert executor._max_workers == 2
            assert not executor.is_shut_down
        assert executor.is_shut_down
        assert not executor.waited
        assert len(type(executor).made) == number


def test_of_a_plugin_without_a_number_of_workers_one_is_known(install):
    install(lab="threads")

    assert pool_of(Endpoint("lab", "lab")).workers == 1


def test_what_goes_wrong_on_a_plugin_is_work_lost(install):
    install(lab="threads")
    found = pool_of(Endpoint("lab", "lab")).explain(OSError("gone"))

    assert type(found) is WorkerLostError
    assert str(found) == "the answer was lost: OSError: gone"


def test_a_plugin_may_be_a_whole_pool(install):
    install(lab="WholePool")
    pool = pool_of(Endpoint("lab", "lab", options={"nodes": 2}))

    assert (pool.workers, pool.habits) == (96, Habits(seconds=30.0, in_flight=None))
    with pool.open() as executor:
        assert executor.submit(run_chunk, payload(b"{}", [])).result()["outcomes"] == []


def test_a_plugin_takes_no_built_in_kind(install):
    install(local="threads")

    assert known_kinds().count("local") == 1
    assert pool_of(Endpoint("local", "local", workers=1)) == LocalPool(1)


def test_an_unknown_kind_has_a_near_one(install):
    install(lab="threads")

    with pytest.raises(UsageError) as caught:
        pool_of(Endpoint("lob", "lob"))
    assert str(caught.value) == "'lob' is no kind of endpoint; did you mean 'lab'?"
    with pytest.raises(UsageError, match="did you mean 'funcx'"):
        pool_of(Endpoint("funkx", "funkx"))


def test_an_unknown_kind_is_told_where_the_user_wrote_it(install, tmp_path, monkeypatch):
    install(lab="threads")
    (tmp_path / "config.toml").write_text("[endpoints.desk]\nworkers = 2\nkind = 'lob'\n")
    monkeypatch.setenv("FITSPEC_CONFIG", str(tmp_path / "config.toml"))

    with pytest.raises(UsageError) as caught:
        pool_of(named_endpoint("desk", load_config(), ""))

    problem = "endpoints.desk.kind: 'lob' is no kind of endpoint; did you mean 'lab'?"
    assert str(caught.value) == f"{tmp_path / 'config.toml'}:3: {problem}"


def test_without_a_near_one_all_kinds_are_listed():
    with pytest.raises(UsageError) as caught:
        pool_of(Endpoint("zzz", "zzz"))
    remedy = f"one of {', '.join(known_kinds())}, or install its plugin"
    assert str(caught.value) == f"'zzz' is no kind of endpoint; {remedy}"


UNUSABLE = {
    "nothing there": ("absent", "does not work: AttributeError: "),
    "settings it does not find": ("WholePool", "does not work: KeyError: 'nodes'"),
    "half a pool": ("HalfPool", "is no pool: it has no habits, explain"),
    "no function": ("number", "makes nothing: it is int"),
}


@pytest.mark.parametrize(("value", "problem"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_plugin_that_does_not_work_is_named(install, value, problem):
    install(lab=value)

    with pytest.raises(UsageError) as caught:
        pool_of(Endpoint("lab", "lab"))
    assert str(caught.value).startswith(f"plugin 'lab' (lab_executors:{value}) {problem}")
    assert "\n" not in str(caught.value)


def test_a_plugin_that_fails_on_import_is_named(install, tmp_path):
    install(lab="threads")
    (tmp_path / "site" / "lab_executors.py").write_text("import no_such_module\n")

    with pytest.raises(UsageError) as caught:
        pool_of(Endpoint("lab", "lab"))
    message = "does not work: ModuleNotFoundError: No module named 'no_such_module'; correct it"
    assert str(caught.value) == f"plugin 'lab' (lab_executors:threads) {message}"


def test_a_plugin_that_makes_no_executor_is_named(install):
    install(lab="nothing", pub="refused", shop="closed")

    with (
        pytest.raises(UsageError, match=r"^plugin 'lab' .* makes no executor, but int"),
        pool_of(Endpoint("lab", "lab")).open(),
    ):
        pass
    with pytest.raises(EndpointError) as caught, pool_of(Endpoint("pub", "pub")).open():
        pass
    problem = "ConnectionRefusedError: nobody listens"
    assert str(caught.value) == f"plugin 'pub' (lab_executors:refused): {problem}"
    with pytest.raises(EndpointError, match=r"^closed on Sundays; come again$"):
        pool_of(Endpoint("shop", "shop")).open().__enter__()


def test_two_plugins_of_one_kind_are_one_too_many(install):
    install(lab="threads")
    install(distribution="other", lab="WholePool")

    with pytest.raises(UsageError) as caught:
        pool_of(Endpoint("lab", "lab"))
    values = "lab_executors:WholePool and lab_executors:threads"
    assert str(caught.value) == (
        f"several plugins are called 'lab': {values}; uninstall all but one"
    )
