"""What a lock pins, against digests made here."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import tarfile
from pathlib import Path

import numpy
import orjson
import pytest

from fitspec.collect import collect
from fitspec.lock import Lock, lock_of, lock_text
from fitspec.plan import make_plan
from fitspec.sources import Access
from fitspec.spec import load_spec
from fitspec.spec.files import library

TABLES = """
[poi]
test = 1.0
upper_limit = 0.95

[cross_section]
table = "xsec.csv"
on = "mass"

[[expect]]
table = "published.csv"
"""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def canonical(content: object) -> str:
    """Digest of JSON with sorted keys and without white space."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{sha256(text.encode())}"


def locked(path: Path, access: Access) -> Lock:
    spec = load_spec(path, path.name)
    return lock_of(spec, make_plan(collect([spec], access)), access)


@pytest.fixture
def tables(analysis: Path) -> Path:
    """The small analysis with a table of expectations and one of cross-sections."""
    (analysis / "xsec.csv").write_text("mass,xsec_pb\n100,1.0\n200,0.1\n")
    (analysis / "published.csv").write_text("mass,width,CLs_obs\n100,1,0.5\n")
    path = analysis / "small.toml"
    path.write_text(path.read_text() + TABLES)
    return analysis


def test_everything_is_pinned(tables: Path, tmp_path: Path) -> None:
    lock = locked(tables / "small.toml", Access(tmp_path / "cache"))

    assert lock.spec.sha256 == sha256((tables / "small.toml").read_bytes())
    assert [(t.path, t.sha256) for t in lock.table] == [
        (name, sha256((tables / name).read_bytes())) for name in ("published.csv", "xsec.csv")
    ]
    assert [(a.source, a.origin, a.sha256) for a in lock.archive] == [(".", "local", None)]
    [workspace] = lock.workspace
    background = json.loads((tables / "background.json").read_bytes())
    text = json.dumps(background, sort_keys=True)  # as pyhf digest
    assert workspace.digest == f"sha256:{sha256(text.encode())}"
    assert (workspace.path, workspace.measurement) == ("background.json", "measurement")
    assert workspace.patches == {
        f"signal_{mass}_{width}": canonical(
            json.loads((tables / f"patch.signal_{mass}_{width}.json").read_bytes())
        )
        for mass in (100, 200)
        for width in (1, 2)
    }
    assert lock.settings["inference.interpcodes.normsys"] == "code4"
    assert lock.settings["backend.name"] == "native"
    assert lock.settings["poi.upper_limit"] == 0.95
    assert lock.environment["numpy"] == numpy.__version__
    assert lock.environment["python"] == platform.python_version()
    assert lock.environment["machine"] == platform.machine()
    assert lock.hypotheses == 4


def test_an_archive_is_pinned_by_its_bytes_and_where_they_are_from(
    analysis: Path, tmp_path: Path
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for folder in (analysis, mirror):
        with tarfile.open(folder / "small.tar", "w") as tar:
            for path in analysis.glob("*.json"):
                tar.add(path, path.name)
    (analysis / "small.tar").rename(analysis / "own.tar")
    text = (analysis / "small.toml").read_text()

    for archive, origin, access in (
        ("own.tar", "local", Access(tmp_path / "cache")),
        ("https://example.org/small.tar", "mirror", Access(tmp_path / "cache", mirror)),
    ):
        (analysis / "small.toml").write_text(
            text.replace("[patches]", f'archive = "{archive}"\n[patches]')
        )
        [found] = locked(analysis / "small.toml", access).archive
        where = analysis / "own.tar" if origin == "local" else mirror / "small.tar"
        assert (found.source, found.origin) == (archive, origin)
        assert found.sha256 == sha256(where.read_bytes())


def test_each_case_is_pinned(analysis: Path, tmp_path: Path) -> None:
    for region in "AB":
        (analysis / region).mkdir()
        for path in analysis.glob("*.json"):
            shutil.copy(path, analysis / region)
    text = (analysis / "small.toml").read_text()
    text = text.replace("background.json", "{region}/background.json")
    text = text.replace("patch.signal", "{region}/patch.signal")
    (analysis / "small.toml").write_text(f'{text}\n[parametrize]\nregion = ["A", "B"]\n')

    lock = locked(analysis / "small.toml", Access(tmp_path))

    assert [(w.case, w.path, len(w.patches)) for w in lock.workspace] == [
        ({"region": "A"}, "A/background.json", 4), ({"region": "B"}, "B/background.json", 4)
    ]  # fmt: skip
    assert '[workspace.case]\nregion = "A"\n' in lock_text(lock)


def test_the_order_is_the_specifications_own(analysis: Path, tmp_path: Path) -> None:
    access = Access(tmp_path / "cache")
    text = (analysis / "small.toml").read_text()
    (analysis / "first.toml").write_text(f"{text}select = {{ mass = 200 }}\n")
    both = [load_spec(analysis / name, name) for name in ("first.toml", "small.toml")]

    lock = lock_of(both[1], make_plan(collect(both, access)), access)

    assert lock_text(lock) == lock_text(locked(analysis / "small.toml", access))
    assert list(lock.workspace[0].patches) == [
        "signal_100_1", "signal_100_2", "signal_200_1", "signal_200_2"
    ]  # fmt: skip


def test_a_table_of_yields_is_pinned(analysis: Path, tmp_path: Path) -> None:
    (analysis / "signal.csv").write_text("m,SR[0],SR[1]\n500,1,2\n")
    text = (analysis / "small.toml").read_text().split("[patches]")[0]
    text += '[patches]\nyields = "signal.csv"\nlabels = ["m"]\n'
    (analysis / "small.toml").write_text(text)

    lock = locked(analysis / "small.toml", Access(tmp_path))

    assert [table.path for table in lock.table] == ["signal.csv"]
    assert list(lock.workspace[0].patches) == ["signal_500"]


@pytest.mark.data
def test_the_stau_search_can_be_locked(mirror: Path, tmp_path: Path) -> None:
    for path in library().rglob("stau*"):
        target = tmp_path / path.relative_to(library())
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)

    lock = locked(tmp_path / "stau.toml", Access(tmp_path / "cache", mirror))

    [archive] = lock.archive
    assert (archive.source, archive.origin) == (
        "https://doi.org/10.17182/hepdata.92006.v2/r2", "mirror"
    )  # fmt: skip
    packed = next(path for path in mirror.glob("*") if path.is_file() and _is(path, archive.sha256))
    [workspace] = lock.workspace
    assert f'digest = "{workspace.digest}"' in (tmp_path / "stau.toml").read_text()
    assert lock.hypotheses == 57
    with tarfile.open(packed) as tar:
        member = next(m for m in tar if m.name.endswith("patch.DS_440_80_Staus.json"))
        patch = json.load(tar.extractfile(member))
    assert workspace.patches["DS_440_80_Staus"] == (
        f"sha256:{sha256(orjson.dumps(patch, option=orjson.OPT_SORT_KEYS))}"
    )
    assert [t.path for t in lock.table] == [
        "cross-sections/stau-LR.csv", "published/stau-upper-limits.csv"
    ]  # fmt: skip


def _is(path: Path, digest: str | None) -> bool:
    return sha256(path.read_bytes()) == digest
