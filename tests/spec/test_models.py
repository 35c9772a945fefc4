from __future__ import annotations

import tomllib
from typing import Any

import jsonschema
import numpy as np
import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fitspec.spec import Spec, json_schema
from fitspec.spec.expect import QUANTITIES
from fitspec.spec.models import Poi, Range, Scan

MINIMAL = """
fitspec = 1
analysis.name = "small"
workspace.path = "background.json"
"""

FULL = f"""
fitspec = 1
[analysis]
name = "ATLAS-SUSY-2018-31"
title = "Bottom-squark pair production with Higgs bosons in the final state"
references = {{ arxiv = "1908.03122", inspire = 1748602, hepdata = "10.17182/hepdata.89408" }}
[parametrize]
region = ["A", "B", "C"]
[workspace]
archive = "https://doi.org/10.17182/hepdata.89408.v1/r2"
path    = "Region{{region}}/BkgOnly.json"
digest  = ["sha256:{"1" * 64}", "sha256:{"2" * 64}", "sha256:{"3" * 64}"]
sha256  = "{"9" * 64}"
measurement = "NormalMeasurement"
[patches]
files  = "Region{{region}}/patch.sbottom_{{m_sbottom}}_{{m_N2}}_{{m_N1}}.json"
select = {{ m_N1 = 60, m_sbottom = {{ ge = 1000 }} }}
[poi]
test = 1.0
upper_limit = 0.95
[cross_section]
table = "cross-sections/sbottom.csv"
on = "m_sbottom"
[inference]
test_statistic = "qtilde"
calculator = "asymptotic"
expected = "post-fit"
interpcodes = {{ normsys = "code4", histosys = "code4p" }}
[backend]
name = "native"
[endpoint]
kind = "local"
workers = "auto"
deadline = 60
queue = 3600.0
[combine]
best_expected = "region"
[[expect]]
point   = "A::sbottom_1300_205_60"
CLs_obs = 0.2444418
CLs_exp = [0.09023417, 0.19379784, 0.38434083, 0.65579069, 0.89104895]
rtol    = 1e-3
source  = "pyhf project, regression tests of the published likelihood"
[[expect]]
table  = "published/sbottom.csv"
rtol   = 0.3
xfail  = "published with one significant digit"
"""

DIGEST = f"sha256:{'0' * 64}"
FIVE = "[0.1, 0.2, 0.3, 0.4, 0.5]"

