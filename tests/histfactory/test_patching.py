"""Patching a workspace: what jsonpatch does, except to the data, and errors that name the place."""

from __future__ import annotations

import contextlib
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
from strategies import workspaces_and_patches

from fitspec.errors import PatchError
from fitspec.histfactory import apply_patch

Workspace = dict[str, Any]
Operation = dict[str, Any]
SAMPLES = "/channels/0/samples"
POINTERS = [
    "/channels", "/channels/0", "/channels/1", "/channels/1/x", "/channels/3", "/channels/-",
    "/channels/x",
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
        "channels": [
            {"name": "SR", "samples": [sample]},
            {"name": "CR", "samples": []},
            {"name": "VR", "samples": []},
        ],
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


@settings(deadline=None, max_examples=400)
@given(patch=st.lists(operations, max_size=4))
def test_the_background_stays_as_it_is_whatever_the_patch(
    patch: list[Operation], plain: Workspace
) -> None:
    before = copy.deepcopy(plain)
    with contextlib.suppress(PatchError):
        apply(plain, *patch)
    assert plain == before


@settings(deadline=None)
@given(workspaces_and_patches())
def test_a_signal_patch_shares_with_the_background_what_it_does_not_touch(
    drawn: tuple[Workspace, list[Operation]],
) -> None:
    background, patch = drawn
    before = copy.deepcopy(background)
    patched = apply(background, *patch)
    assert patched == jsonpatch.apply_patch(background, patch)
    assert background == before

    touched = {tuple(op["path"].split("/")[2:5:2]) for op in patch if "/modifiers/" in op["path"]}
    shared = {id(sample) for channel in patched["channels"] for sample in channel["samples"]}
    gone = [op["path"].split("/")[2] for op in patch if op["op"] == "remove"]
    for i, channel in enumerate(background["channels"]):
        for j, sample in enumerate(channel["samples"]):
            alone = str(i) not in gone and (str(i), str(j)) not in touched
            assert (id(sample) in shared) == alone
    assert patched["observations"] is background["observations"]
    reconfigured = any(op["path"].startswith("/measurements") for op in patch)
    assert (patched["measurements"] is background["measurements"]) == (not reconfigured)


def test_several_patches_of_one_background_know_nothing_of_each_other(
    background: Workspace, make_patch: Callable[..., list[Operation]]
) -> None:
    first = apply(background, *make_patch([5.0, 8.0]))
    second = apply(background, *make_patch([1.0, 2.0]))
    assert [s["data"] for s in first["channels"][0]["samples"]] == [[50.0, 30.0], [5.0, 8.0]]
    assert [s["data"] for s in second["channels"][0]["samples"]] == [[50.0, 30.0], [1.0, 2.0]]
    assert first["channels"][1] is second["channels"][1] is background["channels"][1]


def test_what_a_patch_copies_or_moves_and_then_changes_is_not_shared(background: Workspace) -> None:
    before = copy.deepcopy(background)
    patch = [
        operation("copy", "/channels/1/samples/-", **{"from": f"{SAMPLES}/0"}),
        operation("replace", "/channels/1/samples/1/data/0", value=-1.0),
        operation("move", "/moved", **{"from": f"{SAMPLES}/0"}),
        operation("replace", "/moved/data/1", value=-2.0),
    ]
    assert apply(background, *patch) == jsonpatch.apply_patch(background, patch)
    assert background == before


def test_a_move_within_a_list_changes_nothing_of_the_background(plain: Workspace) -> None:
    """Once the first channel is gone, the third one is /channels/1."""
    before = copy.deepcopy(plain)
    patch = [operation("move", "/channels/1/moved", **{"from": "/channels/0"})]
    patched = apply(plain, *patch)
    assert patched == jsonpatch.apply_patch(plain, patch)
    assert patched["channels"][1] == {"name": "VR", "samples": [], "moved": plain["channels"][0]}
    assert plain == before


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
        apply_patch(background, patch, "signal")
    assert str(caught.value).startswith(f"patch 'signal': {problem}")
    assert len(str(caught.value).splitlines()) == 1


def test_a_value_nested_too_deeply_to_be_copied_is_refused(background: Workspace) -> None:
    deep = b"[" * 1000 + b"]" * 1000
    add = b'{"op": "add", "path": "/x", "value": ' + deep + b"}"
    for bad in (b'{"op": "copy", "path": "/y", "from": "/x"}',
                b'{"op": "move", "path": "/y", "from": "/x"}'):  # fmt: skip
        with pytest.raises(PatchError, match=r"operation 1 '\w+' /y: cannot be applied: "):
            apply_patch(background, b"[" + add + b"," + bad + b"]", "signal")


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
