"""Lock files: written the same every time, read back, and refused where they are none."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from fitspec.collect import collect
from fitspec.errors import UsageError
from fitspec.lock import Lock, lock_of, lock_path, lock_text, read_lock
from fitspec.plan import make_plan
from fitspec.sources import Access
from fitspec.spec import load_spec


@pytest.fixture
def lock(analysis: Path, tmp_path: Path) -> Lock:
    """Of the small analysis."""
    return _lock(analysis, tmp_path)


def _lock(analysis: Path, cache: Path) -> Lock:
    spec, access = load_spec(analysis / "small.toml", "small.toml"), Access(cache)
    return lock_of(spec, make_plan(collect([spec], access)), access)


def test_a_lock_comes_back_as_it_was(lock: Lock, tmp_path: Path) -> None:
    path = tmp_path / "small.toml.lock"
    path.write_text(lock_text(lock))

    assert read_lock(path, "small.toml") == lock


def test_names_that_need_quotes_come_back(lock: Lock, tmp_path: Path) -> None:
    workspace = lock.workspace[0]
    patches = {'discovery_SR "low"[0]': workspace.digest, "é.1": workspace.digest}
    other = workspace.model_copy(update={"patches": patches, "case": {"a,b": 1}})
    odd = lock.model_copy(update={"workspace": (other,)})
    path = tmp_path / "small.toml.lock"
    path.write_text(lock_text(odd))

    assert read_lock(path, "small.toml") == odd


def test_the_same_state_is_the_same_text(lock: Lock, analysis: Path, tmp_path: Path) -> None:
    text = lock_text(lock)

    assert lock_text(_lock(analysis, tmp_path)) == text
    assert text.startswith("# Written by `fitspec lock`: what the numbers of small.toml depend on.")
    assert text.endswith('"\n')
    assert list(tomllib.loads(text)) == [
        "lock", "spec", "environment", "settings", "archive", "workspace"
    ]  # fmt: skip


def test_it_stands_beside_its_specification(analysis: Path) -> None:
    spec = load_spec(analysis / "small.toml")

    assert lock_path(spec) == analysis.resolve() / "small.toml.lock"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lock = 1", "lock = 2", r"lock:3: lock: 2 is not allowed"),
        ("[spec]", "[spec]\nnom = 1", r"lock:\d+: spec.nom: unknown key"),
        ("[spec]", "[spec", r"lock: not valid TOML: "),
        ('sha256 = "', 'sha256 = "x', r"lock:\d+: spec.sha256: 'x.* is no digest"),
    ],
)
def test_a_file_that_is_no_lock_is_named_with_its_line(
    old: str, new: str, message: str, lock: Lock, tmp_path: Path
) -> None:
    path = tmp_path / "small.toml.lock"
    path.write_text(lock_text(lock).replace(old, new, 1))

    with pytest.raises(UsageError, match=message) as caught:
        read_lock(path, "small.toml")
    assert caught.value.remedy == "write it with `fitspec lock small.toml`"


def test_an_absent_lock_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_lock(tmp_path / "small.toml.lock", "a/small.toml")
    assert str(caught.value) == (
        "a/small.toml is not locked: there is no small.toml.lock; "
        "write it with `fitspec lock a/small.toml`"
    )