GOOD = {
    "the minimum": "",
    "numeric and textual references": 'analysis.references = {inspire = 1, arxiv = "2"}',
    "mixed parametrize values": 'parametrize.region = ["A", 2, 0.5]',
    "one digest": f'workspace.digest = "{DIGEST}"',
    "several digests": f'workspace.digest = ["{DIGEST}", "{DIGEST}"]',
    "a patchset with new labels": 'patches = {patchset = "p.json", labels = ["m_1", "m_2"]}',
    "a table of yields": 'patches.yields = "signal.csv"',
    "yields with labels": 'patches = {yields = "s.csv", labels = ["m"], luminosity = false}',
    "yields with uncertainties": 'patches = {yields = "s.csv", systematics = {theory = 0.1}}',
    "yields written out": 'patches.yields = [{mass = 100, "SR[0]" = 1.5}, {mass = "low"}]',
    "discovery channels": 'patches.discovery = ["SR_HM"]',
    "a selected value": 'patches = {files = "{m}.json", select = {m = 60}}',
    "selected values": 'patches = {files = "{m}.json", select = {m = [60, "low", 0.5]}}',
    "a selected range": 'patches = {files = "{m}.json", select = {m = {gt = 1, le = 2.5}}}',
    "one POI value": "poi.test = 1",
    "several POI values": "poi.test = [0.5, 1]",
    "a scan": "poi.scan = {start = 0, stop = 5, num = 51}",
    "keys that go together": """
        parametrize = {"region, channel" = [["low", "SR1"], ["high", 2]], year = [1, 2]}""",
    "a limit": "poi.upper_limit = 0.95",
    "a limit of a scan": """
        [poi]
        scan = {start = 0, stop = 5, num = 41}
        upper_limit = 0.95
        method = "scan\"""",
    "another POI": 'poi.name = "mu_ttbar"',
    "a fit": "fit = {mu = 0, correlations = true, yields = true}",
    "a fit with some impacts": "fit.impacts = 10",
    "a number of toys": 'inference = {calculator = "toys", toys = 5000, seed = 1}',
    "toys until": 'inference = {calculator = "toys", toys = {max = 1000, precision = 0.02}}',
    "other statistics": 'inference = {test_statistic = "q0", expected = "pre-fit"}',
    "other interpolation": 'inference.interpcodes = {normsys = "code1", histosys = "code0"}',
    "pyhf with its settings": 'backend = {name = "pyhf", tensor = "jax", optimizer = "minuit"}',
    "a Globus endpoint": 'endpoint = {kind = "funcx", id = "4b116d3c-1703-4f8f-9f6f-39921e5864df"}',
    "a Dask endpoint": 'endpoint = {kind = "dask", address = "tcp://10.0.0.1:8786"}',
    "a named endpoint": 'endpoint = {name = "river", deadline = 60, queue = 3600}',
    "a plugin's endpoint": 'endpoint = {kind = "slurm", workers = 8}',
    "numbers of a point": f"""
        [[expect]]
        point = "x"
        mu = 1
        CLs_obs = 0.05
        CLs_exp = {FIVE}
        p_b = 0.5
        p0 = 0.5
        mu_hat = -1
        atol = 0""",
    "limits of a point": f"""
        [[expect]]
        point = "x"
        upper_limit_obs = 1
        upper_limit_exp = {FIVE}
        upper_limit_xsec_obs = 1
        upper_limit_xsec_exp = {FIVE}
        excluded = false""",
    "an expected table": 'expect = [{table = "t.csv", rtol = 0.1}]',
}

