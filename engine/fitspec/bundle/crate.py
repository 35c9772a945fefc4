"""The bundle itself: an RO-Crate, written so that the same content gives the same bytes.

RO-Crate 1.1, https://w3id.org/ro/crate/1.1, of the profile Process Run Crate 0.5: the run is a
CreateAction with its instrument, what it used, and what it made.
"""

from __future__ import annotations

import hashlib
import io
import json
import mimetypes
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from fitspec.bundle.inputs import Inputs
from fitspec.errors import MissingExtraError, UsageError
from fitspec.files import write_file
from fitspec.sources.bundle import LIMITS, METADATA, RESULTS
from fitspec.spec.models import Analysis

REQUIREMENTS = "requirements.txt"
PLOTS = "plots"
_VERSION = "1.1"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_LICENCE = "https://www.apache.org/licenses/LICENSE-2.0"
_SERVICES = {
    "arxiv": "https://arxiv.org/abs/{}",
    "doi": "https://doi.org/{}",
    "hepdata": "https://doi.org/{}",
    "inspire": "https://inspirehep.net/literature/{}",
}


@dataclass(frozen=True, slots=True)
class Provenance:
    """How the results were made.

    Attributes:
        command: that makes them again; ``fitspec run paper.zip -k 900``.
        environment: of the run, as results.json has it.
        version: of the fitspec that made them.
        started, ended: of the run; None where it was not made for the bundle.
        licence: URL of that of the bundle as a whole.
    """

    command: str
    environment: Mapping[str, str]
    version: str
    started: datetime | None = None
    ended: datetime | None = None
    licence: str | None = None


