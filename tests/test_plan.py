"""The task graph: what is computed once, under which key, and what follows from what."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fitspec
from fitspec.collect import collect
from fitspec.errors import SpecError
from fitspec.inference import FitQuestion, Question
from fitspec.plan import (
    Plan,
    _backend_version,
    fit_key,
    make_plan,
    patch_digest,
    with_cross_checks,
)
from fitspec.sources import Access
from fitspec.spec import load_spec
from fitspec.versions import code_digest

QUESTION = Question(
    "measurement", (1.0,), "qtilde", "code4", "code4p", "native", "numpy", "scipy"
)  # fmt: skip
DIGEST = "sha256:" + "0" * 64
PATCH = patch_digest(b"[]")
FILES = 'files = "patch.signal_{mass}_{width}.json"'
COMBINED = f"""\
{FILES}
[parametrize]
region = ["A", "B"]
[combine]
best_expected = "region"
[[expect]]
point = "signal_100_1"
CLs_obs = 0.5
[[expect]]
point = "{{region}}::signal_200_1"
CLs_obs = 0.5
CLs_exp = [0.1, 0.2, 0.3, 0.4, 0.5]
"""


def planned(folder: Path, *names: str) -> Plan:
    specs = [load_spec(folder / name, name) for name in names or ["small.toml"]]
    return make_plan(collect(specs, Access(folder / "cache")))


def edit(folder: Path, old: str, new: str, name: str = "small.toml") -> str:
    """Replace text of the specification, or write the result to another; returns its name."""
    text = (folder / "small.toml").read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    return name


def test_every_point_of_the_small_analysis_is_a_fit(analysis):
    plan = planned(analysis)

    assert len(plan.fits) == 4
    assert [[p.id for p in plan.points[key]] for key in plan.fits] == [
        ["signal_100_1"], ["signal_100_2"], ["signal_200_1"], ["signal_200_2"]
    ]  # fmt: skip
    for key, fit in plan.fits.items():
        assert fit.key == key
        assert fit.background is plan.points[key][0].case.background
        assert json.loads(fit.order["patch"])[0]["op"] == "add"
        assert fit.order["patch_name"] == plan.points[key][0].patch


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(yields=st.lists(st.sampled_from([4.0, 8.0, 12.0, 16.0]), min_size=1, max_size=8))
def test_there_are_as_many_fits_as_distinct_signals(analysis, make_patch, yields):
    for path in analysis.glob("patch.*.json"):
        path.unlink()
    for number, signal in enumerate(yields):
        patch = json.dumps(make_patch([signal, 6.0]))
        (analysis / f"patch.signal_{number}_1.json").write_text(patch)

    plan = planned(analysis)

    assert len(plan.fits) == len(set(yields))
    served = [point.patch for points in plan.points.values() for point in points]
    assert sorted(served) == sorted(f"signal_{number}_1" for number in range(len(yields)))
    assert set(plan.points) == set(plan.fits)


def test_the_graph_is_acyclic_and_everything_comes_after_what_it_needs(analysis):
    edit(analysis, FILES, COMBINED)

    plan = planned(analysis)
    order = list(TopologicalSorter(plan.graph).static_order())

    nodes = {*plan.fits, *plan.combinations, *plan.expectations}
    assert len(order) == len(nodes) == 4 + 4 + 5
    assert set(order) == nodes
    place = {node: number for number, node in enumerate(order)}
    key_of = {p.node_id: key for key, points in plan.points.items() for p in points}
    for node, combination in plan.combinations.items():
        assert all(place[key_of[p.node_id]] < place[node] for p in combination.points)
    for node, expectation in plan.expectations.items():
        target = expectation.target.node_id
        assert place[key_of.get(target, target)] < place[node]


def test_fits_depend_on_nothing(analysis):
    edit(analysis, FILES, COMBINED)

    plan = planned(analysis)

    assert all(plan.graph[key] == set() for key in plan.fits)


def test_several_checks_of_one_quantity_are_all_kept(analysis):
    check = '\n[[expect]]\npoint = "signal_100_1"\nCLs_obs = 0.5\n'
    edit(analysis, FILES, FILES + 2 * check)

    assert len(planned(analysis).expectations) == 2


def test_two_specifications_that_ask_the_same_share_their_fits(analysis):
    other = edit(analysis, 'name = "small"', 'name = "other"\ntitle = "Another"', "other.toml")

    plan = planned(analysis, "small.toml", other)

    assert len(plan.fits) == 4
    assert [[p.spec.name for p in points] for points in plan.points.values()] == (
        [["small.toml", "other.toml"]] * 4
    )


CHANGES = {
    "measurement": 'path = "background.json"\nmeasurement = "second"',
    "mu": 'path = "background.json"\n[poi]\ntest = 0.5',
    "POI": 'path = "background.json"\n[poi]\nname = "norm"',
    "more mu": 'path = "background.json"\n[poi]\ntest = [1.0, 0.5]',
    "test statistic": 'path = "background.json"\n[inference]\ntest_statistic = "q"',
    "normsys": 'path = "background.json"\n[inference]\ninterpcodes = { normsys = "code1" }',
    "histosys": 'path = "background.json"\n[inference]\ninterpcodes = { histosys = "code0" }',
    "limit": 'path = "background.json"\n[poi]\ntest = 1\nupper_limit = 0.95',
    "expected values": 'path = "background.json"\n[inference]\nexpected = "pre-fit"',
    "backend": 'path = "background.json"\n[backend]\nname = "pyhf"',
    "workspace": 'path = "other.json"',
}


@pytest.mark.parametrize("line", ['tensor = "jax"', 'optimizer = "minuit"'])
def test_a_setting_of_pyhf_changes_every_key(analysis, line):
    path, pyhf = 'path = "background.json"', '\n[backend]\nname = "pyhf"\n'
    one = edit(analysis, path, path + pyhf, "one.toml")
    other = edit(analysis, path, path + pyhf + line, "other.toml")

    assert not set(planned(analysis, one).fits) & set(planned(analysis, other).fits)


@pytest.mark.parametrize("change", CHANGES)
def test_a_setting_that_matters_changes_every_key(analysis, background, change):
    measurements = background["measurements"]
    measurements.append(measurements[0] | {"name": "second"})
    (analysis / "background.json").write_text(json.dumps(background))
    background["observations"][0]["data"][0] += 1
    (analysis / "other.json").write_text(json.dumps(background))
    other = edit(analysis, 'path = "background.json"', CHANGES[change], "other.toml")

    assert not set(planned(analysis).fits) & set(planned(analysis, other).fits)


DEFAULTS = """\
path = "background.json"
measurement = "measurement"
[poi]
test = 1
[inference]
test_statistic = "qtilde"
interpcodes = { normsys = "code4", histosys = "code4p" }
[backend]
name = "native"
[endpoint]
workers = 2
"""


def test_defaults_written_out_change_no_key(analysis):
    explicit = edit(analysis, 'path = "background.json"', DEFAULTS, "explicit.toml")

    assert set(planned(analysis).fits) == set(planned(analysis, explicit).fits)


def test_pyhfs_own_defaults_written_out_change_no_key(analysis):
    path, pyhf = 'path = "background.json"', '\n[backend]\nname = "pyhf"\n'
    short = edit(analysis, path, path + pyhf, "short.toml")
    defaults = 'tensor = "numpy"\noptimizer = "scipy"'
    explicit = edit(analysis, path, path + pyhf + defaults, "explicit.toml")

    assert set(planned(analysis, short).fits) == set(planned(analysis, explicit).fits)


def test_the_method_of_a_limit_matters(analysis):
    path = 'path = "background.json"'
    asked = "[poi]\nscan = { start = 0, stop = 5, num = 41 }\nupper_limit = 0.9\n"
    by_root = edit(analysis, path, f"{path}\n{asked}", "root.toml")
    by_scan = edit(analysis, path, f'{path}\n{asked}method = "scan"', "scan.toml")

    plans = [planned(analysis, name) for name in (by_root, by_scan)]

    assert not set(plans[0].fits) & set(plans[1].fits)
    questions = [next(iter(plan.fits.values())).order["question"] for plan in plans]
    assert [(q["level"], q["method"]) for q in questions] == [(0.1, "root"), (0.1, "scan")]


@pytest.mark.parametrize(("test", "level"), [("test = 1\n", None), ("", 0.05)])
def test_a_cross_check_searches_for_limits_only_where_nothing_is_tested(analysis, test, level):
    path = 'path = "background.json"'
    edit(analysis, path, f"{path}\n[poi]\n{test}upper_limit = 0.95")

    plan = with_cross_checks(planned(analysis), 1)

    [checked] = plan.cross_checks.values()
    assert plan.fits[checked.key].order["question"]["level"] == 0.05
    assert plan.fits[checked.reference].order["question"]["level"] == level


def test_a_discovery_tests_no_mu_of_its_own(analysis):
    path = 'path = "background.json"'
    edit(analysis, path, f'{path}\n[inference]\ntest_statistic = "q0"')

    questions = [fit.order["question"] for fit in planned(analysis).fits.values()]

    assert {(q["test_statistic"], tuple(q["mus"])) for q in questions} == {("q0", ())}


def test_formatting_and_names_change_no_key(analysis):
    before = set(planned(analysis).fits)

    for path in analysis.glob("*.json"):
        content = json.loads(path.read_text())
        upside_down = reverse_keys(content)
        assert json.dumps(upside_down) != json.dumps(content)
        path.write_text(json.dumps(upside_down, indent=3))
    for path in analysis.glob("patch.*.json"):
        path.rename(analysis / path.name.replace("signal", "model"))
    (analysis / "renamed.toml").write_text(
        (analysis / "small.toml").read_text().replace("signal", "model").replace("small", "other")
    )

    assert set(planned(analysis, "renamed.toml").fits) == before


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ("[fit]", FitQuestion()),
        ("[fit]\nimpacts = true", FitQuestion(impacts=True)),
        ("[fit]\nimpacts = 5", FitQuestion(impacts=True, top=5)),
        ("[fit]\nmu = 0\nyields = true", FitQuestion(mu=0.0, yields=True)),
        ("[fit]\ncorrelations = true\n[poi]\ntest = 2",
         FitQuestion(correlations=True, alone=False)),
        ("", None),
    ],
)  # fmt: skip
def test_what_the_fit_table_says_is_asked(analysis, tables, expected):
    edit(analysis, FILES, f"{FILES}\n{tables}")

    for fit in planned(analysis).fits.values():
        question = Question.from_dict(fit.order["question"])
        assert question.fit == expected
        assert question.mus == ((2.0,) if "test" in tables else () if expected else (1.0,))


def test_a_fit_beside_tests_is_not_cross_checked_and_one_alone_never(analysis):
    edit(analysis, FILES, f"{FILES}\n[fit]\n[poi]\ntest = 1.0", "tested.toml")
    edit(analysis, FILES, f"{FILES}\n[fit]", "alone.toml")

    plan = with_cross_checks(planned(analysis, "tested.toml", "alone.toml"), 100)

    assert len(plan.cross_checks) == 4
    for pair in plan.cross_checks.values():
        assert plan.fits[pair.key].tests
        assert plan.fits[pair.reference].order["question"]["fit"] is None


def reverse_keys(value):
    if isinstance(value, dict):
        return {key: reverse_keys(value[key]) for key in reversed(value)}
    return [reverse_keys(item) for item in value] if isinstance(value, list) else value


settings_of_a_question = st.fixed_dictionaries(
    {
        "measurement": st.sampled_from(["a", "b"]),
        "mus": st.sampled_from([(1.0,), (0.5,), (1.0, 0.5)]),
        "test_statistic": st.sampled_from(["q", "qtilde", "q0"]),
        "normsys": st.sampled_from(["code1", "code4"]),
        "histosys": st.sampled_from(["code0", "code4p"]),
        "backend": st.sampled_from(["native", "pyhf"]),
        "tensor": st.sampled_from(["numpy", "jax"]),
        "optimizer": st.sampled_from(["scipy", "minuit"]),
        "poi": st.sampled_from([None, "mu"]),
        "fit": st.none() | st.builds(FitQuestion, mu=st.sampled_from([None, 0.0])),
    }
)


@settings(deadline=None)
@given(settings_of_a_question, settings_of_a_question)
def test_keys_are_equal_where_questions_are(one, other):
    keys = [fit_key(DIGEST, PATCH, Question(**question)) for question in (one, other)]

    assert (keys[0] == keys[1]) is (one == other)


def test_a_key_is_a_digest_of_workspace_and_patch():
    key = fit_key(DIGEST, PATCH, QUESTION)

    assert len(key) == 64
    assert int(key, 16) > 0
    assert fit_key(DIGEST.replace("0", "1"), PATCH, QUESTION) != key
    assert fit_key(DIGEST, patch_digest(b"[{}]"), QUESTION) != key


def test_the_digest_of_a_patch_is_that_of_its_content():
    one, other = b'[{"op": "remove", "path": "/a"}]', b'[ {"path":"/a","op":"remove"} ]'

    assert patch_digest(one) == patch_digest(other)
    assert patch_digest(one) != PATCH
    assert patch_digest(b"[") == f"sha256:{hashlib.sha256(b'[').hexdigest()}"


VERSIONS = [("native", "numpy"), ("native", "scipy"), ("pyhf", "pyhf")]


@pytest.mark.parametrize(("backend", "library"), VERSIONS)
def test_another_version_of_what_makes_the_numbers_changes_the_key(backend, library, monkeypatch):
    question, version = replace(QUESTION, backend=backend), importlib.metadata.version
    before = fit_key(DIGEST, PATCH, question)
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "99.0" if name == library else version(name)
    )

    _backend_version.cache_clear()
    try:
        assert fit_key(DIGEST, PATCH, question) != before
        assert f"{library} 99.0" in _backend_version(backend)
    finally:
        _backend_version.cache_clear()


@pytest.fixture
def changed_package(tmp_path, monkeypatch) -> Iterator[Path]:
    """A copy of the package that keys are made from, for a test to change."""
    package = tmp_path / "fitspec"
    shutil.copytree(Path(fitspec.__file__).parent, package)
    monkeypatch.setattr(fitspec, "__file__", str(package / "__init__.py"))
    code_digest.cache_clear()
    yield package
    code_digest.cache_clear()


@pytest.mark.parametrize(
    ("module", "matters"),
    [
        ("inference/asymptotics.py", True),
        ("inference/backends/pyhf.py", True),
        ("inference/backends/native.py", True),
        ("histfactory/likelihood.py", True),
        ("histfactory/patching.py", True),
        ("report/terminal.py", False),
    ],
)
def test_a_changed_formula_changes_the_key(changed_package, module, matters):
    before = fit_key(DIGEST, PATCH, QUESTION)
    code_digest.cache_clear()

    with (changed_package / module).open("a") as file:
        file.write("# changed\n")

    assert (fit_key(DIGEST, PATCH, QUESTION) != before) is matters


def test_a_damaged_patch_has_a_key_too(analysis):
    (analysis / "patch.signal_100_1.json").write_bytes(b"\xff[")
    (analysis / "patch.signal_100_2.json").write_bytes(b"{")

    assert len(planned(analysis).fits) == 4


def test_a_patch_that_is_gone_by_now_points_to_the_specification(analysis):
    found = collect([load_spec(analysis / "small.toml", "small.toml")], Access(analysis / "cache"))
    (analysis / "patch.signal_200_1.json").unlink()

    with pytest.raises(SpecError, match=r"^small.toml:9: patches: .*patch.signal_200_1.json"):
        make_plan(found)


# ---- toys ----

WITH_TOYS = f"""\
{FILES}
[inference]
calculator = "toys"
toys = 500
"""


def test_a_question_says_how_many_toys(analysis):
    asked = {
        "toys = 500": (500, None, 0),
        "toys = 500\nseed = 3": (500, None, 3),
        "toys = { max = 900, precision = 0.01 }\nseed = 4": (900, 0.01, 4),
    }
    keys = set()
    for toys, expected in asked.items():
        name = edit(analysis, FILES, WITH_TOYS.replace("toys = 500", toys), "toys.toml")
        for key, fit in planned(analysis, name).fits.items():
            question = Question(**fit.order["question"])
            assert (question.toys, question.precision, question.seed) == expected
            assert not fit.quick  # each travels alone, and pyhf does not fit it again
            keys.add(key)
    assert len(keys) == 4 * len(asked)  # no result of other toys is taken for these


def test_cross_checks_leave_toys_out(analysis):
    edit(analysis, FILES, WITH_TOYS, "toys.toml")
    plan = planned(analysis, "toys.toml", "small.toml")

    checked = with_cross_checks(plan, 100).cross_checks.values()

    quick = [key for key, fit in plan.fits.items() if fit.quick]
    assert sorted(check.key for check in checked) == sorted(quick)
    assert len(plan.fits) == 2 * len(quick) == 8
