"""JSON Patch (RFC 6902) as published likelihoods use it, with errors that name the operation."""

from __future__ import annotations

import textwrap
from typing import Any

import jsonpatch
import jsonpointer
import orjson

from fitspec.errors import PatchError

NO_OPERATIONS = b"[]"
"""The patch of a workspace that holds its signal already."""

PROTECTED = "/observations"
"""A signal hypothesis never changes the data."""


def apply_patch(workspace: bytes, patch: bytes, name: str) -> dict[str, Any]:
    """A workspace with its signal.

    Args:
        workspace: JSON of the background-only workspace.
        patch: JSON of the list of operations.
        name: the patch's name, for messages.

    Returns:
        the patched workspace, freshly parsed: the caller may change it.

    Raises:
        PatchError: naming patch, operation and path: it is malformed, points to nothing, or
            touches the observations.
    """
    try:
        operations = orjson.loads(patch)
    except orjson.JSONDecodeError as error:
        raise PatchError(f"not valid JSON: {error}", name) from error
    if not isinstance(operations, list) or not all(isinstance(op, dict) for op in operations):
        raise PatchError("a patch is a JSON list of operations", name)
    content: dict[str, Any] = orjson.loads(workspace)
    for index, operation in enumerate(operations):
        _apply_operation(content, operation, index, name)
    return content


def _apply_operation(
    content: dict[str, Any], operation: dict[str, Any], index: int, name: str
) -> None:
    where = f"operation {index} {operation.get('op')!r}"
    path = _printable(str(operation.get("path", "")))
    if any(_is_protected(pointer) for pointer in _changed(operation)):
        problem = "changes the observed data, which no signal hypothesis may do"
        raise PatchError(problem, name, where, path)
    try:
        jsonpatch.JsonPatch([operation]).apply(content, in_place=True)
    except (
        jsonpatch.JsonPatchException,
        jsonpointer.JsonPointerException,
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        AttributeError,
        RecursionError,
    ) as error:
        # of bounded length: the libraries quote whole documents
        problem = textwrap.shorten(str(error) or type(error).__name__, 200, placeholder=" ...")
        raise PatchError(f"cannot be applied: {_printable(problem)}", name, where, path) from error


def _changed(operation: dict[str, Any]) -> list[str]:
    """Pointers to what an operation changes; ``test`` and the source of a ``copy`` only read."""
    keys = {"test": [], "move": ["from", "path"]}.get(str(operation.get("op")), ["path"])
    return [str(operation[key]) for key in keys if key in operation]


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)


def _is_protected(pointer: str) -> bool:
    return pointer in {"", PROTECTED} or pointer.startswith(f"{PROTECTED}/")