def write_bundle(
    path: Path,
    analysis: Analysis,
    inputs: Inputs,
    results: bytes,
    requirements: str,
    provenance: Provenance,
    plots: Mapping[str, bytes] = MappingProxyType({}),
) -> None:
    """Write a bundle: whole or not at all.

    Two bundles of the same content differ in the dates and times of their metadata alone, and in
    nothing where SOURCE_DATE_EPOCH gives the time.

    Args:
        path: the zip file.
        analysis: what it is about.
        inputs: the specification and all that it reads.
        results: results.json.
        requirements: versions of the libraries that made them.
        provenance: how they were made.
        plots: of the results, by file name.

    Raises:
        MissingExtraError: rocrate is not installed.
        UsageError: it would be larger than what fitspec reads.
    """
    files = {member: file.content for member, file in inputs.files.items()}
    files |= {RESULTS: results, REQUIREMENTS: requirements.encode()}
    files |= {f"{PLOTS}/{name}": content for name, content in plots.items()}
    _require_readable(path, files)
    metadata = _metadata(analysis, inputs, files, provenance)
    text = json.dumps(metadata, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    _write(path, {**files, METADATA: text.encode()})


def _require_readable(path: Path, files: Mapping[str, bytes]) -> None:
    if len(files) >= LIMITS.members or sum(map(len, files.values())) > LIMITS.total_bytes:
        limit = f"{LIMITS.members} files and {LIMITS.total_bytes >> 20} MiB"
        problem = f"{path}: a bundle holds up to {limit}, and this is more"
        raise UsageError(problem, "take a smaller archive, of what the specification reads alone")


def _metadata(
    analysis: Analysis, inputs: Inputs, files: Mapping[str, bytes], provenance: Provenance
) -> dict[str, Any]:
    """The JSON-LD graph."""
    try:
        from rocrate.model.contextentity import ContextEntity
        from rocrate.rocrate import ROCrate
    except ImportError as error:
        raise MissingExtraError("rocrate", "bundle") from error

    crate = ROCrate(version=_VERSION)

    def context(identifier: str, kind: str, **properties: Any) -> Any:
        return crate.add(ContextEntity(crate, identifier, {"@type": kind, **properties}))

    roles = {member: file.role for member, file in inputs.files.items()}
    roles |= {RESULTS: "results", REQUIREMENTS: "versions of the libraries of the run"}
    plots = [name for name in sorted(files) if name.startswith(f"{PLOTS}/")]
    roles |= dict.fromkeys(plots, "plot of the results")
    found = {name: crate.add_file(dest_path=name) for name in sorted(files)}
    for name, entity in found.items():
        entity["name"] = PurePosixPath(name).name
        entity["description"] = roles[name]
        entity["sha256"] = hashlib.sha256(files[name]).hexdigest()
        entity["contentSize"] = str(len(files[name]))
        entity["encodingFormat"] = _format(name)
        if (file := inputs.files.get(name)) is not None and file.url is not None:
            entity["url"] = file.url
    found[RESULTS]["conformsTo"] = context(
        "https://json.org", "CreativeWork", name="JSON, results.json schema 1 of fitspec"
    )
    licence = context(_LICENCE, "CreativeWork", name="Apache License 2.0")
    program = context(
        "#fitspec",
        "SoftwareApplication",
        name="fitspec",
        softwareVersion=provenance.version,
        softwareRequirements=found[REQUIREMENTS],
        license=licence,
    )
    run = context(
        "#run",
        "CreateAction",
        name="fitspec run",
        description=provenance.command,
        instrument=program,
        object=[found[name] for name in sorted(inputs.files)],
        result=[found[name] for name in (RESULTS, *plots)],
        actionStatus="http://schema.org/CompletedActionStatus",
        **_times(provenance),
    )
    root = crate.root_dataset
    root["name"] = ": ".join(filter(None, (analysis.name, analysis.title)))
    root["description"] = (
        "A fit specification, all that it reads, and its results; "
        f"`{provenance.command}` computes them again."
    )
    root["identifier"] = analysis.name
    root["license"] = _RIGHTS
    if (rights := provenance.licence) is not None:
        root["license"] = context(rights, "CreativeWork", name=rights)
    root["datePublished"] = _now().isoformat()
    root["conformsTo"] = context(_PROFILE, "CreativeWork", name="Process Run Crate", version="0.5")
    root["mainEntity"] = found[inputs.spec]
    root["mentions"] = run
    if analysis.references:
        root["citation"] = [
            context(*_reference(service, str(value)), name=f"{service}: {value}")
            for service, value in sorted(analysis.references.items())
        ]
    generated: dict[str, Any] = crate.metadata.generate()
    generated["@graph"].sort(key=lambda entity: str(entity["@id"]))
    return generated


_RIGHTS = (
    "The rights in the files of this bundle are those of their authors, see the citations. "
    "The program that made the results is licensed by itself."
)


def _reference(service: str, value: str) -> tuple[str, str]:
    """Identifier and type of a citation."""
    kind = "CreativeWork" if service == "hepdata" else "ScholarlyArticle"
    template = _SERVICES.get(service)
    if template is None:
        return (value if value.startswith("https://") else f"#{service}-{value}"), kind
    bare = value.removeprefix("https://doi.org/").removeprefix("arXiv:")
    return template.format(bare), kind


def _format(name: str) -> str:
    suffixes = {".toml": "application/toml", ".lock": "application/toml"}
    kind, encoding = mimetypes.guess_type(name)
    if encoding is not None:
        return f"application/{encoding}"
    return suffixes.get(PurePosixPath(name).suffix) or kind or "application/octet-stream"


def _times(provenance: Provenance) -> dict[str, str]:
    times = {"startTime": provenance.started, "endTime": provenance.ended}
    return {
        name: time.isoformat(timespec="seconds") for name, time in times.items() if time is not None
    }


def _now() -> datetime:
    """The time, or that of SOURCE_DATE_EPOCH, for builds that are the same every time."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch is None:
        return datetime.now(UTC).replace(microsecond=0)
    try:
        return datetime.fromtimestamp(int(epoch), UTC)
    except (ValueError, OverflowError, OSError) as error:
        problem = f"SOURCE_DATE_EPOCH is {epoch!r}"
        raise UsageError(problem, "it counts seconds since 1970") from error


def _write(path: Path, files: Mapping[str, bytes]) -> None:
    """Members sorted and without a time of their own."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, files[name], _compression(files[name]), compresslevel=9)
    write_file(path, packed.getvalue())


def _compression(content: bytes) -> int:
    packed = content.startswith((b"\x1f\x8b", b"PK", b"BZh", b"\xfd7zXZ"))
    return zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
