"""Where a run goes, by command line, specifications and configuration; whom specs may name."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from fitspec.config import Config, config_path, load_config
from fitspec.errors import SpecError, UsageError
from fitspec.execute import choose as choose_module
from fitspec.execute.choose import choose_endpoint, default_endpoint, named_endpoint
from fitspec.execute.endpoints import known_kinds
from fitspec.execute.pool import Endpoint
from fitspec.spec import SpecFile, load_spec

UUID = "4b116d3c-1703-4f8f-9f6f-39921e5864df"
OTHER = "00000000-1703-4f8f-9f6f-39921e5864df"
TCP = "tcp://10.0.0.1:8786"

CONFIG = f"""\
workers = 6

[endpoints.river]
kind = "globus-compute"
id = "{UUID}"
workers = 64
queue = 3600

[endpoints.cluster]
kind = "parsl"
config = "cluster.py"
deadline = 900

[endpoints.scheduler]
kind = "dask"
address = "{TCP}"

[endpoints.desk]
kind = "local"
"""

RIVER = Endpoint("globus-compute", "river", workers=64, id=UUID, queue=3600.0)
SCHEDULER = Endpoint("dask", "scheduler", address=TCP)


@pytest.fixture
def config(tmp_path, monkeypatch) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    monkeypatch.setenv("FITSPEC_CONFIG", str(path))
    return load_config()


@pytest.fixture
def spec(tmp_path):
    """Makes a specification with a line of endpoint settings."""

    def make(endpoint: str = "", name: str = "small.toml") -> SpecFile:
        path = tmp_path / name
        path.write_text(
            "fitspec = 1\nanalysis.name = 'small'\nworkspace.path = 'background.json'\n"
            + (f"endpoint = {{ {endpoint} }}\n" if endpoint else "")
        )
        return load_spec(path, name)

    return make


def choose(specs: list[SpecFile], config: Config, asked=None, workers=None) -> Endpoint:
    return choose_endpoint(specs, config, asked, workers)


def test_without_a_word_the_fits_run_here(spec):
    assert choose([spec()], Config()) == Endpoint("local", "local")


def test_here_the_configured_number_of_workers_holds(spec, config):
    assert choose([spec()], config) == Endpoint("local", "local", workers=6)
    assert choose([spec()], config, "desk") == Endpoint("local", "desk", workers=6)
    assert choose([spec()], config, "cluster").workers is None


def test_a_name_on_the_command_line(spec, config):
    assert choose([spec()], config, "river") == RIVER
    assert choose([spec("kind = 'local'")], config, "river") == RIVER
    assert choose([spec()], config, "scheduler") == SCHEDULER
    cluster = choose([spec("name = 'nowhere'")], config, "cluster")
    assert cluster.config == config_path().parent / "cluster.py"
    assert (cluster.kind, cluster.name, cluster.deadline) == ("parsl", "cluster", 900.0)


@pytest.mark.parametrize("kind", ["local", "parsl", "dask", "mpi"])
def test_a_kind_on_the_command_line(spec, kind):
    assert choose([spec("name = 'river'")], Config(), kind) == Endpoint(kind, kind)


def test_a_kind_on_the_command_line_keeps_what_the_specification_says_of_it(spec, config):
    globus = spec(f"kind = 'funcx', id = '{OTHER}', workers = 9")

    for asked in ("funcx", "globus-compute"):
        chosen = choose([globus, spec("", "other.toml")], config, asked)
        assert chosen == Endpoint("globus-compute", "globus-compute", workers=9, id=OTHER)


def test_a_name_wins_over_a_kind(spec):
    mine = Config.model_validate({"endpoints": {"dask": {"kind": "local"}}})

    assert choose([spec()], mine, "dask") == Endpoint("local", "dask")
    assert choose([spec("kind = 'dask'")], mine) == Endpoint("dask", "dask")
    assert choose([spec("kind = 'dask'")], mine, "dask") == Endpoint("local", "dask")


def test_a_name_in_the_specification(spec, config):
    assert choose([spec("name = 'river'"), spec("", "other.toml")], config) == RIVER


@pytest.mark.parametrize("kind", ["local", "parsl", "dask", "mpi"])
def test_a_kind_in_the_specification(spec, kind):
    assert choose([spec(f"kind = '{kind}'")], Config()) == Endpoint(kind, kind)


def test_a_globus_endpoint_may_come_from_a_specification(spec, config):
    globus = spec(f"kind = 'funcx', id = '{OTHER}'")

    assert choose([globus], config) == Endpoint("globus-compute", "globus-compute", id=OTHER)


def test_an_endpoint_that_is_the_users_own_is_served_as_the_user_says(spec, config):
    assert choose([spec(f"kind = 'funcx', id = '{UUID}'")], config) == RIVER
    assert choose([spec(f"kind = 'dask', address = '{TCP}'")], config) == SCHEDULER


def test_a_scheduler_of_a_specification_must_be_one_of_the_users(spec, config, tmp_path):
    address = 'tcp://evil.example.org:1/"é'
    hostile = spec(f"kind = 'dask', address = '{address}'")

    with pytest.raises(SpecError, match="is none of your endpoints"):
        choose([hostile], config, "dask")
    with pytest.raises(SpecError) as caught:
        choose([hostile], config)

    assert (caught.value.line, caught.value.key) == (4, "endpoint.address")
    assert "could run any code here" in caught.value.problem
    place, line = caught.value.remedy.split(": ", 1)
    assert place == f"if you trust it, put at the top of {config_path()}"
    config_path().write_text(f"{line}\n{CONFIG}")
    trusting = load_config()
    assert choose([hostile], trusting) == Endpoint("dask", "NAME", address=address)
    assert {**trusting.endpoints, **config.endpoints} == trusting.endpoints


def test_a_plugins_place_must_be_one_of_the_users(spec, config, monkeypatch):
    monkeypatch.setattr("fitspec.execute.choose.known_kinds", lambda: ("local", "lab"))

    with pytest.raises(SpecError, match=f"endpoint.id: '{UUID}' is none of your endpoints"):
        choose([spec(f"kind = 'lab', id = '{UUID}'")], config)
    assert choose([spec("kind = 'lab'")], config) == Endpoint("lab", "lab")


def test_the_configured_endpoint_comes_last(spec, config):
    mine = config.model_copy(update={"endpoint": "river"})

    assert default_endpoint(mine) == RIVER
    assert choose([spec()], mine) == RIVER
    assert choose([spec("kind = 'local'")], mine).kind == "local"
    assert choose([spec("name = 'scheduler'")], mine) == SCHEDULER
    assert choose([spec()], mine, "local").kind == "local"
    assert default_endpoint(config.model_copy(update={"endpoint": "dask"})).kind == "dask"


@pytest.mark.parametrize(
    ("asked", "specification", "name", "expected"),
    [
        (3, "name = 'river', workers = 4", None, 3),
        (None, "name = 'river', workers = 4", None, 4),
        (None, "name = 'river', workers = 'auto'", None, 64),
        (None, f"kind = 'funcx', id = '{UUID}', workers = 4", None, 4),
        (None, "workers = 4", "river", 4),
        (None, "name = 'cluster', workers = 500", "local", 6),
        (None, "name = 'cluster', workers = 500", "river", 64),
        (None, "kind = 'parsl', workers = 4", "cluster", None),
        (5, "name = 'cluster', workers = 500", "local", 5),
        (None, "kind = 'dask'", None, None),
    ],
)
def test_the_number_of_workers(spec, config, asked, specification, name, expected):
    assert choose([spec(specification)], config, name, asked).workers == expected


def test_deadline_and_queue_of_the_specification_come_first(spec, config):
    both = spec("name = 'river', deadline = 60, queue = 7")

    assert (choose([both], config).deadline, choose([both], config).queue) == (60.0, 7.0)
    here = choose([both], config, "local")
    assert (here.deadline, here.queue) == (60.0, 0.0)
    assert choose([spec()], config, "cluster").deadline == 900.0
    assert choose([spec("queue = 0")], config, "river").queue == 0.0


def test_of_several_specifications_the_largest_numbers_hold(spec, config, monkeypatch):
    monkeypatch.setattr(choose_module, "available_cores", lambda: 8)
    specs = [
        spec(f"workers = {n}, deadline = {10 * n}, queue = {n}", f"{n}.toml") for n in (2, 5, 3)
    ]

    chosen = choose(specs, config)

    assert (chosen.workers, chosen.deadline, chosen.queue) == (5, 50.0, 5.0)


@pytest.mark.parametrize("kind", ["local", "dask", "parsl"])
def test_a_specification_starts_no_more_processes_here_than_there_are_cores(
    spec, config, monkeypatch, kind
):
    monkeypatch.setattr(choose_module, "available_cores", lambda: 8)
    greedy = [spec(f"kind = '{kind}', workers = 100000")]

    assert choose(greedy, config).workers == 8
    assert choose(greedy, config, workers=100).workers == 100


def test_specifications_that_differ_are_named(spec, config):
    specs = [
        spec("", "any.toml"),
        spec("name = 'river'", "one.toml"),
        spec(f"kind = 'funcx', id = '{OTHER}'", "two.toml"),
    ]

    with pytest.raises(UsageError) as caught:
        choose(specs, config)

    assert str(caught.value) == (
        f"one.toml is for river (globus-compute) at {UUID}, "
        f"and two.toml is for globus-compute at {OTHER}; "
        "choose one for all with --endpoint NAME, or run them one by one"
    )
    assert choose(specs, config, "desk").name == "desk"


UNKNOWN = {
    "a name near another": (
        "name = 'rivr'", "endpoint.name: you have no endpoint 'rivr'; did you mean 'river'?",
    ),
    "a name": (
        "name = 'elsewhere'",
        "endpoint.name: you have no endpoint 'elsewhere'; describe it in CONFIG, or run it here "
        "with --endpoint local",
    ),
    "a kind near another": (
        "kind = 'daks'", "endpoint.kind: 'daks' is no kind of endpoint; did you mean 'dask'?",
    ),
    "a kind": (
        "kind = 'zzz'", "endpoint.kind: 'zzz' is no kind of endpoint; one of local, globus-compute",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("endpoint", "message"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_a_specification_wants_in_vain_is_told_at_its_key(spec, config, endpoint, message):
    with pytest.raises(SpecError) as caught:
        choose([spec(endpoint)], config)

    message = message.replace("CONFIG", str(config_path()))
    assert str(caught.value).startswith(f"small.toml:4: {message}")


def test_what_the_command_line_wants_in_vain(spec, config):
    with pytest.raises(UsageError) as caught:
        choose([spec()], config, "rivr")
    message = "--endpoint rivr: no endpoint has this name; did you mean 'river'?"
    assert str(caught.value) == message

    with pytest.raises(UsageError) as caught:
        choose([spec()], config, "elsewhere")
    names = ", ".join(("river", "cluster", "scheduler", "desk", *known_kinds()))
    message = f"--endpoint elsewhere: no endpoint has this name; there are {names}"
    assert str(caught.value).startswith(message)


def test_the_globus_kind_alone_says_not_where(spec):
    with pytest.raises(UsageError) as caught:
        choose([spec()], Config(), "funcx")

    assert str(caught.value).startswith("--endpoint funcx: needs the id of an endpoint; ")
    line = str(caught.value).rpartition(": ")[2]
    assert tomllib.loads(line)["endpoints"]["NAME"] == {"kind": "globus-compute", "id": "UUID"}


def test_a_configured_default_that_there_is_not_is_told_where_it_stands(spec, config):
    with pytest.raises(UsageError) as caught:
        default_endpoint(config.model_copy(update={"endpoint": "rivr"}))

    start = f"{config_path()}: endpoint: rivr: no endpoint has this name; did you mean 'river'?"
    assert str(caught.value) == start


def test_options_go_to_the_plugin():
    settings = {"kind": "slots", "options": {"certificate": "mine.pem"}}
    config = Config.model_validate({"endpoints": {"lab": settings}})

    assert named_endpoint("lab", config, "") == Endpoint(
        "slots", "lab", options={"certificate": "mine.pem"}
    )


def test_an_endpoint_has_a_title_and_a_place():
    assert (Endpoint("local", "local").title, Endpoint("local", "local").place) == ("local", "")
    assert (RIVER.title, RIVER.place) == ("river (globus-compute)", UUID)
    assert SCHEDULER.place == TCP
    assert Endpoint("parsl", "x", config=Path("/a/b.py")).place == "/a/b.py"
    assert named_endpoint("mpi", Config(), "") == Endpoint("mpi", "mpi")
