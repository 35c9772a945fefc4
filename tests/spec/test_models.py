from __future__ import annotations

import copy
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
from fitspec.spec.models import QUANTITIES, Poi, Range, Scan

MINIMAL = {"fitspec": 1, "analysis": {"name": "small"}, "workspace": {"path": "background.json"}}

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
name = "river"

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
BAND = [0.1, 0.2, 0.3, 0.4, 0.5]
UUID = "4b116d3c-1703-4f8f-9f6f-39921e5864df"

GOOD: dict[str, dict[str, Any]] = {
    "the minimum": {},
    "numeric and textual references": {"analysis": {"name": "x", "references": {"a": 1, "b": "c"}}},
    "mixed parametrize values": {"parametrize": {"region": ["A", 2, 0.5]}},
    "one digest": {"workspace": {"path": "b.json", "digest": DIGEST}},
    "several digests": {"workspace": {"path": "b.json", "digest": [DIGEST, DIGEST]}},
    "a patchset with new labels": {"patches": {"patchset": "p.json", "labels": ["m_1", "m_2"]}},
    "a table of yields": {"patches": {"yields": "signal.csv"}},
    "yields written out": {"patches": {"yields": [{"mass": 100, "SR[0]": 1.5}, {"mass": "low"}]}},
    "discovery channels": {"patches": {"discovery": ["SR_HM"]}},
    "a selected value": {"patches": {"files": "{m}.json", "select": {"m": 60}}},
    "selected values": {"patches": {"files": "{m}.json", "select": {"m": [60, "low", 0.5]}}},
    "a selected range": {"patches": {"files": "{m}.json", "select": {"m": {"gt": 1, "le": 2.5}}}},
    "one POI value": {"poi": {"test": 1}},
    "several POI values": {"poi": {"test": [0.5, 1]}},
    "a scan": {"poi": {"scan": {"start": 0, "stop": 5, "num": 51}}},
    "a limit": {"poi": {"upper_limit": 0.95}},
    "a number of toys": {"inference": {"calculator": "toys", "toys": 5000, "seed": 1}},
    "toys until": {
        "inference": {"calculator": "toys", "toys": {"max": 100_000, "precision": 0.02}}
    },
    "other statistics": {"inference": {"test_statistic": "q0", "expected": "pre-fit"}},
    "other interpolation": {
        "inference": {"interpcodes": {"normsys": "code1", "histosys": "code0"}}
    },
    "pyhf with its settings": {
        "backend": {"name": "pyhf", "tensor": "jax", "optimizer": "minuit"}
    },
    "a Globus endpoint": {"endpoint": {"kind": "globus-compute", "id": UUID}},
    "a Dask endpoint": {"endpoint": {"kind": "dask", "address": "tcp://10.0.0.1:8786"}},
    "a plugin's endpoint": {"endpoint": {"kind": "slurm", "workers": 8}},
    "every quantity": {
        "expect": [
            {
                "point": "x",
                "mu": 1,
                "excluded": False,
                "atol": 0,
                **dict.fromkeys(("CLs_obs", "p_b", "p0", "mu_hat"), 0.5),
                **dict.fromkeys(("upper_limit_obs", "upper_limit_xsec_obs"), 1),
                **dict.fromkeys(("CLs_exp", "upper_limit_exp", "upper_limit_xsec_exp"), BAND),
            }
        ]
    },
    "an expected table": {"expect": [{"table": "t.csv", "rtol": 0.1}]},
}  # fmt: skip

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown table": ({"worskpace": {}}, "Extra inputs"),
    "a number for a name": ({"analysis": {"name": 3}}, "valid string"),
    "an empty name": ({"analysis": {"name": ""}}, "at least 1 character"),
    "a boolean reference": ({"analysis": {"name": "x", "references": {"a": True}}}, "valid"),
    "no parametrize values": ({"parametrize": {"region": []}}, "at least 1 item"),
    "a lone parametrize value": ({"parametrize": {"region": "A"}}, "valid tuple"),
    "a digest without its algorithm": ({"workspace": {"path": "b", "digest": "0" * 64}}, "pattern"),
    "a digest in capitals": ({"workspace": {"path": "b", "sha256": "A" * 64}}, "pattern"),
    "no digests": ({"workspace": {"path": "b", "digest": []}}, "at least 1 item"),
    "no source of patches": ({"patches": {"select": {"m": 1}}}, "found none"),
    "two sources of patches": (
        {"patches": {"files": "a", "discovery": ["b"]}}, "found files and discovery",
    ),
    "labels without a patchset": ({"patches": {"files": "a", "labels": ["m"]}}, "there is none"),
    "a selected boolean": ({"patches": {"files": "a", "select": {"m": True}}}, "valid"),
    "a selected nan": ({"patches": {"files": "a", "select": {"m": float("nan")}}}, "finite"),
    "no selected values": ({"patches": {"files": "a", "select": {"m": []}}}, "at least 1 item"),
    "an empty range": ({"patches": {"files": "a", "select": {"m": {}}}}, "selects nothing"),
    "a textual range": ({"patches": {"files": "a", "select": {"m": {"ge": "1"}}}}, "valid number"),
    "a boolean POI": ({"poi": {"test": True}}, "valid number"),
    "a textual POI": ({"poi": {"test": ["1"]}}, "valid number"),
    "an infinite POI": ({"poi": {"test": float("inf")}}, "finite"),
    "no POI values": ({"poi": {"test": []}}, "at least 1 item"),
    "test and scan": (
        {"poi": {"test": 1, "scan": {"start": 0, "stop": 1, "num": 2}}}, "keep one",
    ),
    "a scan downwards": ({"poi": {"scan": {"start": 1, "stop": 0, "num": 2}}}, "must be above"),
    "a scan of one value": ({"poi": {"scan": {"start": 0, "stop": 1, "num": 1}}}, "equal to 2"),
    "a fractional scan": ({"poi": {"scan": {"start": 0, "stop": 1, "num": 2.0}}}, "valid integer"),
    "a confidence level of one": ({"poi": {"upper_limit": 1.0}}, "less than 1"),
    "a cross-section without its label": ({"cross_section": {"table": "x"}}, "required"),
    "an unknown statistic": ({"inference": {"test_statistic": "tmu"}}, "'q', 'qtilde' or 'q0'"),
    "toys for asymptotics": ({"inference": {"toys": 100}}, "belong to"),
    "a seed for asymptotics": ({"inference": {"seed": 1}}, "belong to"),
    "toys without a number": ({"inference": {"calculator": "toys"}}, "needs toys"),
    "a boolean seed": (
        {"inference": {"calculator": "toys", "toys": 1, "seed": True}}, "valid integer",
    ),
    "settings of another backend": (
        {"backend": {"name": "native", "optimizer": "minuit"}}, "belong to",
    ),
    "no workers": ({"endpoint": {"workers": 0}}, "greater than or equal to 1"),
    "a name for an endpoint's id": ({"endpoint": {"id": "river"}}, "valid UUID"),
    "a case that is not there": ({"combine": {"best_expected": "region"}}, "no key"),
    "an expectation of nothing": ({"expect": [{"rtol": 0.1}]}, "exactly one of point and table"),
    "a point and a table": (
        {"expect": [{"point": "x", "table": "y", "p_b": 0.1}]}, "exactly one of point and table",
    ),
    "a point without quantities": ({"expect": [{"point": "x"}]}, "no quantity to check"),
    "a table with quantities": ({"expect": [{"table": "x", "p_b": 0.1}]}, "columns, not keys"),
    "a negative tolerance": ({"expect": [{"point": "x", "p_b": 0.1, "rtol": -1e-3}]}, "equal to 0"),
    "a band of four": ({"expect": [{"point": "x", "CLs_exp": BAND[:4]}]}, "required"),
    "a number for a truth": ({"expect": [{"point": "x", "excluded": 1}]}, "valid boolean"),
}  # fmt: skip