BAD = {
    "an unknown table": ("worskpace = {}", "Extra inputs"),
    "a number for a title": ("analysis.title = 3", "valid string"),
    "an empty measurement": ('workspace.measurement = ""', "at least 1 character"),
    "a boolean reference": ("analysis.references.arxiv = true", "valid integer"),
    "no parametrize values": ("parametrize.region = []", "at least 1 item"),
    "a lone parametrize value": ('parametrize.region = "A"', "valid tuple"),
    "a digest without its algorithm": (f'workspace.digest = "{DIGEST[7:]}"', "match pattern"),
    "a digest in capitals": (f'workspace.sha256 = "{"A" * 64}"', "match pattern"),
    "no digests": ("workspace.digest = []", "at least 1 item"),
    "no source of patches": ("patches.select.m = 1", "found none"),
    "two sources of patches": ('patches = {files = "a", yields = "b"}', "found files and yields"),
    "labels of files": ('patches = {files = "a", labels = ["m"]}', "there is neither"),
    "a label twice": ('patches = {yields = "a", labels = ["m", "m"]}', "a name twice"),
    "a luminosity of files": ('patches = {files = "a", luminosity = true}', "there are none"),
    "systematics of a discovery": (
        'patches = {discovery = ["SR"], systematics = {theory = 0.1}}', "there are none",
    ),
    "a systematic of 100%": ('patches = {yields = "a", systematics.x = 1.0}', "less than 1"),
    "a negative systematic": ('patches = {yields = "a", systematics.x = -0.1}', "greater than 0"),
    "a luminosity's uncertainty": (
        'patches = {yields = "a", luminosity = 0.017}', "valid boolean",
    ),
    "a selected boolean": ('patches = {files = "a", select.m = true}', "valid integer"),
    "a selected nan": ('patches = {files = "a", select.m = nan}', "finite"),
    "no selected values": ('patches = {files = "a", select.m = []}', "at least 1 item"),
    "an empty range": ('patches = {files = "a", select.m = {}}', "selects nothing"),
    "a textual range": ('patches = {files = "a", select.m = {ge = "1"}}', "valid number"),
    "a boolean POI": ("poi.test = true", "valid number"),
    "a textual POI": ('poi.test = ["1"]', "valid number"),
    "an infinite POI": ("poi.test = inf", "finite"),
    "no POI values": ("poi.test = []", "at least 1 item"),
    "test and scan": ("poi = {test = 1, scan = {start = 0, stop = 1, num = 2}}", "keep one"),
    "a scan downwards": ("poi.scan = {start = 1, stop = 0, num = 2}", "must be above"),
    "a scan of one value": ("poi.scan = {start = 0, stop = 1, num = 1}", "equal to 2"),
    "a fractional scan": ("poi.scan = {start = 0, stop = 1, num = 2.0}", "valid integer"),
    "a limit by a scan that is not there": (
        'poi = {upper_limit = 0.95, method = "scan"}', "needs scan and upper_limit",
    ),
    "a scan for no limit": (
        'poi = {scan = {start = 0, stop = 1, num = 2}, method = "scan"}', "needs scan and upper",
    ),
    "a key without its value": ('parametrize = {"a, b" = [[1, 2], [3]]}', "takes 2 values a case"),
    "a list for one key": ("parametrize = {a = [[1, 2]]}", "takes 1 value a case"),
    "a key twice": ('parametrize = {"a, b" = [[1, 2]], b = [1]}', "there twice"),
    "a confidence level of one": ("poi.upper_limit = 1.0", "less than 1"),
    "cross-sections of no label": ('cross_section.table = "x"', "required"),
    "cross-sections without a limit": (
        'cross_section = {table = "x", on = "m"}', "no limit to give in pb; set poi.upper_limit",
    ),
    "an empty POI": ('poi.name = ""', "at least 1 character"),
    "an unknown statistic": ('inference.test_statistic = "tmu"', "'q', 'qtilde' or 'q0'"),
    "toys for asymptotics": ("inference.toys = 100", "belong to calculator"),
    "a seed for asymptotics": ("inference.seed = 1", "belong to calculator"),
    "toys without a number": ('inference.calculator = "toys"', "needs toys"),
    "a boolean seed": ("inference.seed = true", "valid integer"),
    "settings of another backend": (
        'backend = {name = "native", optimizer = "minuit"}', "belong to name",
    ),
    "no workers": ("endpoint.workers = 0", "greater than or equal to 1"),
    "a name for an endpoint's id": ('endpoint.id = "river"', "valid UUID"),
    "a case that is not there": ('combine.best_expected = "region"', "no key"),
    "an expectation of nothing": ("expect = [{rtol = 0.1}]", "one of point and table"),
    "a point and a table": (
        'expect = [{point = "x", table = "y", p_b = 0.1}]', "one of point and table",
    ),
    "a point without quantities": ('expect = [{point = "x"}]', "no quantity to check"),
    "a table with quantities": ('expect = [{table = "x", p_b = 0.1}]', "columns, not keys"),
    "a negative tolerance": ('expect = [{table = "x", rtol = -1e-3}]', "equal to 0"),
    "a band of four": ('expect = [{point = "x", CLs_exp = [1, 2, 3, 4]}]', "required"),
    "a number for a truth": ('expect = [{point = "x", excluded = 1}]', "valid boolean"),
}  # fmt: skip


def spec(tables: str) -> Spec:
    return Spec.model_validate(tomllib.loads(MINIMAL + tables))


def test_the_full_example_of_the_design_is_valid() -> None:
    full = Spec.model_validate(tomllib.loads(FULL))
    assert full.parametrize == {"region": ("A", "B", "C")}
    assert full.patches is not None
    assert full.patches.select == {"m_N1": (60,), "m_sbottom": Range(ge=1000)}
    assert full.poi.values == (1.0,)
    assert full.expect[0].quantities == {
        "CLs_obs": 0.2444418,
        "CLs_exp": (0.09023417, 0.19379784, 0.38434083, 0.65579069, 0.89104895),
    }
    assert full.expect[1].quantities == {}


