from __future__ import annotations

from pathlib import Path

import pytest

from fitspec.errors import InvalidSpecsError, SpecError
from fitspec.spec import load_spec
from fitspec.spec.problems import Problem

PREFIX = """\
fitspec = 1
analysis.name = "small"
workspace.path = "background.json"
"""

ONE_PROBLEM = {
    "an unknown table": (
        "[inferense]",
        "4: inferense: unknown key; did you mean 'inference'?",
    ),
    "an unknown key": (
        "[patches]\nfiles = 'x'\nselct = {m = 1}",
        "6: patches.selct: unknown key; did you mean 'select'?",
    ),
    "an unknown key in an array of tables": (
        "[[expect]]\ntable = 'x'\n\n[[expect]]\ntable = 'y'\nrtoll = 1",
        "9: expect[1].rtoll: unknown key; did you mean 'rtol'?",
    ),
    "an unknown key in one kind of a value": (
        "[inference]\ncalculator = 'toys'\ntoys = {max = 1, precision = 0.1, precisionn = 2}",
        "6: inference.toys.precisionn: unknown key; did you mean 'precision'?",
    ),
    "an unknown key of a range": (
        "[patches]\nfiles = 'x'\n[patches.select]\nm_N1 = {gee = 1}",
        "7: patches.select.m_N1.gee: unknown key; did you mean 'ge'?",
    ),
    "an unknown key with no good one near": (
        "[combine]\nbest_expected = 'region'\nzzz = 1\n[parametrize]\nregion = ['A']",
        "6: combine.zzz: unknown key; known keys: best_expected",
    ),
    "an unknown key that needs quotes": (
        '[backend]\n"a.b" = 1',
        "5: backend.'a.b': unknown key; known keys: name, optimizer, tensor",
    ),
    "a key that would garble the terminal": (
        '[backend]\n"a\\u001b[31mb" = 1',
        "5: backend.'a\\x1b[31mb': holds a control character; write plain text, on one line",
    ),
    "a value of two lines": (
        '[endpoint]\nname = "river\\nside"',
        "5: endpoint.name: holds a control character; write plain text, on one line",
    ),
    "an address here": (
        '[endpoint]\naddress = "tcp://10.0.0.1"',
        '4: endpoint: address belongs to kind = "dask"; this is "local"',
    ),
    "a name and a place": (
        '[endpoint]\nname = "river"\nkind = "dask"\naddress = "tcp://10.0.0.1"',
        "4: endpoint: name stands for kind, id and address; remove kind and address",
    ),
    "a Parsl configuration, which is code": (
        '[endpoint]\nkind = "parsl"\nconfig = "cluster.py"',
        "6: endpoint.config: unknown key; "
        "known keys: address, deadline, id, kind, name, queue, workers",
    ),
    "a Globus endpoint without its UUID": (
        '[endpoint]\nkind = "funcx"',
        '4: endpoint: kind = "globus-compute" needs id; it is the UUID of the endpoint',
    ),
    "a value twice": ("poi.test = [1, 2, 1]", "4: poi: test lists a POI value twice"),
    "a missing key": (
        "[cross_section]\ntable = 'x'",
        "4: cross_section.on: required key is missing",
    ),
    "an unknown word": (
        "[inference]\ntest_statistic = 'qtilda'",
        "5: inference.test_statistic: 'qtilda' is not allowed; did you mean 'qtilde'?",
    ),
    "an unknown word with no good one near": (
        "[inference]\ntest_statistic = []",
        "5: inference.test_statistic: [] is not allowed; one of q, qtilde, q0",
    ),
    "a word where a number may stand, too": (
        "[endpoint]\nworkers = 'Auto'",
        "5: endpoint.workers: 'Auto' is not allowed; did you mean 'auto'?",
    ),
    "a number that is too small, where a word may stand, too": (
        "[endpoint]\nworkers = 0",
        "5: endpoint.workers: input should be greater than or equal to 1, found 0",
    ),
    "a value of another type": (
        "[poi]\ntest = true",
        "5: poi.test: input should be a valid number, found True",
    ),
    "an element of another type": (
        "[poi]\ntest = [\n  1,\n  'one',\n]",
        "7: poi.test[1]: input should be a valid number, found 'one'",
    ),
    "a value instead of a table": (
        "poi = 1",
        "4: poi: input should be a valid table, found 1",
    ),
    "a table instead of an array of tables": (
        "[expect]\ntable = 'x'",
        "4: expect: input should be a valid list, found {'table': 'x'}",
    ),
    "a value instead of a selection": (
        "patches = {files = 'x', select = {m = []}}",
        "4: patches.select.m: may not be empty",
    ),
    "nan": (
        "patches = {files = 'x', select = {m = nan}}",
        "4: patches.select.m: input should be a finite number, found nan",
    ),
    "an empty key": (
        "[parametrize]\n'' = ['A']",
        "5: parametrize.'': may not be empty",
    ),
    "a long value": (
        f"[endpoint]\nworkers = '{'x' * 100}'",
        f"5: endpoint.workers: '{'x' * 58}… is not allowed; one of auto",
    ),
    "too few numbers": (
        "[[expect]]\npoint = 'x'\nCLs_exp = [1, 2]",
        "6: expect[0].CLs_exp: too few numbers, found 2; -2..+2 sigma are five",
    ),
    "too many numbers": (
        "[[expect]]\npoint = 'x'\nCLs_exp = [1, 2, 3, 4, 5, 6]",
        "6: expect[0].CLs_exp: list should have at most 5 items after validation, not 6,"
        " found [1, 2, 3, 4, 5, 6]",
    ),
    "a digest without its algorithm": (
        "workspace.digest = 'sha1:0'",
        "4: workspace.digest: 'sha1:0' is no digest; expected ^sha256:[0-9a-f]{64}$",
    ),
    "no UUID": (
        '[endpoint]\nid = "river"',
        "5: endpoint.id: 'river' is no UUID",
    ),
    "a rule of a table": (
        "[patches]\nselect = {m = 1}",
        "4: patches: exactly one of files, patchset, yields, discovery is needed; found none",
    ),
    "a rule of a table that only its sub-table names": (
        "\n[patches.select]\nm = 1",
        "5: patches: exactly one of files, patchset, yields, discovery is needed; found none",
    ),
    "a rule between tables": (
        "[combine]\nbest_expected = 'region'",
        "4: combine: 'region' is no key of [parametrize]",
    ),
}


