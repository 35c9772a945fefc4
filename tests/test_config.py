"""The user's settings: file, environment, precedence, and errors that name the file."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from fitspec.config import Config, NamedEndpoint, cache_folder, config_path, load_config
from fitspec.errors import ExitCode, UsageError


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    monkeypatch.delenv("FITSPEC_CACHE", raising=False)
    monkeypatch.delenv("FITSPEC_MIRROR", raising=False)


@pytest.fixture
def user_file() -> Path:
    """Where the user's configuration is looked for."""
    path = platformdirs.user_config_path("fitspec") / "config.toml"
    path.parent.mkdir(parents=True)
    return path


@pytest.fixture
def named_file(tmp_path, monkeypatch) -> Path:
    """A configuration that FITSPEC_CONFIG names."""
    path = tmp_path / "mine.toml"
    monkeypatch.setenv("FITSPEC_CONFIG", str(path))
    return path


def test_without_a_file_everything_is_default():
    config = load_config()

    assert config == Config()
    assert (config.mirror, config.cache, config.workers) == (None, None, "auto")
    assert cache_folder(config) == platformdirs.user_cache_path("fitspec")


def test_the_users_file_is_read(user_file):
    user_file.write_text('mirror = "/data"\ncache = "/scratch"\nworkers = 3\n')

    config = load_config()

    assert (config.mirror, config.cache, config.workers) == (Path("/data"), Path("/scratch"), 3)
    assert cache_folder(config) == Path("/scratch")


def test_a_named_file_stands_instead_of_the_users(user_file, named_file):
    user_file.write_text("workers = 3\n")
    named_file.write_text('mirror = "/data"\n')

    assert load_config() == Config(mirror=Path("/data"))


@pytest.mark.parametrize("key", ["mirror", "cache"])
def test_the_environment_overrides_the_file(named_file, monkeypatch, key):
    named_file.write_text(f'{key} = "/of-the-file"\n')
    monkeypatch.setenv(f"FITSPEC_{key.upper()}", "/of-the-environment")

    assert getattr(load_config(), key) == Path("/of-the-environment")


@pytest.mark.parametrize("name", ["FITSPEC_MIRROR", "FITSPEC_CACHE", "FITSPEC_CONFIG"])
def test_an_empty_variable_is_as_good_as_none(monkeypatch, name):
    monkeypatch.setenv(name, "")

    assert load_config() == Config()


@pytest.mark.parametrize("workers", ['"auto"', "1", "64"])
def test_workers_are_a_number_or_auto(named_file, workers):
    named_file.write_text(f"workers = {workers}\n")

    assert str(load_config().workers) == workers.strip('"')


