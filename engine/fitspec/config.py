"""The user's own settings: a TOML file under platformdirs, and the environment.

Precedence is command line, specification, this, defaults; :mod:`fitspec.session` merges them.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo

from fitspec.errors import UsageError
from fitspec.spec.endpoint import KEYS_OF_KINDS, EndpointSettings, Kind
from fitspec.spec.locate import key_lines, line_of
from fitspec.spec.problems import Problem, problems_of, unprintable
from fitspec.spec.types import Model, Name


def _beside_the_file(path: Any, info: ValidationInfo) -> Any:
    """Paths are relative to the configuration file, whose folder is the context."""
    if isinstance(path, Path):
        return path
    if not path or not isinstance(path, str):
        raise ValueError(f"input should be a path, found {path!r}")
    return Path(info.context or ".") / Path(path).expanduser()


OwnPath = Annotated[Path, BeforeValidator(_beside_the_file)]


class NamedEndpoint(EndpointSettings):
    """A table `[endpoints.NAME]`."""

    kind: Kind
    config: OwnPath | None = None
    """Python file with a Parsl configuration. It is code: no specification can name one."""
    options: dict[str, Any] = {}  # noqa: RUF012 (pydantic copies defaults)
    """What else the kind of a plugin understands."""

    def _require_consistent(self) -> None:
        if self.options and self.kind in KEYS_OF_KINDS:
            raise ValueError(f'options are for the kinds of plugins; this is "{self.kind}"')
        super()._require_consistent()


class Config(Model):
    """Keys of ``config.toml``."""

    mirror: OwnPath | None = None
    """Folder asked first for every source; relative to the configuration file."""
    cache: OwnPath | None = None
    """Folder for downloads and results; relative to the configuration file."""
    workers: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)] = "auto"
    """Local workers where neither command line nor specification gives a number."""
    endpoint: Name | None = None
    """Name (or kind) of the endpoint where neither command line nor specification names one."""
    endpoints: dict[Name, NamedEndpoint] = {}  # noqa: RUF012
    """Endpoints by name."""


def config_path() -> Path:
    """The configuration file named by ``FITSPEC_CONFIG``, else the user's; it need not exist."""
    named = os.environ.get("FITSPEC_CONFIG")
    return Path(named or platformdirs.user_config_path("fitspec") / "config.toml")


def load_config() -> Config:
    """What :func:`config_path` says; without the file, the defaults.

    ``FITSPEC_MIRROR`` and ``FITSPEC_CACHE`` override its keys.

    Raises:
        UsageError: it cannot be read, or has a key or value that is not understood.
    """
    path = config_path()
    text = ""
    if path.exists():
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError) as error:
            raise _unreadable(path, error) from error
    elif os.environ.get("FITSPEC_CONFIG"):
        raise UsageError(f"FITSPEC_CONFIG names {path}, which does not exist", "correct it")
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # beyond its grammar: huge integers, deep nesting
        raise _unreadable(path, error) from error
    if (key := unprintable(data)) is not None:
        raise _wrong(path, text, Problem(key, "holds a control character", "write plain text"))
    for name in ("mirror", "cache"):
        if value := os.environ.get(f"FITSPEC_{name.upper()}"):
            data[name] = Path(value).expanduser()
    try:
        return Config.model_validate(data, context=path.parent)
    except ValidationError as invalid:
        raise _wrong(path, text, problems_of(invalid, data, Config)[0]) from invalid


def cache_folder(config: Config) -> Path:
    """Where downloads and results are kept."""
    return config.cache or platformdirs.user_cache_path("fitspec")


def wrong_setting(key: tuple[str, ...], problem: str, remedy: str) -> UsageError:
    """An error of a key that :func:`load_config` has read, with its line.

    Args:
        key: from the top of the file.
        problem: what is wrong.
        remedy: what to do.
    """
    path = config_path()
    return _wrong(path, path.read_text(encoding="utf-8"), Problem(key, problem, remedy))


def _unreadable(path: Path, error: Exception) -> UsageError:
    return UsageError(f"{path}: {error}", "correct or remove it")


def _wrong(path: Path, text: str, problem: Problem) -> UsageError:
    where = f"{path}:{line_of(problem.key, key_lines(text))}"
    return UsageError(f"{where}: {problem.dotted}: {problem.text}", problem.remedy)