def spec(**tables: Any) -> Spec:
    return Spec.model_validate({**copy.deepcopy(MINIMAL), **tables})


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
def test_every_table_of_the_language_is_accepted(tables: dict[str, Any]) -> None:
    accepted = spec(**tables)
    assert accepted.model_fields_set == {*MINIMAL, *tables}


@pytest.mark.parametrize(("tables", "problem"), BAD.values(), ids=BAD)
def test_what_the_language_does_not_allow_is_refused(tables: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        spec(**tables)


@pytest.mark.parametrize("key", MINIMAL)
def test_a_required_table_cannot_be_left_out(key: str) -> None:
    with pytest.raises(ValidationError, match="Field required"):
        Spec.model_validate({name: value for name, value in MINIMAL.items() if name != key})


def test_one_value_stands_for_a_list_of_one() -> None:
    single = spec(
        workspace={"path": "b", "digest": DIGEST},
        patches={"files": "{m}", "select": {"m": 60}},
        poi={"test": 2},
    )
    assert single.workspace.digest == (DIGEST,)
    assert single.patches is not None
    assert single.patches.select == {"m": (60,)}
    assert single.poi.test == (2.0,)


def test_funcx_is_another_name_for_globus_compute() -> None:
    assert spec(endpoint={"kind": "funcx"}).endpoint.kind == "globus-compute"


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


@settings(deadline=None)
@given(
    start=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e6), num=st.integers(min_value=2, max_value=300)
)
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
    frozen = spec()
    model = getattr(frozen, table)
    for owner, name in [(frozen, table), *((model, name) for name in type(model).model_fields)]:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(owner, name, None)


# round trip

finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(min_size=1, max_size=8)
labels = st.one_of(names, st.integers(), finite)
fractions = st.floats(0.01, 0.99)
bands = st.lists(finite, min_size=5, max_size=5)
digests = st.sampled_from(["0", "a", "f"]).map(lambda digit: f"sha256:{digit * 64}")


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=1, max_size=3)


def table(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional)


def join(*tables: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(*tables).map(lambda parts: {k: v for part in parts for k, v in part.items()})


def one_key(**required: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(*(st.fixed_dictionaries({name: value}) for name, value in required.items()))


bounds = table(ge=finite, gt=finite, le=finite, lt=finite).filter(bool)
toys = st.integers(1, 10**6) | st.fixed_dictionaries(
    {"max": st.integers(1, 10**6), "precision": fractions}
)
numbers = {name: finite for name in QUANTITIES if "exp" not in name and name != "excluded"}
bands_of = {name: bands for name in QUANTITIES if name.endswith("exp")}
about_expectations = table(
    rtol=st.floats(0, 1), atol=st.floats(0, 1), source=st.text(max_size=8), xfail=names
)
specs = join(
    st.fixed_dictionaries(
        {
            "fitspec": st.just(1),
            "analysis": join(
                st.fixed_dictionaries({"name": names}),
                table(
                    title=st.text(max_size=8),
                    references=st.dictionaries(names, names | st.integers(), max_size=2),
                ),
            ),
            "parametrize": st.dictionaries(names, some(labels), max_size=2).map(
                lambda cases: {"region": ["A"], **cases}
            ),
            "workspace": join(
                st.fixed_dictionaries({"path": names}),
                table(
                    archive=names,
                    digest=digests | some(digests),
                    sha256=st.just("b" * 64),
                    measurement=names,
                ),
            ),
        }
    ),
    table(
        patches=join(
            one_key(
                files=names,
                patchset=names,
                yields=names | some(st.dictionaries(names, labels, min_size=1, max_size=2)),
                discovery=some(names),
            ),
            table(select=st.dictionaries(names, labels | some(labels) | bounds, max_size=2)),
        ),
        poi=join(
            one_key(
                test=finite | some(finite),
                scan=st.fixed_dictionaries(
                    {
                        "start": st.floats(-9, 0),
                        "stop": st.floats(1, 9),
                        "num": st.integers(2, 10_000),
                    }
                ),
            ),
            table(upper_limit=fractions),
        ),
        cross_section=st.fixed_dictionaries({"table": names, "on": names}),
        inference=st.one_of(
            table(
                test_statistic=st.sampled_from(["q", "qtilde", "q0"]),
                expected=st.sampled_from(["post-fit", "pre-fit"]),
                interpcodes=table(normsys=st.just("code1"), histosys=st.just("code2")),
            ),
            st.fixed_dictionaries(
                {"calculator": st.just("toys"), "toys": toys},
                optional={"seed": st.integers(0, 2**63)},
            ),
        ),
        backend=st.one_of(
            st.just({"name": "native"}),
            table(tensor=st.just("numpy"), optimizer=st.sampled_from(["scipy", "minuit"])),
        ),
        endpoint=table(
            kind=names | st.just("funcx"),
            workers=st.just("auto") | st.integers(1, 64),
            name=names,
            id=st.uuids().map(str),
            address=names,
        ),
        combine=st.just({"best_expected": "region"}),
        expect=some(
            join(
                about_expectations,
                st.one_of(
                    st.fixed_dictionaries({"table": names}),
                    st.fixed_dictionaries(
                        {"point": names, "CLs_obs": finite},
                        optional={**numbers, **bands_of, "excluded": st.booleans(), "mu": finite},
                    ),
                ),
            )
        ),
    ),
)


@settings(deadline=None)
@given(specs)
def test_a_valid_specification_survives_a_round_trip_through_toml(data: dict[str, Any]) -> None:
    written = Spec.model_validate(data)
    text = tomlkit.dumps(written.model_dump(mode="json", exclude_unset=True))
    assert Spec.model_validate(tomllib.loads(text)) == written


# JSON Schema


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    return jsonschema.Draft202012Validator(json_schema())


@pytest.mark.parametrize("tables", [*GOOD.values(), tomllib.loads(FULL)], ids=[*GOOD, "full"])
def test_the_json_schema_accepts_good_examples(
    schema: jsonschema.Draft202012Validator, tables: dict[str, Any]
) -> None:
    schema.validate({**MINIMAL, **tables})


@pytest.mark.parametrize("table", tomllib.loads(FULL))
def test_the_json_schema_refuses_unknown_keys(
    schema: jsonschema.Draft202012Validator, table: str
) -> None:
    data = tomllib.loads(FULL)
    if isinstance(data[table], list):
        data[table][0]["unknown"] = 1
    elif isinstance(data[table], dict) and table != "parametrize":
        data[table]["unknown"] = 1
    else:
        data["unknown"] = 1
    with pytest.raises(jsonschema.ValidationError, match="'unknown' was unexpected"):
        schema.validate(data)