WRONG = {
    "an unknown key": ("wrokers = 2", "1: wrokers: unknown key; did you mean 'workers'?"),
    "an unknown key with no good one near": (
        "\nzzz = 2",
        "2: zzz: unknown key; known keys: cache, endpoint, endpoints, mirror, workers",
    ),
    "no worker": (
        "workers = 0",
        "1: workers: input should be greater than or equal to 1, found 0",
    ),
    "no number": ('workers = "many"', "1: workers: 'many' is not allowed; one of auto"),
    "a boolean": ("workers = true", "1: workers: True is not allowed; one of auto"),
    "no path": ("mirror = 1", "1: mirror: input should be a path, found 1"),
    "an empty path": ('cache = ""', "1: cache: input should be a path, found ''"),
    "a table for a name": ("[endpoint]", "1: endpoint: input should be a valid string, found {}"),
    "text that would garble the terminal": (
        'endpoint = "a\\u001b[31mb"',
        "1: endpoint: holds a control character; write plain text",
    ),
    "an unknown key of an endpoint": (
        '[endpoints.river]\nkind = "dask"\nadress = "tcp://10.0.0.1:8786"',
        "3: endpoints.river.adress: unknown key; did you mean 'address'?",
    ),
    "an endpoint without a kind": (
        "[endpoints.river]\nworkers = 3",
        "1: endpoints.river.kind: required key is missing",
    ),
    "an endpoint without a name": (
        '[endpoints.""]\nkind = "dask"',
        "1: endpoints.'': may not be empty",
    ),
    "a key of another kind": (
        '[endpoints.river]\nkind = "dask"\nconfig = "cluster.py"',
        '1: endpoints.river: config belongs to kind = "parsl"; this is "dask"',
    ),
    "options of a built-in kind": (
        '[endpoints.river]\nkind = "dask"\noptions = { threads = 2 }',
        '1: endpoints.river: options are for the kinds of plugins; this is "dask"',
    ),
    "a port that there cannot be": (
        '[endpoints.river]\nkind = "dask"\naddress = "tcp://10.0.0.1:87860"',
        "1: endpoints.river: address 'tcp://10.0.0.1:87860' cannot be: Port out of range 0-65535",
    ),
    "a Globus endpoint that could be any": (
        '[endpoints.river]\nkind = "funcx"',
        '1: endpoints.river: kind = "globus-compute" needs id; it is the UUID of the endpoint',
    ),
    "no UUID": (
        '[endpoints.river]\nkind = "funcx"\nid = "river"',
        "3: endpoints.river.id: 'river' is no UUID",
    ),
    "no time at all": (
        '[endpoints.river]\nkind = "local"\ndeadline = 0',
        "3: endpoints.river.deadline: input should be greater than 0, found 0",
    ),
    "longer than anybody's patience": (
        '[endpoints.river]\nkind = "local"\ndeadline = 1e9',
        "3: endpoints.river.deadline: input should be less than or equal to 100000000, found 1000",
    ),
    "an endless time": (
        '[endpoints.river]\nkind = "local"\nqueue = inf',
        "3: endpoints.river.queue: input should be a finite number, found inf",
    ),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_a_key_or_value_that_is_not_understood_is_one_line(named_file, text, message):
    named_file.write_text(text)

    with pytest.raises(UsageError) as caught:
        load_config()

    assert str(caught.value).startswith(f"{named_file}:{message}")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE_ERROR


@pytest.mark.parametrize(
    "content",
    [b"workers = \n", b"\xff\xfe", b"[[[\n", b"workers = " + 5000 * b"9"],
    ids=["cut short", "no text", "no TOML", "no number"],
)
def test_a_file_that_is_not_toml_is_named(named_file, content):
    named_file.write_bytes(content)

    with pytest.raises(UsageError) as caught:
        load_config()

    assert str(caught.value).startswith(f"{named_file}: ")
    assert str(caught.value).endswith("; correct or remove it")
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_file(named_file):
    named_file.mkdir()

    with pytest.raises(UsageError, match=r"mine.toml: .*directory"):
        load_config()


def test_a_named_file_that_does_not_exist_is_an_error(named_file):
    with pytest.raises(UsageError) as caught:
        load_config()

    expected = f"FITSPEC_CONFIG names {named_file}, which does not exist; correct it"
    assert str(caught.value) == expected


def test_folders_are_relative_to_the_file_and_know_the_home(named_file, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("FITSPEC_CACHE", raising=False)
    named_file.write_text('cache = "here"\nmirror = "~/likelihoods"\n')

    config = load_config()

    assert config.cache == named_file.parent / "here"
    assert config.mirror == Path("/home/someone/likelihoods")


def test_endpoints_by_name(named_file):
    named_file.write_text("""\
endpoint = "river"

[endpoints.river]
kind = "funcx"
id = "4b116d3c-1703-4f8f-9f6f-39921e5864df"
workers = 64
deadline = 600
queue = 3600

[endpoints.cluster]
kind = "parsl"
config = "cluster.py"

[endpoints.lab]
kind = "of-a-plugin"
address = "lab.example.org"
options = { partition = "short", nodes = [1, 2] }
""")

    config = load_config()

    assert config.endpoint == "river"
    river = config.endpoints["river"]
    assert (river.kind, str(river.id)) == ("globus-compute", "4b116d3c-1703-4f8f-9f6f-39921e5864df")
    assert (river.workers, river.deadline, river.queue) == (64, 600.0, 3600.0)
    cluster = config.endpoints["cluster"]
    assert cluster.config == named_file.parent / "cluster.py"
    assert (cluster.workers, cluster.deadline, cluster.queue) == ("auto", None, None)
    lab = config.endpoints["lab"]
    assert (lab.kind, lab.address) == ("of-a-plugin", "lab.example.org")
    assert lab.options == {"partition": "short", "nodes": [1, 2]}


def test_the_path_is_known_before_there_is_a_file(named_file):
    assert config_path() == named_file


def test_the_manuals_example_is_understood(named_file):
    manual = (Path(__file__).resolve().parents[1] / "docs" / "cli.md").read_text()
    example = manual.partition("## Configuration")[2].partition("```toml\n")[2].partition("```")[0]
    named_file.write_text(example)

    config = load_config()

    assert config.endpoint == "river"
    assert list(config.endpoints) == ["river", "cluster"]


def test_the_manual_has_every_key_of_an_endpoint():
    manual = (Path(__file__).resolve().parents[1] / "docs" / "cli.md").read_text()
    table = manual.partition("### Endpoints")[2]

    for key in NamedEndpoint.model_fields:
        assert f"| `{key}` |" in table
