"""Archives of every kind, honest, damaged and hostile."""

from __future__ import annotations

import contextlib
import io
import random
import struct
import tarfile
import tempfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitspec.errors import ArchiveError
from fitspec.sources import open_archive
from fitspec.sources.archive import Limits

Members = Sequence[tuple[str, bytes]]
MEMBERS = [
    ("BkgOnly.json", b'{"channels": []}'),
    ("RegionA/patch.x_1.json", b"[1]"),
    ("RegionA/patch.x_2.json", b"[2]"),
    ("RegionB/deep/er/patch.x_1.json", b""),
    ("RegionB/größe.json", b"\x00\xff" * 1000),
]
KINDS = ["folder", "tar", "tar.gz", "tar.bz2", "tar.xz", "zip"]
FILES = KINDS[1:]
NOISE = random.Random(1).randbytes(20_000)


def pack(folder: Path, kind: str, members: Members) -> Path:
    """An archive of a kind with these regular files."""
    path = folder / f"archive.{kind}"
    if kind == "folder":
        for name, content in members:
            file = path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    elif kind == "zip":
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
            warnings.filterwarnings("ignore", "Duplicate name")
            for name, content in members:
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    else:
        with tarfile.open(path, f"w:{kind[4:]}") as tar:
            for name, content in members:
                tar.addfile(member(name, size=len(content)), io.BytesIO(content))
    return path


def member(
    name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0
) -> tarfile.TarInfo:
    """The header of a tar member."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


@pytest.fixture(params=KINDS)
def honest(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An archive of each kind with :data:`MEMBERS`."""
    return pack(tmp_path, request.param, MEMBERS)


def test_an_archive_lists_its_files_by_glob(honest: Path) -> None:
    archive = open_archive(honest)
    assert archive.names("RegionA/patch.x_*.json") == [
        "RegionA/patch.x_1.json",
        "RegionA/patch.x_2.json",
    ]
    assert archive.names("RegionB/deep/er/*") == ["RegionB/deep/er/patch.x_1.json"]
    assert archive.names("RegionA/patch.x_?.jso[n]") == archive.names("RegionA/*")
    assert archive.names("*.csv") == []


def test_an_archive_reads_the_files_it_is_asked_for(honest: Path) -> None:
    archive = open_archive(honest)
    assert archive.read([name for name, _ in MEMBERS]) == dict(MEMBERS)
    assert archive.read(["BkgOnly.json"]) == {"BkgOnly.json": MEMBERS[0][1]}
    assert archive.read([]) == {}


def test_an_absent_file_is_refused_with_the_nearest_name(honest: Path) -> None:
    with pytest.raises(ArchiveError, match=r"has no file 'RegionA/patch\.x_3\.json'") as caught:
        open_archive(honest).read(["BkgOnly.json", "RegionA/patch.x_3.json"])
    assert "RegionA/patch.x_" in caught.value.remedy


def test_a_folder_is_no_file(honest: Path) -> None:
    with pytest.raises(ArchiveError, match="has no file 'RegionA'"):
        open_archive(honest).read(["RegionA"])


@pytest.mark.parametrize("kind", FILES)
def test_leading_dots_in_an_archive_do_not_matter(kind: str, tmp_path: Path) -> None:
    path = pack(tmp_path, kind, [("./a/x.json", b"1"), ("b/./y.json", b"2")])
    archive = open_archive(path)
    assert archive.names("*.json") == ["a/x.json", "b/y.json"]
    assert archive.read(["a/x.json", "b/y.json"]) == {"a/x.json": b"1", "b/y.json": b"2"}


@pytest.mark.parametrize("kind", FILES)
def test_of_two_files_with_one_name_the_last_counts(kind: str, tmp_path: Path) -> None:
    path = pack(tmp_path, kind, [("./a", b"first"), ("a", b"last")])
    assert open_archive(path).read(["a"]) == {"a": b"last"}


def test_the_kind_of_an_archive_is_not_in_its_name(tmp_path: Path) -> None:
    for kind in FILES:
        path = pack(tmp_path, kind, MEMBERS).rename(tmp_path / "download")
        assert open_archive(path).read(["BkgOnly.json"]) == dict(MEMBERS[:1])


