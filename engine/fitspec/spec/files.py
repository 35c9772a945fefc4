"""Specification files: finding them, reading them, and pointing into them."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from fitspec.errors import (
    InvalidSpecsError,
    NothingCollectedError,
    SourceError,
    SpecError,
    UsageError,
    nearest,
)
from fitspec.recognise import is_spec
from fitspec.spec.locate import KeyPath, key_lines, line_of
from fitspec.spec.models import SCHEMA_VERSION, Spec
from fitspec.spec.problems import Problem, problems_of, unprintable

BUNDLE_SUFFIX = ".zip"
_TOML_POSITION = re.compile(
    r"^(?P<problem>.*) \(at (?:line (?P<line>\d+), column \d+|end of document)\)$"
)


@dataclass(frozen=True)
class SpecFile:
    """A validated specification and the text it came from.

    Attributes:
        name: as the user named it: a relative path, or ``@name`` for a curated one.
        path: of the file.
        text: its content.
        spec: the validated model.
        bundle: folder of the bundle it is from, beyond which it reads nothing; None for one's own.
    """

    name: str
    path: Path
    text: str
    spec: Spec
    bundle: Path | None = None

    @property
    def sha256(self) -> str:
        """Digest of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def beside(self, name: str) -> Path:
        """The path of a file that the specification names.

        Raises:
            SourceError: it is outside of the bundle.
        """
        folder = self.path.parent
        return folder / name if self.bundle is None else inside(self.bundle, folder, name)

    @cached_property
    def _lines(self) -> dict[KeyPath, int]:
        return key_lines(self.text)

    def line(self, *key: str | int) -> int:
        """1-based line of a key (or, where it is not written out, of its table)."""
        return line_of(key, self._lines)

    def called(self, file: str) -> str:
        """What to call a file that the specification names, from where the user named that."""
        folder = self.path.parent if self.name.startswith("@") else Path(self.name).parent
        return (folder / file).as_posix()

    def error(
        self, key: KeyPath, problem: str, remedy: str = "", kind: type[SpecError] = SpecError
    ) -> SpecError:
        """An error that points to a key (or, where it is not written out, to its table)."""
        return _spec_error(self.name, self._lines, Problem(key, problem, remedy), kind)

    @contextmanager
    def at(self, *key: str | int, kind: type[SourceError] = SourceError) -> Iterator[None]:
        """Turn a source's error of this kind inside the block into one that points to ``key``."""
        try:
            yield
        except kind as error:
            raise self.error(key, error.problem, error.remedy) from error


def load_spec(path: Path, name: str | None = None, bundle: Path | None = None) -> SpecFile:
    """Read and validate one specification.

    Args:
        path: the TOML file.
        name: how to call it in messages and node ids; default: the path as given.
        bundle: folder of the unpacked bundle that it is from.

    Raises:
        SpecError: the file cannot be read, is not TOML, or is not valid (one error).
        InvalidSpecsError: it is not valid in several places.
    """
    name = name if name is not None else path.as_posix()
    text = _read(path, name)
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # beyond its grammar: huge integers, deep nesting
        raise _malformed(name, text, error) from error
    # a link's sources are beside the file it leads to
    found = _validated(name, path.resolve(), text, data)
    return found if bundle is None else replace(found, bundle=bundle.resolve())


def inside(bundle: Path, folder: Path, name: str) -> Path:
    """The path of ``name`` in a folder of a bundle, without ``..``.

    Raises:
        SourceError: it is outside of the bundle.
    """
    path = Path(os.path.normpath(folder / name))
    if not path.is_relative_to(bundle):
        raise SourceError(f"{name!r} is outside of the bundle", "bundles read nothing else")
    return path


Unpack = Callable[[Path], tuple[Path, Path]]
"""From a bundle to the folder that holds its verified files, and the specification in there."""


def find_specs(arguments: Sequence[str], unpack: Unpack | None = None) -> list[SpecFile]:
    """All specifications that the command line's arguments name.

    Args:
        arguments: files, folders (searched for specifications), bundles, or ``@name`` for curated
            ones.
        unpack: opens a bundle; None where there is no use for one.

    Raises:
        UsageError: a path or curated name that does not exist.
        SpecError, InvalidSpecsError: an invalid specification; all of them are reported together.
        NothingCollectedError: folders without a specification.
    """
    named: dict[Path, tuple[Path, str, Path | None]] = {}
    for argument in arguments:
        for path, name, bundle in _expand(argument, unpack):
            named.setdefault(path.resolve(), (path, name, bundle))
    found: list[SpecFile] = []
    errors: list[SpecError] = []
    for path, name, bundle in named.values():
        try:
            found.append(load_spec(path, name, bundle))
        except InvalidSpecsError as several:
            errors.extend(several.errors)
        except SpecError as error:
            errors.append(error)
    if errors:
        raise errors[0] if len(errors) == 1 else InvalidSpecsError(tuple(errors))
    if not found:
        raise NothingCollectedError(
            f"{', '.join(arguments)}: no specification",
            "a specification is a TOML file with the top-level key `fitspec`",
        )
    return found


