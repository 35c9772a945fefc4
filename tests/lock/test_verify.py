"""Whatever differs from a lock is refused by name, and nothing else."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fitspec.cli import run_command_line
from fitspec.errors import LockError, UsageError
from fitspec.session import Settings, run


@pytest.fixture
def folder(analysis: Path) -> Path:
    """The small analysis, in an archive and with a table, locked."""
    with tarfile.open(analysis / "small.tar", "w") as tar:
        for path in sorted(analysis.glob("*.json")):
            tar.add(path, path.name)
    (analysis / "published.csv").write_text("mass,width,CLs_obs\n100,1,0.5\n")
    text = (analysis / "small.toml").read_text()
    text = text.replace("[patches]", 'archive = "small.tar"\n[patches]')
    (analysis / "small.toml").write_text(f'{text}[[expect]]\ntable = "published.csv"\nrtol = 1.0\n')
    assert run_command_line(["lock", "small.toml"]) == 0
    return analysis


def refused(level: str = "all", keywords: str = "", **changes) -> str:
    """What a locked run says."""
    settings = replace(
        Settings.from_config(), locked=level, keywords=keywords, workers=1, **changes
    )
    with pytest.raises(LockError) as caught:
        run(["small.toml"], settings)
    assert caught.value.remedy == "restore it, or accept it with `fitspec lock small.toml`"
    return caught.value.problem


def passes(level: str = "all", keywords: str = "") -> None:
    settings = replace(Settings.from_config(), locked=level, keywords=keywords, workers=1)
    assert run(["small.toml"], settings).points


def repack(folder: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    with tarfile.open(folder / "small.tar", "w") as tar:
        for path in sorted(folder.glob("*.json")):
            content = change(path.name, path.read_bytes())
            if content is not None:
                path.write_bytes(content)
                tar.add(path, path.name)


@pytest.mark.usefixtures("folder")
def test_what_is_as_it_was_locked_runs() -> None:
    passes()
    passes("inputs", "mass=100")


def test_a_changed_patch_is_named(folder: Path) -> None:
    def change(name: str, content: bytes) -> bytes:
        return content.replace(b"8.0", b"8.5") if name == "patch.signal_100_2.json" else content

    repack(folder, change)
    patch = folder / "patch.signal_100_2.json"
    assert b"8.5" in patch.read_bytes()

    lines = refused().splitlines()

    assert [line.split(" is ")[0] for line in lines] == [
        "small.toml: archive small.tar", "small.toml: patch signal_100_2"
    ]  # fmt: skip
    assert all(", locked sha256" in line for line in lines)


def test_a_changed_workspace_is_named(folder: Path) -> None:
    def change(name: str, content: bytes) -> bytes:
        return content.replace(b"204.0", b"205.0") if name == "background.json" else content

    repack(folder, change)

    assert "small.toml: workspace background.json is sha256:" in refused("inputs")


def test_a_repacked_archive_is_another_archive(folder: Path) -> None:
    repack(folder, lambda name, content: json.dumps(json.loads(content), indent=1).encode())

    [line] = refused().splitlines()

    assert line.startswith("small.toml: archive small.tar is sha256 ")


def test_a_patch_that_went_counts_unless_a_selection_leaves_it_out(folder: Path) -> None:
    lock = folder / "small.toml.lock"
    text = lock.read_text()
    digest = text.split("signal_100_1 = ")[1].split("\n")[0]
    lock.write_text(f"{text}signal_300_1 = {digest}\n")

    assert refused() == "small.toml: patch signal_300_1 is gone"
    passes(keywords="mass=100")
    lock.write_text(text.replace("signal_100_1 =", "signal_300_1 ="))
    assert refused(keywords="mass=100") == "small.toml: patch signal_100_1 was not there"


def test_a_changed_table_is_named(folder: Path) -> None:
    (folder / "published.csv").write_text("mass,width,CLs_obs\n100,1,0.6\n")

    assert refused("inputs").startswith("small.toml: table published.csv is sha256 ")


def test_a_changed_specification_and_its_settings_are_named(folder: Path) -> None:
    path = folder / "small.toml"
    path.write_text(path.read_text().replace("[patches]", "[poi]\ntest = 2.0\n[patches]"))

    lines = refused("inputs").splitlines()

    assert [line.split(" is ")[0] for line in lines[:1]] == ["small.toml: spec small.toml"]
    assert lines[1:] == ["small.toml: settings poi.test was not there"]


@pytest.mark.usefixtures("folder")
def test_another_backend_on_the_command_line_is_another_setting() -> None:
    assert refused("inputs", backend="pyhf") == (
        "small.toml: settings backend.name is pyhf, locked native"
    )


@pytest.mark.usefixtures("folder")
def test_another_environment_is_refused_unless_only_inputs_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "vax")

    assert refused().startswith("small.toml: environment machine is vax, locked ")
    passes("inputs")


def test_without_a_lock_there_is_no_locked_run(folder: Path) -> None:
    (folder / "small.toml.lock").unlink()

    with pytest.raises(UsageError, match=r"small\.toml is not locked"):
        run(["small.toml"], replace(Settings.from_config(), locked="inputs"))
