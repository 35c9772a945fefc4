"""The user's own settings: a TOML file under platformdirs, and the environment.

Precedence is command line, specification, this, defaults; :mod:`fitspec.session` merges them.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fitspec.errors import UsageError


class Config(BaseModel):
    """Keys of ``config.toml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mirror: Path | None = None
    """Folder asked first for every source; relative to the configuration file."""
    cache: Path | None = None
    """Folder for downloads and results; relative to the configuration file."""
    workers: Literal["auto"] | Annotated[int, Field(ge=1, strict=True)] = "auto"
    """Local workers where neither command line nor specification gives a number."""


def load_config() -> Config:
    """The configuration file named by ``FITSPEC_CONFIG``, else the user's, else the defaults.

    ``FITSPEC_MIRROR`` and ``FITSPEC_CACHE`` override its keys.

    Raises:
        UsageError: it cannot be read, or has a key or value that is not understood.
    """
    named = os.environ.get("FITSPEC_CONFIG")
    path = Path(named or platformdirs.user_config_path("fitspec") / "config.toml")
    data: dict[str, object] = {}
    if path.exists():
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise UsageError(f"{path}: {error}", "correct or remove it") from error
    elif named:
        raise UsageError(f"FITSPEC_CONFIG names {path}, which does not exist", "correct it")
    for key in ("mirror", "cache"):
        if isinstance(folder := data.get(key), str):
            data[key] = path.parent / Path(folder).expanduser()
        if value := os.environ.get(f"FITSPEC_{key.upper()}"):
            data[key] = Path(value).expanduser()
    try:
        return Config.model_validate(data)
    except ValidationError as invalid:
        last = invalid.errors()[-1]  # of workers: a number is what was meant
        known = ", ".join(Config.model_fields)
        problem = f"{path}: {last['loc'][0]}: {last['msg']}"
        raise UsageError(problem, f"known keys: {known}") from invalid


def cache_folder(config: Config) -> Path:
    """Where downloads and results are kept."""
    return config.cache or platformdirs.user_cache_path("fitspec")
