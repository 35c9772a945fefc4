"""Patching a workspace: what jsonpatch does, except to the data, and errors that name the place."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import jsonpatch
import jsonpointer
import pyhf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitspec.errors import PatchError
from fitspec.histfactory import apply_patch

Workspace = dict[str, Any]
Operation = dict[str, Any]
SAMPLES = "/channels/0/samples"
POINTERS = [
    "/channels", "/channels/0", "/channels/1", "/channels/2", "/channels/-", "/channels/x",
    SAMPLES, f"{SAMPLES}/0", f"{SAMPLES}/-", f"{SAMPLES}/0/data/1", f"{SAMPLES}/0/modifiers/0/data",
    f"{SAMPLES}/0/name", f"{SAMPLES}/0/name/x", "/version", "/new", "/new/a", "/a~1b", "/a~0b",
    "/measurements/0/config/parameters/-", "x", "/~2",
]  # fmt: skip


def apply(workspace: Workspace, *operations: Any) -> Workspace:
    """The workspace after the operations of a patch called ``signal``."""
    return apply_patch(workspace, json.dumps(operations).encode(), "signal")


def refused(workspace: Workspace, *operations: Any) -> PatchError:
    """The error of a patch that must be refused, which is one printable line."""
    with pytest.raises(PatchError) as caught:
        apply(workspace, *operations)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400
    assert str(caught.value).startswith("patch 'signal'")
    return caught.value


def operation(op: str, path: str, **others: Any) -> Operation:
    return {"op": op, "path": path, **others}


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param([], id="nothing"),
        pytest.param([operation("add", f"{SAMPLES}/-", value={"name": "x"})], id="add at the end"),
        pytest.param([operation("add", f"{SAMPLES}/0", value={"name": "x"})], id="add in front"),
        pytest.param([operation("replace", f"{SAMPLES}/0/data", value=[1.0, 2])], id="replace"),
        pytest.param([operation("replace", "/version", value=None)], id="replace by null"),
        pytest.param([operation("remove", "/channels/1")], id="remove"),
        pytest.param(
            [operation("copy", f"{SAMPLES}/-", **{"from": f"{SAMPLES}/0"})], id="copy in place"
        ),
        pytest.param([operation("move", "/moved", **{"from": "/channels/0"})], id="move"),
        pytest.param([operation("test", "/version", value="1.0.0")], id="test"),
        pytest.param(
            [
                operation("add", "/a~1b~0c", value=[]),
                operation("add", "/a~1b~0c/-", value="größe"),
                operation("test", "/a~1b~0c/0", value="größe"),
                operation("remove", "/a~1b~0c/0"),
            ],
            id="one after the other",
        ),
        pytest.param([operation("remove", "/channels/1", comment="ignored")], id="unknown member"),
    ],
)
def test_a_patch_does_what_jsonpatch_does(
    operations: list[Operation], background: Workspace
) -> None:
    assert apply(background, *operations) == jsonpatch.apply_patch(background, operations)


@pytest.fixture(scope="module")
def plain() -> Workspace:
    """A workspace for properties; not to be changed."""
    sample = {"name": "bkg", "data": [50.0, 30.0], "modifiers": [{"name": "s", "data": None}]}
    return {
        "channels": [{"name": "SR", "samples": [sample]}, {"name": "CR", "samples": []}],
        "observations": [{"name": "SR", "data": [52.0, 33.0]}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
        "version": "1.0.0",
    }


values = st.sampled_from([None, 1, 2.5, "x", [], [1, {"a": 2}], {"name": "x"}, "1.0.0"])
operations = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["add", "replace", "remove", "copy", "move", "test", "frobnicate"]),
        "path": st.sampled_from(POINTERS),
    },
    optional={"from": st.sampled_from([*POINTERS, ""]), "value": values},
)


@settings(deadline=None, max_examples=400)
@given(patch=st.lists(operations, max_size=4))
def test_any_patch_gives_what_jsonpatch_gives_or_is_refused_like_there(
    patch: list[Operation], plain: Workspace
) -> None:
    try:
        expected = jsonpatch.apply_patch(plain, copy.deepcopy(patch))
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException):
        refused(plain, *patch)
    else:
        assert apply(plain, *patch) == expected


def test_the_background_is_untouched_and_every_result_is_fresh(
    background: Workspace, make_patch: Callable[..., list[Operation]]
) -> None:
    raw = json.dumps(background).encode()
    before = bytes(raw)
    patch = json.dumps(make_patch([5.0, 8.0])).encode()
    first, second = (apply_patch(raw, patch, "signal") for _ in range(2))
    first["channels"].clear()
    assert second == jsonpatch.apply_patch(background, patch.decode())
    assert raw == before


def test_pyhf_accepts_the_patched_workspace(
    background: Workspace, make_patch: Callable[..., list[Operation]]
) -> None:
    patched = apply(background, *make_patch([5.0, 8.0]))
    model = pyhf.Workspace(patched).model()
    theirs = pyhf.Workspace(background).model(patches=[make_patch([5.0, 8.0])])
    assert model.spec == theirs.spec
    assert "signal" in model.config.samples


@pytest.mark.parametrize(
    ("bad", "where", "problem"),
    [
        pytest.param(
            operation("remove", "/channels/7"), "'remove' /channels/7", "non-existent", id="range"
        ),
        pytest.param(
            operation("add", "/channels/9", value=1), "'add' /channels/9", "outside", id="insert"
        ),
        pytest.param(
            operation("replace", f"{SAMPLES}/5/data", value=1),
            f"'replace' {SAMPLES}/5/data",
            "out of bounds",
            id="index in the middle",
        ),
        pytest.param(
            operation("add", "/chanels/0", value=1),
            "'add' /chanels/0",
            "member 'chanels' not found",
            id="key",
        ),
        pytest.param(
            operation("frobnicate", "/x"), "'frobnicate' /x", "Unknown operation", id="operation"
        ),
        pytest.param({"path": "/x"}, "None /x", "'op'", id="no operation"),
        pytest.param({"op": ["add"], "path": "/x"}, "['add'] /x", "must be a string", id="list"),
        pytest.param({"op": "add", "value": 1}, "'add'", "'path'", id="no path"),
        pytest.param({"op": "add", "path": 3, "value": 1}, "'add' 3", "'path'", id="number"),
        pytest.param(operation("add", "/x"), "'add' /x", "'value'", id="no value"),
        pytest.param(operation("copy", "/x"), "'copy' /x", "'from'", id="no source to copy"),
        pytest.param(operation("move", "/x"), "'move' /x", "'from'", id="no source to move"),
        pytest.param(
            operation("test", "/version", value="2.0.0"),
            "'test' /version",
            "1.0.0 (<class 'str'>) is not equal to tested value 2.0.0",
            id="failed test",
        ),
        pytest.param(
            operation("test", "/channels", value=[]), "'test' /channels", " ...", id="long"
        ),
        pytest.param(operation("add", "/~2", value=1), "'add' /~2", "escape", id="escape"),
        pytest.param(operation("add", "x", value=1), "'add' x", "start with /", id="no slash"),
        pytest.param(
            operation("remove", "/a\nb\x1b[2J"), r"'remove' '/a\nb\x1b[2J'", "", id="control"
        ),
    ],
)
def test_an_operation_that_cannot_be_applied_is_named(
    bad: Operation, where: str, problem: str, background: Workspace
) -> None:
    good = operation("add", "/comment", value="line\nend")
    error = refused(background, good, good, bad, good)
    assert str(error).startswith(f"patch 'signal' operation 2 {where}: cannot be applied: ")
    assert problem in error.problem


def test_a_failed_test_of_text_with_line_ends_is_one_line(background: Workspace) -> None:
    text = operation("add", "/comment", value="line\nend")
    refused(background, text, operation("test", "/comment", value="other\nend"))


def test_the_error_survives_the_way_back_from_a_worker(background: Workspace) -> None:
    error = refused(background, operation("remove", "/nothing"))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize(
    ("patch", "problem"),
    [
        pytest.param(b"", "not valid JSON", id="empty"),
        pytest.param(b'[{"op": "add",}]', "not valid JSON: trailing comma", id="syntax"),
        pytest.param(b"[" * 100_000, "not valid JSON", id="nested too deeply"),
        pytest.param(b"{}", "a patch is a JSON list of operations", id="object"),
        pytest.param(b"null", "a patch is a JSON list of operations", id="null"),
        pytest.param(b'"[]"', "a patch is a JSON list of operations", id="text"),
        pytest.param(b"[[]]", "a patch is a JSON list of operations", id="list of lists"),
        pytest.param(b'["add"]', "a patch is a JSON list of operations", id="list of text"),
    ],
)
def test_what_is_no_patch_is_refused(patch: bytes, problem: str, background: Workspace) -> None:
    with pytest.raises(PatchError) as caught:
        apply_patch(json.dumps(background).encode(), patch, "signal")
    assert str(caught.value).startswith(f"patch 'signal': {problem}")
    assert len(str(caught.value).splitlines()) == 1


def test_a_value_nested_too_deeply_is_refused(background: Workspace) -> None:
    patch = b'[{"op": "add", "path": "/x", "value": ' + b"[" * 1000 + b"]" * 1000 + b"}]"
    with pytest.raises(PatchError, match="operation 0 'add' /x: cannot be applied: "):
        apply_patch(json.dumps(background).encode(), patch, "signal")


@pytest.mark.parametrize(
    "bad",
    [
        operation("replace", "/observations", value=[]),
        operation("replace", "/observations/0/data", value=[1.0, 2.0]),
        operation("replace", "/observations/0/data/1", value=34.0),
        operation("add", "/observations", value=[]),
        operation("add", "/observations/-", value={"name": "VR", "data": [1.0]}),
        operation("remove", "/observations/0"),
        operation("remove", "/observations"),
        operation("move", "/elsewhere", **{"from": "/observations"}),
        operation("move", "/observations/0", **{"from": "/channels/0"}),
        operation("copy", "/observations/0/data", **{"from": f"{SAMPLES}/0/data"}),
        operation("add", "", value={}),
        operation("replace", "", value={}),
        operation("remove", ""),
        operation("copy", "", **{"from": "/channels"}),
        operation("move", "", **{"from": "/channels"}),
        operation("move", "/channels", **{"from": ""}),
    ],
    ids=lambda op: " ".join(["{op}", op.get("from", ""), "to", op["path"]]).format(**op),
)
def test_no_patch_changes_the_data(bad: Operation, background: Workspace) -> None:
    error = refused(background, operation("test", "/version", value="1.0.0"), bad)
    assert "changes the observed data" in error.problem
    assert error.operation == f"operation 1 {bad['op']!r}"
    assert error.path == bad["path"]


@pytest.mark.parametrize("path", ["/observations_of_old", "/channels/0/observations"])
def test_what_is_only_called_like_the_data_can_be_changed(path: str, background: Workspace) -> None:
    value = {"name": "x"}
    patched = apply(background, operation("add", path, value=value))
    assert jsonpointer.resolve_pointer(patched, path) == value


def test_the_data_can_be_read(background: Workspace) -> None:
    patched = apply(
        background,
        operation("test", "/observations/0/data", value=[52.0, 33.0]),
        operation("copy", f"{SAMPLES}/0/data", **{"from": "/observations/0/data"}),
        operation("replace", f"{SAMPLES}/0/data/0", value=0.0),
    )
    assert patched["channels"][0]["samples"][0]["data"] == [0.0, 33.0]
    assert patched["observations"] == background["observations"]
