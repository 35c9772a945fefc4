"""A bundle as an RO-Crate, read back by rocrate; the same content gives the same bytes."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fitspec.bundle import Inputs, Provenance, crate, write_bundle
from fitspec.bundle.inputs import Input
from fitspec.errors import MissingExtraError, UsageError
from fitspec.sources.archive import Limits
from fitspec.sources.bundle import unpack
from fitspec.spec.models import Analysis

ANALYSIS = Analysis(
    name="ATLAS-SUSY-2018-04",
    title="Search for staus",
    references={
        "arxiv": "1911.06660", "inspire": 1765529, "hepdata": "10.17182/hepdata.92006",
        "doi": "10.1103/PhysRevD.101.032009", "cds": "2700396",
    },
)  # fmt: skip
SPEC = "specification/stau.toml"
URL = "https://doi.org/10.17182/hepdata.92006.v2/r2"
INPUTS = Inputs(
    SPEC,
    {
        "sources/abc-r2.tar.gz": Input("archive of workspace and patches", b"\x1f\x8bzip", URL),
        "specification/limits 100%.csv": Input("expected values", b"mass\n"),
        SPEC: Input("specification", b"fitspec = 1\n"),
    },
)
RUN = Provenance(
    "fitspec run paper.zip -k 900",
    {"python": "3.12.1"},
    "0.1.0",
    datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    datetime(2026, 1, 2, 3, 5, 5, tzinfo=UTC),
)


def write(path: Path, provenance: Provenance = RUN) -> Path:
    plots = {"exclusion 1.png": b"\x89PNG"}
    write_bundle(path, ANALYSIS, INPUTS, b"{}", "numpy==2.0\n", provenance, plots)
    return path


def graph(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        content = json.loads(archive.read("ro-crate-metadata.json"))
    return {entity["@id"]: entity for entity in content["@graph"]}


def without_times(entities: Mapping[str, Any]) -> dict[str, Any]:
    times = ("datePublished", "startTime", "endTime")
    return {
        name: {key: value for key, value in entity.items() if key not in times}
        for name, entity in entities.items()
    }


def test_rocrate_reads_what_is_written(tmp_path: Path) -> None:
    from rocrate.rocrate import ROCrate

    read = ROCrate(write(tmp_path / "paper.zip"))

    assert read.metadata.version == "1.1"
    root = read.root_dataset
    assert root["name"] == "ATLAS-SUSY-2018-04: Search for staus"
    assert read.mainEntity.id == SPEC
    assert sorted(citation.id for citation in root["citation"]) == [
        "#cds-2700396",
        "https://arxiv.org/abs/1911.06660",
        "https://doi.org/10.1103/PhysRevD.101.032009",
        "https://doi.org/10.17182/hepdata.92006",
        "https://inspirehep.net/literature/1765529",
    ]
    run = root["mentions"]
    assert run.type == "CreateAction"
    results = ["results.json", "plots/exclusion%201.png"]
    assert [result.id for result in run["result"]] == results
    assert len(run["object"]) == 3
    assert (run["startTime"], run["endTime"]) == (
        "2026-01-02T03:04:05+00:00", "2026-01-02T03:05:05+00:00",
    )  # fmt: skip
    assert run["instrument"]["softwareVersion"] == "0.1.0"
    assert run["instrument"]["license"].id == "https://www.apache.org/licenses/LICENSE-2.0"
    assert "license" not in read.get(SPEC).properties()


def test_every_file_has_its_digest_and_role(tmp_path: Path) -> None:
    path = write(tmp_path / "paper.zip")
    entities = graph(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    files = {name: e for name, e in entities.items() if e["@type"] == "File"}

    assert len(files) == len(members) - 1 == 6
    for member, content in members.items():
        if member != "ro-crate-metadata.json":
            entity = files[member.replace(" ", "%20").replace("100%", "100%25")]
            assert entity["sha256"] == hashlib.sha256(content).hexdigest()
            assert entity["contentSize"] == str(len(content))
            assert entity["description"]
    assert files["sources/abc-r2.tar.gz"]["url"] == URL
    assert {part["@id"] for part in entities["./"]["hasPart"]} == files.keys()


def test_what_is_written_is_what_is_unpacked(tmp_path: Path) -> None:
    folder, spec = unpack(write(tmp_path / "paper.zip"), tmp_path / "cache")

    assert spec == folder / SPEC
    assert (folder / "specification" / "limits 100%.csv").read_bytes() == b"mass\n"


def test_two_bundles_differ_in_dates_and_times_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    first = write(tmp_path / "1.zip", Provenance(RUN.command, {}, "0.1.0")).read_bytes()
    again = write(tmp_path / "2.zip", Provenance(RUN.command, {}, "0.1.0")).read_bytes()
    assert first == again

    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    other = write(tmp_path / "3.zip")
    with zipfile.ZipFile(tmp_path / "1.zip") as old, zipfile.ZipFile(other) as new:
        assert old.namelist() == new.namelist() == sorted(new.namelist())
        assert {
            name: (a.CRC, a.date_time) for name, a in old.NameToInfo.items() if "meta" not in name
        } == {
            name: (a.CRC, a.date_time) for name, a in new.NameToInfo.items() if "meta" not in name
        }
    assert without_times(graph(tmp_path / "1.zip")) == without_times(graph(other))
    assert graph(tmp_path / "1.zip") != graph(other)


def test_a_time_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH is 'yesterday'; it counts seconds"):
        write(tmp_path / "paper.zip")


def test_the_licence_of_a_bundle_is_its_authors(tmp_path: Path) -> None:
    assert "those of their authors" in graph(write(tmp_path / "1.zip"))["./"]["license"]

    url = "https://creativecommons.org/publicdomain/zero/1.0/"
    entities = graph(write(tmp_path / "2.zip", Provenance("", {}, "0.1.0", licence=url)))

    assert entities["./"]["license"] == {"@id": url}
    assert entities[url]["@type"] == "CreativeWork"


def test_what_could_not_be_read_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crate, "LIMITS", Limits(members=5))
    with pytest.raises(UsageError, match="a bundle holds up to 5 files"):
        write(tmp_path / "paper.zip")
    assert list(tmp_path.iterdir()) == []


def test_without_rocrate_the_remedy_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rocrate.rocrate", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'fitspec\[bundle\]'"):
        write(tmp_path / "paper.zip")
