"""Where a source is looked for, in which order, and what is refused; nothing here has a network."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from fitspec.errors import DigestError, DownloadError, SourceError
from fitspec.sources import Access, resolve
from fitspec.sources.access import remote_url

DOI = "10.17182/hepdata.89408.v1/r2"
DOI_URL = f"https://doi.org/{DOI}"
DOI_FORMS = [
    pytest.param(DOI, id="bare"),
    pytest.param(f"doi:{DOI}", id="doi:"),
    pytest.param(f"DOI: {DOI}", id="DOI: with a blank"),
    pytest.param(DOI_URL, id="https"),
    pytest.param(f"http://doi.org/{DOI}", id="http"),
    pytest.param(f"https://dx.doi.org/{DOI}", id="dx.doi.org"),
]
ARCHIVE_URL = "https://archive.example/files/likelihoods.tar.gz?download=1"
OTHER_SHA256 = hashlib.sha256(b"other bytes").hexdigest()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The folder of a specification."""
    folder = tmp_path / "specs"
    folder.mkdir()
    return folder


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """A mirror folder with one file, ``likelihoods.tar.gz``."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "likelihoods.tar.gz").write_bytes(b"mirrored")
    return folder


@pytest.fixture
def no_network(tmp_path: Path) -> Access:
    """Access without a mirror or a network."""
    return Access(cache=tmp_path / "cache", offline=True)


@pytest.fixture
def mirrored(tmp_path: Path, served: Path) -> Access:
    """Access to the mirror, without a network."""
    return Access(cache=tmp_path / "cache", mirror=served, offline=True)


@pytest.mark.parametrize("source", DOI_FORMS)
def test_every_form_of_a_doi_is_the_same_url(source: str) -> None:
    assert remote_url(source) == DOI_URL


@pytest.mark.parametrize(
    ("source", "url"),
    [
        pytest.param(ARCHIVE_URL, ARCHIVE_URL, id="URL"),
        pytest.param("ftp://archive.example/a.tar", "ftp://archive.example/a.tar", id="other URL"),
        pytest.param("likelihoods.tar.gz", None, id="file"),
        pytest.param("../data/10.5/x.tar", None, id="path with a number"),
        pytest.param("/data/likelihoods", None, id="absolute path"),
        pytest.param(".", None, id="the folder itself"),
    ],
)
def test_a_url_stays_as_it_is_and_a_path_has_none(source: str, url: str | None) -> None:
    assert remote_url(source) == url


@pytest.mark.parametrize("source", DOI_FORMS)
@pytest.mark.parametrize("key", DOI_FORMS)
def test_the_mirror_table_and_the_spec_may_write_a_doi_differently(
    source: str, key: str, base: Path, served: Path, mirrored: Access
) -> None:
    (served / "mirror.toml").write_text(f'"{key}" = "likelihoods.tar.gz"\n')
    assert resolve(source, base, mirrored).read_bytes() == b"mirrored"


def test_a_remote_source_is_found_in_the_mirror_by_its_file_name(
    base: Path, served: Path, mirrored: Access
) -> None:
    assert resolve(ARCHIVE_URL, base, mirrored) == served / "likelihoods.tar.gz"


def test_the_mirror_table_comes_before_the_file_name(
    base: Path, served: Path, mirrored: Access
) -> None:
    (served / "renamed.tar.gz").write_bytes(b"from the table")
    (served / "mirror.toml").write_text(f'"{ARCHIVE_URL}" = "renamed.tar.gz"\n')
    assert resolve(ARCHIVE_URL, base, mirrored).read_bytes() == b"from the table"


def test_a_table_entry_without_its_file_falls_back_to_the_file_name(
    base: Path, served: Path, mirrored: Access
) -> None:
    (served / "mirror.toml").write_text(f'"{ARCHIVE_URL}" = "absent.tar.gz"\n')
    assert resolve(ARCHIVE_URL, base, mirrored).read_bytes() == b"mirrored"


def test_a_local_path_comes_before_the_mirror(base: Path, mirrored: Access) -> None:
    (base / "likelihoods.tar.gz").write_bytes(b"local")
    assert resolve("likelihoods.tar.gz", base, mirrored).read_bytes() == b"local"


def test_a_local_path_that_is_absent_is_found_in_the_mirror(base: Path, mirrored: Access) -> None:
    found = resolve("archives/likelihoods.tar.gz", base, mirrored)
    assert found.read_bytes() == b"mirrored"


def test_an_absolute_path_needs_no_base(base: Path, served: Path, no_network: Access) -> None:
    path = served / "likelihoods.tar.gz"
    assert resolve(str(path), base, no_network) == path


def test_an_absent_local_path_is_refused_with_the_nearest_name(
    base: Path, no_network: Access
) -> None:
    (base / "likelihoods.tar.gz").write_bytes(b"local")
    with pytest.raises(SourceError, match=r"'likelihood\.tar\.gz' does not exist") as caught:
        resolve("likelihood.tar.gz", base, no_network)
    assert "likelihoods.tar.gz" in caught.value.remedy


@pytest.mark.parametrize(
    ("source", "content"),
    [
        pytest.param("local.tar", b"local", id="local"),
        pytest.param("likelihoods.tar.gz", b"mirrored", id="local name in the mirror"),
        pytest.param(ARCHIVE_URL, b"mirrored", id="URL in the mirror"),
    ],
)
def test_the_sha256_is_verified_wherever_the_file_comes_from(
    source: str, content: bytes, base: Path, mirrored: Access
) -> None:
    (base / "local.tar").write_bytes(b"local")
    right = hashlib.sha256(content).hexdigest()
    assert resolve(source, base, mirrored, right).read_bytes() == content
    with pytest.raises(DigestError, match=f"sha256 {right}, expected {OTHER_SHA256}"):
        resolve(source, base, mirrored, OTHER_SHA256)


def test_a_wrong_digest_never_removes_a_file_of_the_user(
    base: Path, served: Path, mirrored: Access
) -> None:
    (base / "local.tar").write_bytes(b"local")
    for source in ("local.tar", ARCHIVE_URL):
        with pytest.raises(DigestError):
            resolve(source, base, mirrored, OTHER_SHA256)
    assert (base / "local.tar").exists()
    assert (served / "likelihoods.tar.gz").exists()


def test_a_folder_needs_no_sha256_and_can_have_none(base: Path, no_network: Access) -> None:
    (base / "likelihoods").mkdir()
    assert resolve("likelihoods", base, no_network) == base / "likelihoods"
    with pytest.raises(DigestError, match="is a folder and has no sha256"):
        resolve("likelihoods", base, no_network, OTHER_SHA256)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://archive.example/a.tar", id="http to another host"),
        pytest.param("http://127.0.0.1@archive.example/a.tar", id="user name like this machine"),
        pytest.param("http://localhost.archive.example/a.tar", id="host like this machine"),
        pytest.param("ftp://127.0.0.1/a.tar", id="ftp"),
        pytest.param("file:///etc/hostname", id="file"),
        pytest.param("FILE:///etc/hostname", id="FILE"),
    ],
)
def test_only_https_leaves_this_machine(url: str, base: Path, no_network: Access) -> None:
    with pytest.raises(SourceError, match="is not an https URL"):
        resolve(url, base, no_network)


@pytest.mark.parametrize("with_mirror", [False, True], ids=["no mirror", "mirror"])
def test_a_url_that_is_none_is_a_source_error(
    with_mirror: bool, base: Path, no_network: Access, mirrored: Access
) -> None:
    with pytest.raises(SourceError, match=re.escape("'https://[x' is no valid URL")):
        resolve("https://[x", base, mirrored if with_mirror else no_network)


@pytest.mark.parametrize("url", [ARCHIVE_URL, "http://127.0.0.1:1/a.tar"])
def test_offline_a_source_is_in_the_mirror_or_nowhere(
    url: str, base: Path, no_network: Access
) -> None:
    with pytest.raises(DownloadError, match="--offline is set") as caught:
        resolve(url, base, no_network)
    assert url in str(caught.value)
    assert "--mirror" in caught.value.remedy


@pytest.mark.parametrize("url", ["https://archive.example/..", "https://archive.example/"])
def test_a_url_without_a_file_name_is_not_in_the_mirror(
    url: str, base: Path, mirrored: Access
) -> None:
    with pytest.raises(DownloadError, match="neither in the mirror nor in the cache"):
        resolve(url, base, mirrored)


def test_a_mirror_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere' is no folder") as caught:
        Access(cache=tmp_path / "cache", mirror=tmp_path / "nowhere")
    assert "FITSPEC_MIRROR" in caught.value.remedy


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        pytest.param(b'"a" = ', "not valid TOML", id="syntax"),
        pytest.param(b'"\xff" = "a"', "not valid TOML", id="encoding"),
        pytest.param(f'"{DOI}" = 3'.encode(), f"'{DOI}' is mapped to no file name", id="number"),
        pytest.param(b'doi.org = "a"', "'doi' is mapped to no file name", id="key without quotes"),
    ],
)
def test_a_broken_mirror_table_is_refused_by_name(
    table: bytes, problem: str, base: Path, served: Path, mirrored: Access
) -> None:
    (served / "mirror.toml").write_bytes(table)
    with pytest.raises(SourceError, match=rf"mirror\.toml: {re.escape(problem)}"):
        resolve(DOI, base, mirrored)


@pytest.mark.data
@pytest.mark.parametrize(
    ("doi", "sha256"),
    [
        pytest.param(
            DOI, "9089b0e5fabba335bea4c94545ccca8ddd21289feeab2f85e5bcc8bada37be70", id="sbottom"
        ),
        pytest.param(
            "10.17182/hepdata.92006.v2/r2",
            "0643f9c95767f79d6d1e585a6dd7347cf9a36b1aaa5b59e61c06f78d1c1ca8c4",
            id="stau",
        ),
        pytest.param(
            "10.17182/hepdata.90607.v3/r3",
            "4d1ffa355f9e3aa9088bb1e84901c15e7b0532907b1773fe31b42a4c43a3830d",
            id="1Lbb",
        ),
    ],
)
def test_the_published_archives_are_in_the_mirror(
    doi: str, sha256: str, base: Path, mirror: Path, tmp_path: Path
) -> None:
    access = Access(cache=tmp_path / "cache", mirror=mirror, offline=True)
    assert resolve(doi, base, access, sha256).parent == mirror
