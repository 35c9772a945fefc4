"""The user's own settings: a TOML file under platformdirs, and the environment.

Precedence is command line, specification, this, defaults; the front end does the merging.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fitspec.errors import UsageError


class Config(BaseModel):
    """Keys of ``config.toml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mirror: Path | None = None
    """Folder asked first for every source."""
    cache: Path | None = None
    """Folder for downloads and results."""
    workers: Literal["auto"] | int = Field(default="auto", ge=1)
    """Local workers where neither command line nor specification gives a number."""


def load_config() -> Config:
    """The configuration file named by ``FITSPEC_CONFIG``, else the user's, else the defaults.

    ``FITSPEC_MIRROR`` and ``FITSPEC_CACHE`` override its keys.

    Raises:
        UsageError: it cannot be read, or has a key or value that is not understood.
    """
    path = Path(
        os.environ.get("FITSPEC_CONFIG") or platformdirs.user_config_path("fitspec") / "config.toml"
    )
    data: dict[str, object] = {}
    if path.exists():
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise UsageError(f"{path}: {error}", "correct or remove it") from error
    elif "FITSPEC_CONFIG" in os.environ:
        raise UsageError(f"FITSPEC_CONFIG names {path}, which does not exist", "correct it")
    for key in ("mirror", "cache"):
        if value := os.environ.get(f"FITSPEC_{key.upper()}"):
            data[key] = value
    try:
        return Config.model_validate(data)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        key = ".".join(map(str, first["loc"]))
        known = ", ".join(Config.model_fields)
        raise UsageError(f"{path}: {key}: {first['msg']}", f"known keys: {known}") from invalid


def cache_folder(config: Config) -> Path:
    """Where downloads and results are kept."""
    return config.cache or platformdirs.user_cache_path("fitspec")
