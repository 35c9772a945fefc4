"""Files appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fitspec.files import write_file


@contextlib.contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file of this process may grow beyond."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_file_gets_new_content_and_keeps_its_mode(tmp_path):
    path = tmp_path / "results.json"
    path.write_text("old")
    path.chmod(0o640)

    write_file(path, b"new")

    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_a_new_file_has_the_mode_that_the_user_wants(tmp_path):
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "new", b"content")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_a_refused_file_leaves_the_old_one(tmp_path):
    path = tmp_path / "spec.toml"
    path.write_text("old")
    seen = []

    def refuse(temporary: Path) -> None:
        seen.append(temporary.read_bytes())
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write_file(path, b"new", refuse)

    assert seen == [b"new"]
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["spec.toml"]


def test_a_full_disk_leaves_the_old_file_and_is_told_with_its_name(tmp_path):
    path = tmp_path / "results.json"
    path.write_text("old")

    with files_up_to(1000), pytest.raises(OSError, match="File too large") as raised:
        write_file(path, b"x" * 5000)

    assert raised.value.filename == str(path)
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_a_link_stays_one(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")

    write_file(tmp_path / "link", b"new")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_what_is_no_regular_file_is_written_as_it_is(capfdbinary):
    write_file(Path("/dev/stdout"), b"content")

    assert capfdbinary.readouterr().out == b"content"
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    write_file(Path("/dev/null"), b"content")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_output_goes_on_where_the_output_is(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    script = (
        "from pathlib import Path; from fitspec.files import write_file; print('said');"
        "write_file(Path('/dev/stdout'), b'content\\n'); print('more')"
    )
    with log.open("ab") as output:
        subprocess.run([sys.executable, "-c", script], stdout=output, check=True)

    assert log.read_text() == "before\nsaid\ncontent\nmore\n"


@pytest.fixture
def mounted(tmp_path) -> Iterator[Path]:
    """A file that another one is mounted over, as containers do."""
    path, other = tmp_path / "results.json", tmp_path / "other"
    path.touch()
    other.write_text("old")
    mount = ["mount", "--bind", str(other), str(path)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a file")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_what_may_be_changed_but_not_replaced_is_changed(mounted):
    write_file(mounted, b"new")

    assert mounted.read_bytes() == b"new"
    assert sorted(path.name for path in mounted.parent.iterdir()) == ["other", "results.json"]


def test_what_may_not_be_written_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    path.write_text("old")
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda p, how: Path(p) != path and allowed(p, how))

    with pytest.raises(PermissionError) as raised:
        write_file(path, b"new")

    assert raised.value.filename == str(path)
    assert path.read_text() == "old"
