"""One exception tree. Every error says where, what and the remedy, and carries its exit code.

All classes take positional arguments only and hand them to ``Exception`` unchanged, so that an
error survives pickling on its way back from a worker.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command line; the numbers are pytest's."""

    OK = 0
    CHECKS_FAILED = 1
    INTERRUPTED = 2
    INTERNAL_ERROR = 3
    USAGE_ERROR = 4
    NOTHING_COLLECTED = 5


class FitspecError(Exception):
    """Base of all errors of fitspec.

    Args:
        problem: what is wrong, in one line.
        remedy: what the user can do about it; may be empty.
    """

    exit_code = ExitCode.INTERNAL_ERROR

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return _with_remedy(self.problem, self.remedy)


class UsageError(FitspecError):
    """A command line, selection or user configuration that cannot be understood."""

    exit_code = ExitCode.USAGE_ERROR


class NothingCollectedError(FitspecError):
    """The specs hold no point, or the selection leaves none."""

    exit_code = ExitCode.NOTHING_COLLECTED


class LockError(FitspecError):
    """What a run depends on is not as it was locked; one line for each difference."""

    exit_code = ExitCode.USAGE_ERROR


class SpecError(FitspecError):
    """A fit specification that is invalid, or that its sources contradict.

    Args:
        problem: what is wrong, in one line.
        file: the specification (or table) as the user named it.
        line: 1-based line in ``file``; None where no line can be given.
        key: dotted key, ``patches.select``; empty for the file as a whole.
        remedy: what the user can do about it; may be empty.
    """

    exit_code = ExitCode.USAGE_ERROR

    def __init__(
        self, problem: str, file: str, line: int | None = None, key: str = "", remedy: str = ""
    ) -> None:
        Exception.__init__(self, problem, file, line, key, remedy)
        self.problem = problem
        self.file = file
        self.line = line
        self.key = key
        self.remedy = remedy

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        parts = [where, self.key, self.problem] if self.key else [where, self.problem]
        return _with_remedy(": ".join(parts), self.remedy)


class NotYetError(SpecError):
    """A valid specification that asks for something this version does not compute yet."""


class InvalidSpecsError(FitspecError):
    """Several :class:`SpecError` of one run, one line each."""

    exit_code = ExitCode.USAGE_ERROR

    def __init__(self, errors: tuple[SpecError, ...]) -> None:
        Exception.__init__(self, errors)
        self.errors = errors
        self.problem = "\n".join(map(str, errors))
        self.remedy = ""


class SourceError(FitspecError):
    """A workspace, archive, table or patch that cannot be had or cannot be trusted."""

    exit_code = ExitCode.USAGE_ERROR


class DownloadError(SourceError):
    """A remote source that could not be fetched whole."""


class DigestError(SourceError):
    """Bytes that do not have the digest the specification names."""


class ArchiveError(SourceError):
    """An archive that is hostile, damaged, or lacks a member."""


class WorkspaceError(SourceError):
    """A workspace or patchset that is not what its schema or the specification says."""


class PatchError(FitspecError):
    """A patch that cannot be applied to its workspace.

    Args:
        problem: what is wrong, in one line.
        patch: the patch's name.
        operation: the operation as ``op 3 'add'``; empty for the patch as a whole.
        path: the operation's JSON pointer; empty for the patch as a whole.
    """

    exit_code = ExitCode.CHECKS_FAILED

    def __init__(self, problem: str, patch: str, operation: str = "", path: str = "") -> None:
        Exception.__init__(self, problem, patch, operation, path)
        self.problem = problem
        self.patch = patch
        self.operation = operation
        self.path = path
        self.remedy = ""

    def __str__(self) -> str:
        where = " ".join(filter(None, (f"patch {self.patch!r}", self.operation, self.path)))
        return f"{where}: {self.problem}"


class InferenceError(FitspecError):
    """A fit or test whose numbers cannot be trusted: not converged, not finite, contradictory."""

    exit_code = ExitCode.CHECKS_FAILED


class ConvergenceError(InferenceError):
    """A minimiser did not find a minimum; another one may."""


class ExecutionError(FitspecError):
    """Work that was lost: a worker died, or worker and submitter do not match."""

    exit_code = ExitCode.CHECKS_FAILED


class WorkerLostError(ExecutionError):
    """A worker died, or its answer never came; another try may go well."""


class EndpointAwayError(WorkerLostError):
    """An endpoint that takes no work for the moment; it may be back soon."""


class TooLargeError(ExecutionError):
    """A payload or an answer that the endpoint does not carry; a smaller one may pass."""


class EndpointError(ExecutionError):
    """An endpoint that cannot be reached or refuses all work."""


class MissingExtraError(FitspecError):
    """An optional dependency that is not installed."""

    exit_code = ExitCode.USAGE_ERROR

    def __init__(self, module: str, extra: str) -> None:
        Exception.__init__(self, module, extra)
        self.problem = f"{module} is not installed"
        self.remedy = f"pip install 'fitspec[{extra}]'"


def counted(number: int, noun: str) -> str:
    """``1 point``, ``2 points``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def nearest(bad: str, good: Iterable[str], template: str = "{}") -> str:
    """``did you mean 'select'?``, or nothing if no good value is near."""
    match = difflib.get_close_matches(bad, list(good), n=1, cutoff=0.6)
    return f"did you mean {template.replace('{}', match[0])!r}?" if match else ""


def _with_remedy(problem: str, remedy: str) -> str:
    return f"{problem}; {remedy}" if remedy else problem