@pytest.mark.parametrize("tables", GOOD.values(), ids=GOOD)
def test_every_table_of_the_language_is_accepted(tables: str) -> None:
    assert spec(tables).model_fields_set == set(tomllib.loads(MINIMAL + tables))


@pytest.mark.parametrize(("tables", "problem"), BAD.values(), ids=BAD)
def test_what_the_language_does_not_allow_is_refused(tables: str, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        spec(tables)


@pytest.mark.parametrize("key", ["fitspec", "analysis", "workspace"])
def test_a_required_key_cannot_be_left_out(key: str) -> None:
    data = tomllib.loads(MINIMAL)
    del data[key]
    with pytest.raises(ValidationError, match="Field required"):
        Spec.model_validate(data)


@pytest.mark.parametrize("version", ["2", '"1"'])
def test_only_version_one_is_valid(version: str) -> None:
    with pytest.raises(ValidationError, match="Input should be 1"):
        Spec.model_validate({**tomllib.loads(MINIMAL), **tomllib.loads(f"fitspec = {version}")})


def test_one_value_stands_for_a_list_of_one() -> None:
    single = spec(f"""
        workspace.digest = "{DIGEST}"
        poi.test = 2
        patches = {{files = "a", select.m = 60}}
    """)
    assert single.workspace.digest == (DIGEST,)
    assert single.poi.test == (2.0,)
    assert single.patches is not None
    assert single.patches.select == {"m": (60,)}


def test_funcx_is_another_name_for_globus_compute() -> None:
    uuid = "4b116d3c-1703-4f8f-9f6f-39921e5864df"
    endpoint = spec(f'endpoint = {{kind = "funcx", id = "{uuid}"}}').endpoint
    assert (endpoint.kind, str(endpoint.id)) == ("globus-compute", uuid)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", False),
        ("endpoint.workers = 3", False),
        ("endpoint = {deadline = 60, queue = 0}", False),
        ('endpoint.kind = "local"', True),
        ('endpoint.name = "river"', True),
    ],
)
def test_an_endpoint_may_leave_open_where_it_is(text: str, says: bool) -> None:
    assert spec(text).endpoint.says_where is says


@pytest.mark.parametrize(
    ("poi", "values"),
    [
        pytest.param({}, (1.0,), id="nothing asked"),
        pytest.param({"upper_limit": 0.95}, (), id="only a limit"),
        pytest.param({"test": [2, 1]}, (2.0, 1.0), id="a list in its order"),
        pytest.param({"test": 3, "upper_limit": 0.9}, (3.0,), id="a test and a limit"),
        pytest.param({"scan": {"start": 0, "stop": 1, "num": 3}}, (0.0, 0.5, 1.0), id="a scan"),
    ],
)
def test_the_poi_values_are_those_asked_for(poi: dict[str, Any], values: tuple[float]) -> None:
    assert Poi.model_validate(poi).values == values


def test_keys_that_go_together_are_no_product() -> None:
    spec = Spec.model_validate(
        tomllib.loads(MINIMAL + 'parametrize = {"a, b" = [["x", 1], ["y", 2]], c = [3, 4]}')
    )

    assert spec.cases == [
        {"a": "x", "b": 1, "c": 3}, {"a": "x", "b": 1, "c": 4},
        {"a": "y", "b": 2, "c": 3}, {"a": "y", "b": 2, "c": 4},
    ]  # fmt: skip


@settings(deadline=None)
@given(start=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e6), num=st.integers(2, 300))
def test_a_scan_has_the_values_of_linspace(start: float, width: float, num: int) -> None:
    scan = Scan(start=start, stop=start + width, num=num)
    assert scan.values() == tuple(np.linspace(scan.start, scan.stop, scan.num))