def load(folder: Path, text: str) -> None:
    path = folder / "small.toml"
    path.write_text(text)
    load_spec(path, "small.toml")


@pytest.mark.parametrize(("added", "line"), ONE_PROBLEM.values(), ids=ONE_PROBLEM)
def test_a_problem_is_one_line_that_says_where_what_and_the_remedy(
    tmp_path: Path, added: str, line: str
) -> None:
    with pytest.raises(SpecError) as caught:
        load(tmp_path, PREFIX + added)
    assert str(caught.value) == f"small.toml:{line}"


def test_several_problems_are_one_line_each(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecsError) as caught:
        load(tmp_path, PREFIX + "[poi]\ntest = 'x'\nscann = 1\n[[expect]]\nrtol = -1\n[workspce]")
    assert str(caught.value).splitlines() == [
        "small.toml:5: poi.test: input should be a valid number, found 'x'",
        "small.toml:6: poi.scann: unknown key; did you mean 'scan'?",
        "small.toml:8: expect[0].rtol: input should be greater than or equal to 0, found -1",
        "small.toml:9: workspce: unknown key; did you mean 'workspace'?",
    ]


def test_a_dotted_key_can_be_read_as_toml_and_indices() -> None:
    assert (
        Problem(("patches", "select", "m N1", 3, "ge"), "").dotted == "patches.select.'m N1'[3].ge"
    )
