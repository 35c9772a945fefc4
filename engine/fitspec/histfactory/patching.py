"""JSON Patch (RFC 6902) as published likelihoods use it, with errors that name the operation."""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Mapping
from typing import Any

import jsonpatch
import jsonpointer
import orjson

from fitspec.errors import PatchError

NO_OPERATIONS = b"[]"
"""The patch of a workspace that holds its signal already."""

PROTECTED = "/observations"
"""A signal hypothesis never changes the data."""


def apply_patch(
    workspace: Mapping[str, Any], patch: bytes, name: str, *, protect: bool = True
) -> dict[str, Any]:
    """A workspace with its signal.

    Args:
        workspace: parsed background-only workspace; it stays as it is.
        patch: JSON of the list of operations.
        name: the patch's name, for messages.
        protect: refuse what touches the observations. No fit is made without; an inspection wants
            to see what such a patch does.

    Returns:
        the patched workspace. What the patch does not touch is shared with the background, so that
        its samples can be recognised: the caller must not change it.

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
    content = dict(workspace)
    own: set[int] = set()  # containers that are not the background's
    for index, operation in enumerate(operations):
        for pointer in _changed(operation):
            _unshare(content, pointer, own)
        _apply_operation(content, operation, index, name, protect)
    return content


def _unshare(content: dict[str, Any], pointer: str, own: set[int]) -> None:
    """Copy the containers on the way to what a pointer changes, and nothing beside it."""
    parent: Any = content
    for part in pointer.split("/")[1:-1]:
        try:
            key = int(part) if isinstance(parent, list) else jsonpointer.unescape(part)
            child = parent[key]
        except (KeyError, IndexError, TypeError, ValueError):
            return  # points to nothing: applying it will say so
        if id(child) not in own and isinstance(child, dict | list):
            child = parent[key] = child.copy()
            own.add(id(child))
        parent = child


def _apply_operation(
    content: dict[str, Any], operation: dict[str, Any], index: int, name: str, protect: bool
) -> None:
    where = f"operation {index} {operation.get('op')!r}"
    path = _printable(str(operation.get("path", "")))
    changed = _changed(operation)
    if "" in changed or (protect and any(_is_protected(pointer) for pointer in changed)):
        problem = "changes the observed data, which no signal hypothesis may do"
        raise PatchError(problem, name, where, path)
    large = operation.get("op") in ("add", "replace") and "value" in operation
    try:
        if operation.get("op") == "move":  # its target may be another one once its source is gone
            content.update(copy.deepcopy(content))
        # the library would copy the value through and through, which costs more than all the rest
        light = {**operation, "value": None} if large else operation
        jsonpatch.JsonPatch([light]).apply(content, in_place=True)
        if large:
            _place(content, operation["path"], operation["value"])
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


def _place(content: dict[str, Any], pointer: str, value: Any) -> None:
    parent, key = jsonpointer.JsonPointer(pointer).to_last(content)
    if isinstance(parent, list):
        parent[-1 if key == "-" else int(str(key))] = value
    else:
        parent[key] = value


def _changed(operation: dict[str, Any]) -> list[str]:
    """Pointers to what an operation changes; ``test`` and the source of a ``copy`` only read."""
    keys = {"test": [], "move": ["from", "path"]}.get(str(operation.get("op")), ["path"])
    return [str(operation[key]) for key in keys if key in operation]


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)


def _is_protected(pointer: str) -> bool:
    return pointer == PROTECTED or pointer.startswith(f"{PROTECTED}/")