@pytest.mark.parametrize(
    ("bounds", "inside", "outside"),
    [
        pytest.param({"ge": 2}, [2, 3.5], [1, 1.999], id="ge"),
        pytest.param({"gt": 2}, [2.001, 3], [2, 1], id="gt"),
        pytest.param({"le": 2}, [2, -1], [2.001], id="le"),
        pytest.param({"lt": 2}, [1.999], [2, 3], id="lt"),
        pytest.param({"ge": 1, "lt": 2}, [1, 1.5], [0, 2, "1"], id="both ends"),
    ],
)
def test_a_range_holds_the_numbers_inside_it(
    bounds: dict[str, float], inside: list[float], outside: list[Any]
) -> None:
    interval = Range.model_validate(bounds)
    assert all(map(interval.holds, inside))
    assert not any(map(interval.holds, outside))


@pytest.mark.parametrize(
    "table", ["analysis", "workspace", "poi", "inference", "backend", "endpoint"]
)
def test_a_specification_is_immutable(table: str) -> None:
    frozen = spec("")
    model = getattr(frozen, table)
    for owner, name in [(frozen, table), *((model, name) for name in type(model).model_fields)]:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(owner, name, None)


def table(
    required: dict[str, st.SearchStrategy[Any]] | None = None, **optional: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required or {}, optional=optional)


def some(values: st.SearchStrategy[Any], *, unique: bool = False) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=1, max_size=3, unique=unique)


FINITE = st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text(min_size=1, max_size=8)
LABELS = NAMES | st.integers() | FINITE
FRACTIONS = st.floats(0.01, 0.99)
ENDPOINT = {
    "workers": st.just("auto") | st.integers(1, 64),
    "deadline": st.floats(1, 1e6),
    "queue": st.integers(0, 10**6),
}
DIGESTS = st.sampled_from(["0", "a", "f"]).map(lambda digit: f"sha256:{digit * 64}")
RANGES = table(ge=FINITE, gt=FINITE, le=FINITE, lt=FINITE).filter(bool)
SELECT = st.dictionaries(NAMES, LABELS | some(LABELS) | RANGES, max_size=2)
SCANS = table({"start": st.floats(-9, 0), "stop": st.floats(1, 9), "num": st.integers(2, 10_000)})
TOYS = st.integers(1, 10**6) | table({"max": st.integers(1, 10**6), "precision": FRACTIONS})
ABOUT = {"rtol": st.floats(0, 1), "atol": st.floats(0, 1), "source": NAMES, "xfail": NAMES}
BANDS = st.lists(FINITE, min_size=5, max_size=5)
VALUES = {name: BANDS if name.endswith("exp") else FINITE for name in QUANTITIES}
VALUES |= {"excluded": st.booleans(), "mu": FINITE}
del VALUES["CLs_obs"]

SPECS = table(
    {
        "fitspec": st.just(1),
        "analysis": table(
            {"name": NAMES},
            title=st.text(max_size=8),
            references=st.dictionaries(NAMES, NAMES | st.integers(), max_size=2),
        ),
        "parametrize": table({"region": some(LABELS)}, any_other=some(LABELS)),
        "workspace": table(
            {"path": NAMES},
            archive=NAMES,
            digest=DIGESTS | some(DIGESTS),
            sha256=st.just("b" * 64),
            measurement=NAMES,
        ),
    },
    patches=st.one_of(
        table({"files": NAMES}, select=SELECT),
        table({"patchset": NAMES}, select=SELECT, labels=some(NAMES, unique=True)),
        table(
            {"yields": NAMES | some(st.dictionaries(NAMES, LABELS, max_size=2))},
            select=SELECT,
            labels=some(NAMES, unique=True),
            luminosity=st.booleans(),
            systematics=st.dictionaries(NAMES, FRACTIONS, max_size=2),
        ),
        table({"discovery": some(NAMES)}),
    ),
    poi=table(
        name=NAMES,
        test=FINITE | st.lists(FINITE, min_size=1, max_size=3, unique=True),
        upper_limit=FRACTIONS,
    )
    | table({"scan": SCANS}),
    fit=table(correlations=st.booleans(), impacts=st.booleans() | st.integers(1, 99))
    | table(mu=FINITE, yields=st.booleans()),
    cross_section=table({"table": NAMES, "on": NAMES}),
    inference=st.one_of(
        table(
            test_statistic=st.sampled_from(["q", "qtilde", "q0"]),
            expected=st.sampled_from(["post-fit", "pre-fit"]),
            interpcodes=table(normsys=st.just("code1"), histosys=st.just("code2")),
        ),
        table({"calculator": st.just("toys"), "toys": TOYS}, seed=st.integers(0, 2**63)),
    ),
    backend=st.one_of(
        table({"name": st.just("native")}),
        table(
            {"name": st.just("pyhf")},
            tensor=st.just("jax"),
            optimizer=st.sampled_from(["scipy", "minuit"]),
        ),
    ),
    endpoint=st.one_of(
        table(kind=st.sampled_from(["local", "parsl", "mpi", "slurm"]), **ENDPOINT),
        table({"name": NAMES}, **ENDPOINT),
        table({"kind": st.just("funcx"), "id": st.uuids().map(str)}),
        table({"kind": st.just("dask"), "address": NAMES}),
    ),
    combine=st.just({"best_expected": "region"}),
    expect=some(
        table({"table": NAMES}, **ABOUT)
        | table({"point": NAMES, "CLs_obs": FINITE}, **VALUES, **ABOUT)
    ),
)