def test_a_tar_that_ends_in_a_zip_file_is_a_tar(tmp_path: Path) -> None:
    inner = pack(tmp_path, "zip", MEMBERS).read_bytes()
    assert open_archive(pack(tmp_path, "tar", [("a.zip", inner)])).read(["a.zip"])["a.zip"] == inner


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "a/..", "/etc/x", "//x", "a\\b", "..\\x", "a\nb", "a\x1b[2J", "a\u202eb"],
    ids=ascii,
)
def test_an_archive_with_a_name_that_points_outside_is_refused_whole(
    kind: str, name: str, tmp_path: Path
) -> None:
    path = pack(tmp_path, kind, [("fine.json", b"{}"), (name, b"evil")])
    with pytest.raises(ArchiveError, match="points outside") as caught:
        open_archive(path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["../secret", "a/../../secret", "/etc/hostname", "a\\b", "a\0b"])
def test_a_folder_is_not_asked_for_what_lies_outside(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    archive = open_archive(pack(tmp_path, "folder", MEMBERS))
    for ask in (lambda: archive.read([name]), lambda: archive.names(name)):
        with pytest.raises(ArchiveError, match="points outside"):
            ask()


def test_a_link_out_of_a_folder_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.json").write_text("secret")
    folder = pack(tmp_path, "folder", MEMBERS)
    (folder / "link.json").symlink_to(outside / "secret.json")
    (folder / "way").symlink_to(outside)
    (folder / "inside.json").symlink_to("BkgOnly.json")
    archive = open_archive(folder)
    for name in ("link.json", "way/secret.json"):
        with pytest.raises(ArchiveError, match="is a link out of"):
            archive.read([name])
    assert archive.read(["inside.json"]) == {"inside.json": MEMBERS[0][1]}


def test_a_folder_has_no_file_with_an_impossible_name(tmp_path: Path) -> None:
    archive = open_archive(pack(tmp_path, "folder", MEMBERS))
    with pytest.raises(ArchiveError, match="File name too long"):
        archive.read(["x" * 300])
    assert archive.names(".") == archive.names("") == []


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(tarfile.SYMTYPE, id="symbolic link"),
        pytest.param(tarfile.LNKTYPE, id="hard link"),
        pytest.param(tarfile.FIFOTYPE, id="fifo"),
        pytest.param(tarfile.CHRTYPE, id="device"),
        pytest.param(tarfile.DIRTYPE, id="folder"),
    ],
)
def test_only_regular_files_of_a_tar_are_there(kind: bytes, tmp_path: Path) -> None:
    path = tmp_path / "links.tar"
    with tarfile.open(path, "w") as tar:
        tar.addfile(member("real.json", size=2), io.BytesIO(b"{}"))
        for target in ("real.json", "/etc/hostname", "../../x"):
            tar.addfile(member(f"not-{len(target)}.json", kind, target))
    archive = open_archive(path)
    assert archive.names("*") == ["real.json"]
    with pytest.raises(ArchiveError, match=r"has no file 'not-9\.json'"):
        archive.read(["not-9.json"])


def test_only_regular_files_of_a_zip_are_there(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.json")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "links.zip", "w") as archive:
        archive.writestr("real.json", "{}")
        archive.writestr("folder/", "")
        archive.writestr(link, "/etc/hostname")
    assert open_archive(tmp_path / "links.zip").names("*") == ["real.json"]


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        pytest.param(Limits(members=4), "holds more than 4 members", id="members"),
        pytest.param(Limits(member_bytes=1999), "is larger than fitspec reads", id="member"),
        pytest.param(Limits(total_bytes=2021), "unpacks to over 2021 bytes", id="total"),
    ],
)
@pytest.mark.parametrize("kind", FILES)
def test_an_archive_above_its_limits_is_refused(
    kind: str, limits: Limits, problem: str, tmp_path: Path
) -> None:
    path = pack(tmp_path, kind, MEMBERS)
    with pytest.raises(ArchiveError, match=problem):
        open_archive(path, limits)


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_at_its_limits_is_read(kind: str, tmp_path: Path) -> None:
    archive = open_archive(pack(tmp_path, kind, MEMBERS), Limits(5, 2000, 2022))
    assert archive.read([name for name, _ in MEMBERS]) == dict(MEMBERS)


def test_a_file_of_a_folder_above_the_limit_is_refused(tmp_path: Path) -> None:
    archive = open_archive(pack(tmp_path, "folder", MEMBERS), Limits(member_bytes=10))
    with pytest.raises(ArchiveError, match="is larger than fitspec reads"):
        archive.read(["BkgOnly.json"])


