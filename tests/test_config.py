"""The user's settings: file, environment, precedence, and errors that name the file."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from fitspec.config import Config, cache_folder, load_config
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


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ("wrokers = 2", "wrokers", "Extra inputs are not permitted; known keys: mirror, cache"),
        ("workers = 0", "workers", "greater than or equal to 1"),
        ('workers = "many"', "workers", ""),
        ("workers = true", "workers", ""),
        ("mirror = 1", "mirror", ""),
        ("[endpoint]", "endpoint", "Extra inputs are not permitted"),
    ],
    ids=["unknown key", "no worker", "no number", "boolean", "no path", "unknown table"],
)
def test_a_key_or_value_that_is_not_understood_is_one_line(named_file, text, key, problem):
    named_file.write_text(text)

    with pytest.raises(UsageError) as caught:
        load_config()

    assert str(caught.value).startswith(f"{named_file}: {key}")
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE_ERROR


@pytest.mark.parametrize(
    "content", [b"workers = \n", b"\xff\xfe", b"[[[\n"], ids=["cut short", "no text", "no TOML"]
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