def library() -> Path:
    """Folder of the curated specifications: inside the wheel, or at the root of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_library"
    return installed if installed.is_dir() else package.parents[1] / "fitspecs"


def _expand(argument: str, unpack: Unpack | None) -> list[tuple[Path, str, Path | None]]:
    """Path, name and bundle of each specification that an argument names."""
    if not argument:
        raise UsageError("an empty path names nothing", "name a file, a folder, or @name")
    if argument.startswith("@"):
        return [(_curated(argument), argument, None)]
    path = Path(argument)
    if path.is_dir():
        return [(found, _display(found), None) for found in _specs_below(path)]
    if not path.exists():
        raise UsageError(f"{argument}: no such file or folder", _similar_path(path))
    if path.suffix.lower() == BUNDLE_SUFFIX:
        if unpack is None:
            raise UsageError(f"{argument}: a bundle is not changed", "unpack it, and take that")
        folder, path_inside = unpack(path)
        return [(path_inside, _display(path), folder)]
    return [(path, _display(path), None)]


def _curated(argument: str) -> Path:
    specs = {path.stem: path for path in library().glob("*.toml")}
    name = argument.removeprefix("@")
    if name not in specs:
        guess = nearest(name, specs, "@{}") or f"there are @{', @'.join(sorted(specs))}"
        raise UsageError(f"{argument}: no such curated specification", guess)
    return specs[name]


def _specs_below(folder: Path) -> list[Path]:
    """Specifications in a folder and its subfolders; hidden ones (``.venv``) are left alone."""
    visible = (
        path
        for path in sorted(folder.rglob("*.toml"))
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    return [path for path in visible if is_spec(path)]


def _display(path: Path) -> str:
    """The path as the user named it, from the working directory where it is below that."""
    named = Path(os.path.abspath(path))  # noqa: PTH100 (resolve would follow links)
    here = Path.cwd()
    return (named.relative_to(here) if named.is_relative_to(here) else path).as_posix()


def _similar_path(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    return nearest(path.name, [p.name for p in path.parent.iterdir()], str(path.parent / "{}"))


def _read(path: Path, name: str) -> str:
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError("not UTF-8 text", name, remedy="TOML files are UTF-8") from error
    except OSError as error:
        raise SpecError(error.strerror or "cannot be read", name) from error
    if text.startswith("\ufeff"):
        raise SpecError("begins with a byte order mark", name, 1, remedy="save it without")
    return text


def _malformed(name: str, text: str, error: ValueError | RecursionError) -> SpecError:
    if found := _TOML_POSITION.match(str(error)):
        last = text.rstrip().count("\n") + 1
        return SpecError(f"not valid TOML: {found['problem']}", name, int(found["line"] or last))
    return SpecError(f"not valid TOML: {error}", name)


def _validated(name: str, path: Path, text: str, data: dict[str, object]) -> SpecFile:
    lines = key_lines(text)
    version = data.get("fitspec")
    if version is None:
        problem = Problem(
            ("fitspec",), "required key is missing", f"add fitspec = {SCHEMA_VERSION}"
        )
        raise _spec_error(name, lines, problem)
    if version != SCHEMA_VERSION or type(version) is not int:
        problem = Problem(
            ("fitspec",),
            f"version {version!r} of the specification language is unknown",
            f"this fitspec reads version {SCHEMA_VERSION}; another release may read yours",
        )
        raise _spec_error(name, lines, problem)
    if (key := unprintable(data)) is not None:
        problem = Problem(key, "holds a control character", "write plain text, on one line")
        raise _spec_error(name, lines, problem)
    try:
        spec = Spec.model_validate(data)
    except ValidationError as invalid:
        errors = tuple(_spec_error(name, lines, p) for p in problems_of(invalid, data, Spec))
        raise errors[0] if len(errors) == 1 else InvalidSpecsError(errors) from invalid
    return SpecFile(name, path, text, spec)


def _spec_error(
    name: str, lines: dict[KeyPath, int], problem: Problem, kind: type[SpecError] = SpecError
) -> SpecError:
    return kind(problem.text, name, line_of(problem.key, lines), problem.dotted, problem.remedy)
