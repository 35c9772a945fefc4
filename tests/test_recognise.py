"""Which TOML files are specifications."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitspec.recognise import is_spec

FILES = {
    "a specification": ("fitspec = 1\n", True),
    "a key in quotes": ('# first\n"fitspec" = 1\n', True),
    "another version": ("fitspec = 2\n", True),
    "what may want to be one": ("fitspec = 1\nfoo = [\n", True),
    "a key further down": ("[project.scripts]\nfitspec = 'fitspec.__main__:main'\n", False),
    "a table of that name": ("[tool.fitspec]\nmirror = 'data'\n", False),
    "something else": ("[tool.pytest]\n", False),
    "no TOML": ("[[[", False),
    "nothing": ("", False),
}


@pytest.mark.parametrize("case", FILES)
def test_a_specification_has_the_key_at_the_top(tmp_path: Path, case: str) -> None:
    text, expected = FILES[case]
    path = tmp_path / "some.toml"
    path.write_text(text)
    assert is_spec(path) is expected


def test_what_is_no_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    assert not is_spec(tmp_path / "folder.toml")
    assert not is_spec(tmp_path / "absent.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    assert not is_spec(tmp_path / "bytes.toml")