@pytest.mark.parametrize("kind", FILES)
def test_a_truncated_archive_is_an_archive_error(kind: str, tmp_path: Path) -> None:
    path = pack(tmp_path, kind, [("a.json", NOISE)])
    path.write_bytes(path.read_bytes()[:10_000])
    with pytest.raises(ArchiveError, match="is no readable archive"):
        open_archive(path).read(["a.json"])


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>not found</html>", id="text"),
        pytest.param(NOISE, id="random"),
        pytest.param(b"\x1f\x8b" + NOISE[:500], id="random after gzip's magic"),
        pytest.param(b"PK\5\6" + NOISE[:500], id="random after zip's magic"),
    ],
)
def test_what_is_no_archive_is_an_archive_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "likelihoods.tar.gz"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"likelihoods\.tar\.gz is no readable archive"):
        open_archive(path)


def test_an_archive_that_is_absent_is_an_archive_error(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="No such file"):
        open_archive(tmp_path / "absent.tar")


def test_a_tar_with_a_negative_size_is_refused(tmp_path: Path) -> None:
    header = bytearray(member("a.json").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = tarfile.itn(-512, 12, tarfile.GNU_FORMAT)  # would be read for ever
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:]) + 8 * ord(" "))
    (tmp_path / "a.tar").write_bytes(header + bytes(1024))
    with pytest.raises(ArchiveError, match="is no readable archive"):
        open_archive(tmp_path / "a.tar")


@pytest.mark.parametrize("size", [10, 1 << 25], ids=["smaller", "larger"])
def test_a_zip_whose_header_lies_is_refused_without_unpacking_it(size: int, tmp_path: Path) -> None:
    path = pack(tmp_path, "zip", [("bomb.json", bytes(1 << 24))])
    raw = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", raw, raw.index(magic) + offset, size)
    path.write_bytes(raw)
    archive = open_archive(path)
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="is no readable archive"):
            archive.read(["bomb.json"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < (1 << 20) + 2 * size


def is_hostile(name: str) -> bool:
    """Whether a member of this name must be refused."""
    outside = name.startswith("/") or ".." in name.split("/") or "\\" in name
    return outside or not name.isprintable()


steps = st.sampled_from(["..", ".", "", "a", "b.json", "é", "~", "C:", "x\\y", "\x7f", " "])
names = st.builds("/".join, st.lists(steps, max_size=4)) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8
)


@settings(deadline=None, max_examples=150)
@given(
    kind=st.sampled_from(["tar", "tar.gz", "zip"]),
    members=st.lists(st.tuples(names, st.binary(max_size=20)), max_size=5),
)
def test_no_archive_writes_a_file_and_what_it_gives_is_what_was_stored(
    kind: str, members: Members
) -> None:
    with tempfile.TemporaryDirectory() as watched:
        path = pack(Path(watched), kind, members)
        inside = Path(watched) / "one" / "two"
        inside.mkdir(parents=True)
        before = set(Path(watched).rglob("*"))
        with contextlib.chdir(inside):
            try:
                archive = open_archive(path)
                found = archive.read(archive.names("*"))
            except ArchiveError:
                found = None
        assert set(Path(watched).rglob("*")) == before
    if any(is_hostile(name) for name, _ in members):
        assert found is None
    else:
        files = [m for m in members if not (kind == "zip" and m[0].endswith("/"))]
        assert found == {str(PurePosixPath(name)): content for name, content in files}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """The bytes of an honest archive by kind."""
    folder = tmp_path_factory.mktemp("packed")
    archives = {kind: pack(folder, kind, MEMBERS).read_bytes() for kind in FILES}
    return archives.__getitem__


@settings(deadline=None, max_examples=200)
@given(data=st.data(), kind=st.sampled_from(FILES))
def test_a_damaged_archive_is_an_archive_error_or_still_readable(
    data: st.DataObject, kind: str, packed: Callable[[str], bytes]
) -> None:
    raw = bytearray(packed(kind))
    for position in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=5)):
        raw[position] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(ArchiveError):
        path = Path(folder) / "damaged"
        path.write_bytes(raw)
        archive = open_archive(path)
        found = archive.names("*")
        assert set(archive.read(found)) == set(found)
