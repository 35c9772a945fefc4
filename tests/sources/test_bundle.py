"""Bundles are verified before anything of them is used; hostile ones are refused whole."""

from __future__ import annotations

import io
import json
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crates import METADATA, SPEC, metadata, packed

from fitspec.errors import ArchiveError, DigestError, FitspecError, SourceError
from fitspec.sources import Access, bundle, resolve
from fitspec.sources.archive import Limits
from fitspec.sources.bundle import unpack

FILES = {
    SPEC: b"fitspec = 1\n",
    "specification/background.json": b"{}",
    "specification/patch 100%.json": b"[]",
    "results.json": b"{}",
}
URL = "https://archive.example/likelihoods.tar.gz"
MIRROR = "sources/mirror.toml"


def written(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_the_files_of_a_bundle_are_unpacked_by_its_digest(tmp_path: Path) -> None:
    path = packed(tmp_path / "paper.zip", FILES, metadata(FILES))

    folder, spec = unpack(path, tmp_path / "cache")

    assert spec == folder / SPEC
    assert {name: (folder / name).read_bytes() for name in written(folder)} == FILES
    moved = path.rename(tmp_path / "other.zip")
    assert unpack(moved, tmp_path / "cache") == (folder, spec)
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [folder.name]


@pytest.mark.parametrize("what", ["changed", "removed", "added"])
def test_a_cache_that_somebody_touched_is_written_anew(what: str, tmp_path: Path) -> None:
    path = packed(tmp_path / "paper.zip", FILES, metadata(FILES))
    folder, spec = unpack(path, tmp_path / "cache")
    if what == "removed":
        spec.unlink()
    else:
        (spec if what == "changed" else spec.with_name("patch.more.json")).write_text("other")

    assert unpack(path, tmp_path / "cache") == (folder, spec)

    assert {name: (folder / name).read_bytes() for name in written(folder)} == FILES


def without(described: Any, *names: str) -> Any:
    graph = [entity for entity in described["@graph"] if entity["@id"] not in names]
    return described | {"@graph": graph}


def with_root(**properties: Any) -> Any:
    described = metadata(FILES)
    described["@graph"][1] |= properties
    return described


NO_BUNDLE = "paper.zip is no bundle: "
HOSTILE: dict[str, tuple[dict[str, bytes], Any, type[FitspecError], str]] = {
    "another content": (
        FILES | {SPEC: b"fitspec = 2\n"}, metadata(FILES), DigestError,
        f"'{SPEC}' in paper.zip has sha256 ",
    ),
    "a missing member": (
        {SPEC: FILES[SPEC]}, metadata(FILES), ArchiveError,
        "paper.zip lacks 'results.json', which its metadata lists",
    ),
    "a member that is not listed": (
        FILES | {"specification/patch.more.json": b"[]"}, metadata(FILES), ArchiveError,
        "paper.zip holds 'specification/patch.more.json', which its metadata does not list",
    ),
    "a way out of the folder": (
        FILES | {"../evil.toml": b""}, metadata(FILES | {"../evil.toml": b""}), ArchiveError,
        "paper.zip has a member '../evil.toml' that points outside",
    ),
    "an absolute path": (
        FILES | {"/tmp/evil.toml": b""}, metadata(FILES | {"/tmp/evil.toml": b""}), ArchiveError,
        "paper.zip has a member '/tmp/evil.toml' that points outside",
    ),
    "a specification outside": (
        FILES, metadata(FILES, "../../evil.toml"), ArchiveError,
        f"{NO_BUNDLE}'../../evil.toml' is none of its files",
    ),
    "no specification": (
        FILES, with_root(mainEntity=None), ArchiveError,
        f"{NO_BUNDLE}{METADATA} does not list a specification and its files",
    ),
    "no root": (
        FILES, without(metadata(FILES), "./"), ArchiveError,
        f"{NO_BUNDLE}{METADATA} does not list a specification and its files",
    ),
    "a digest that is none": (
        FILES, {"@graph": [*metadata(FILES)["@graph"], {"@id": "x", "@type": "File", "sha256": 1}]},
        ArchiveError, f"{NO_BUNDLE}{METADATA} does not list a specification and its files",
    ),
    "metadata that is a list": (
        FILES, [], ArchiveError,
        f"{NO_BUNDLE}{METADATA} does not list a specification and its files",
    ),
    "a file where a folder is": (
        FILES | {"specification": b""}, metadata(FILES | {"specification": b""}), ArchiveError,
        "and a file of the same name as its folder",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_bundle_that_is_not_what_it_says_is_refused(case: str, tmp_path: Path) -> None:
    files, described, kind, message = HOSTILE[case]
    path = packed(tmp_path / "paper.zip", files, described)

    with pytest.raises(kind) as caught:
        unpack(path, tmp_path / "cache")

    assert message in str(caught.value)
    assert written(tmp_path) == ["paper.zip"]


@pytest.mark.parametrize(
    "file", ["../specification/small.toml", "/etc/passwd", "..", ".", "", "absent.tar"]
)
def test_a_mirror_of_a_bundle_serves_its_own_files_alone(file: str, tmp_path: Path) -> None:
    files = FILES | {MIRROR: f'"{URL}" = "{file}"\n'.encode()}
    path = packed(tmp_path / "paper.zip", files, metadata(files))

    with pytest.raises(ArchiveError, match="may name files in sources/ alone"):
        unpack(path, tmp_path / "cache")


def test_a_zip_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "paper.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(SPEC, FILES[SPEC])
    message = f"paper.zip is no bundle: it has no {METADATA}; `fitspec bundle` makes one"
    with pytest.raises(ArchiveError) as caught:
        unpack(path, tmp_path / "cache")
    assert str(caught.value) == message

    path.write_bytes(b"no zip at all")
    with pytest.raises(ArchiveError, match=r"paper\.zip is no readable archive"):
        unpack(path, tmp_path / "cache")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ArchiveError, match=r"paper\.zip is no regular file"):
        unpack(path, tmp_path / "cache")


def many(limit: int) -> tuple[Limits, dict[str, bytes]]:
    return Limits(members=limit), {f"{i}": b"" for i in range(limit)}


def large(limit: int) -> tuple[Limits, dict[str, bytes]]:
    return Limits(total_bytes=1 << 20), {f"{i}": bytes(1 << 18) for i in range(limit)}


@pytest.mark.parametrize("bomb", [many, large])
def test_a_bomb_is_refused_before_anything_is_unpacked(
    bomb: Callable[[int], tuple[Limits, dict[str, bytes]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits, more = bomb(5)
    monkeypatch.setattr(bundle, "LIMITS", limits)
    path = packed(tmp_path / "paper.zip", FILES | more, metadata(FILES | more))

    with pytest.raises(ArchiveError, match="it looks hostile"):
        unpack(path, tmp_path / "cache")

    assert written(tmp_path) == ["paper.zip"]


def test_what_a_bundle_may_hold_is_far_below_what_kills_a_machine(tmp_path: Path) -> None:
    """A header of 4 GiB on a few bytes is told from the header."""
    path = packed(tmp_path / "paper.zip", FILES, metadata(FILES))
    raw = bytearray(path.read_bytes())
    at = raw.index(b"PK\x01\x02")  # the first entry of the central directory
    raw[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFFE)
    path.write_bytes(raw)

    with pytest.raises(ArchiveError, match="is larger than fitspec reads"):
        unpack(path, tmp_path / "cache")

    assert bundle.LIMITS.total_bytes <= 1 << 30


def test_links_are_no_files_of_a_bundle(tmp_path: Path) -> None:
    """Neither those of a zip, nor of a tar file in its clothes."""
    files = FILES | {"specification/link": b"/etc/passwd"}
    described = metadata(files)
    path = tmp_path / "paper.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (files | {METADATA: json.dumps(described).encode()}).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o120777 if name.endswith("link") else 0o100644) << 16
            archive.writestr(info, content)
    with pytest.raises(ArchiveError, match="lacks 'specification/link'"):
        unpack(path, tmp_path / "cache")

    with tarfile.open(path, "w") as tar:
        for name, content in (files | {METADATA: json.dumps(described).encode()}).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            if name.endswith("link"):
                member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0
            tar.addfile(member, io.BytesIO(content))
    with pytest.raises(ArchiveError, match="lacks 'specification/link'"):
        unpack(path, tmp_path / "cache")


@pytest.fixture
def inside(tmp_path: Path) -> Access:
    """Within a bundle that has a remote source; a cache and a mirror have others."""
    for folder, name in (("bundle/sources", "1-a.tar"), ("mirror", "b.tar"), ("cache", "c.tar")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / name).write_bytes(b"bytes")
    (tmp_path / "bundle" / MIRROR).write_text(f'"{URL}" = "1-a.tar"\n')
    (tmp_path / "bundle" / "specification").mkdir()
    (tmp_path / "outside.tar").write_bytes(b"bytes")
    access = Access(tmp_path / "cache", tmp_path / "mirror")
    return access.within(tmp_path / "bundle")


def test_a_remote_source_is_in_the_bundle_or_nowhere(tmp_path: Path, inside: Access) -> None:
    base = tmp_path / "bundle" / "specification"

    assert resolve(URL, base, inside) == tmp_path / "bundle" / "sources" / "1-a.tar"

    for source in ("https://archive.example/b.tar", "doi:10.17182/hepdata.89408.v1/r2"):
        with pytest.raises(SourceError, match=f"the bundle does not hold '{source}'"):
            resolve(source, base, inside)


@pytest.mark.parametrize("source", ["../../outside.tar", "/dev/zero", "../../mirror/b.tar"])
def test_a_local_source_is_in_the_bundle_or_nowhere(
    source: str, tmp_path: Path, inside: Access
) -> None:
    """Before it is read: /dev/zero has no end, and no digest."""
    base = tmp_path / "bundle" / "specification"

    assert resolve("..", base, inside) == tmp_path / "bundle"
    with pytest.raises(SourceError, match="is outside of the bundle; bundles read nothing else"):
        resolve(source, base, inside, "0" * 64)
    with pytest.raises(SourceError, match=r"the bundle does not hold 'b\.tar'"):
        resolve("b.tar", base, inside)


def test_a_specification_of_ones_own_is_within_no_bundle(tmp_path: Path) -> None:
    access = Access(tmp_path / "cache")
    assert access.within(None) is access
