"""Bundles by hand, honest and hostile: zip files with the metadata of an RO-Crate."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

SPEC = "specification/small.toml"
METADATA = "ro-crate-metadata.json"


def metadata(files: Mapping[str, bytes], spec: str = SPEC) -> dict[str, Any]:
    """What a bundle says of its files."""
    return {
        "@context": "https://w3id.org/ro/crate/1.1/context",
        "@graph": [
            {"@id": METADATA, "@type": "CreativeWork", "about": {"@id": "./"}},
            {"@id": "./", "@type": "Dataset", "mainEntity": {"@id": quote(spec)}},
            *(
                {
                    "@id": quote(name),
                    "@type": "File",
                    "sha256": hashlib.sha256(content).hexdigest(),
                }
                for name, content in files.items()
            ),
        ],
    }


def packed(path: Path, files: Mapping[str, bytes], described: Any) -> Path:
    """A zip file of files and their metadata, whether they belong together or not."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        archive.writestr(METADATA, json.dumps(described))
    return path


def bundle_of(folder: Path, path: Path, **others: bytes) -> Path:
    """A bundle of all files of a folder, beside each other; ``small.toml`` is its specification."""
    files = {f"specification/{file.name}": file.read_bytes() for file in folder.iterdir()}
    files |= others
    return packed(path, files, metadata(files))