def without_contradiction(data: dict[str, Any]) -> dict[str, Any]:
    """q0 tests 0 alone; only limits can be given in pb; nothing combines by a fit or by p0."""
    without: set[str] = set()
    if data.get("inference", {}).get("test_statistic") == "q0":
        without = {"poi", "combine"}
    if "poi" in without or "upper_limit" not in data.get("poi", {}):
        without |= {"cross_section"}
    if "fit" in data and not set(data.get("poi", {})) - {"name"}:
        without |= {"combine"}
    return {key: value for key, value in data.items() if key not in without}


@settings(deadline=None)
@given(SPECS.map(without_contradiction))
def test_a_valid_specification_survives_a_round_trip_through_toml(data: dict[str, Any]) -> None:
    written = Spec.model_validate(data)
    text = tomlkit.dumps(written.model_dump(mode="json", exclude_unset=True))
    assert Spec.model_validate(tomllib.loads(text)) == written


def schema() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json_schema())


def test_the_json_schema_is_one() -> None:
    schema().check_schema(json_schema())


@pytest.mark.parametrize(
    "text", [FULL, *(MINIMAL + tables for tables in GOOD.values())], ids=["full", *GOOD]
)
def test_the_json_schema_accepts_what_is_valid(text: str) -> None:
    schema().validate(tomllib.loads(text))


@pytest.mark.parametrize("name", sorted({*tomllib.loads(FULL)} - {"fitspec", "parametrize"}))
def test_the_json_schema_refuses_unknown_keys(name: str) -> None:
    data = tomllib.loads(FULL)
    closed = data[name][0] if isinstance(data[name], list) else data[name]
    closed["unknown"] = 1
    assert not schema().is_valid(data)


def test_the_json_schema_refuses_unknown_tables() -> None:
    assert not schema().is_valid(tomllib.loads(MINIMAL + "unknown = {}"))


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ("[poi]\ntest = 1.0\n", "q0 tests mu = 0 and nothing else; remove poi.test"),
        ("[poi]\nupper_limit = 0.95\n", "remove poi.upper_limit"),
        (
            '[parametrize]\nregion = ["A"]\n[combine]\nbest_expected = "region"\n',
            "chosen by CLs, and q0 has none",
        ),
    ],
)
def test_q0_tests_zero_alone(asked: str, problem: str) -> None:
    assert spec(Q0).tested == ()
    assert spec(Q0 + '[poi]\nname = "mu_ttbar"\n').tested == ()  # which parameter is another matter
    with pytest.raises(ValidationError, match=problem):
        spec(Q0 + asked)


Q0 = '[inference]\ntest_statistic = "q0"\n'
