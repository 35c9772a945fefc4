"""Background-only workspaces: identity, schema, measurements."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pyhf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitspec.errors import DigestError, WorkspaceError
from fitspec.sources import Access, Background, load_background, open_archive, resolve
from fitspec.sources.workspace import NORMFACTOR_BOUNDS, canonical_digest, parse_json

Workspace = dict[str, Any]
SBOTTOM = "10.17182/hepdata.89408.v1/r2"
STAU = "10.17182/hepdata.92006.v2/r2"
WH = "10.17182/hepdata.90607.v3/r3"
WRONG = f"sha256:{'0' * 64}"

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def load(workspace: Any, digests: list[str] | None = None) -> Background:
    """A workspace through its JSON."""
    return load_background(json.dumps(workspace).encode(), "BkgOnly.json", digests)


def digest_of(workspace: Any) -> str:
    return f"sha256:{pyhf.utils.digest(workspace)}"


def test_a_workspace_is_parsed_and_keeps_its_bytes(background: Workspace) -> None:
    raw = json.dumps(background, indent=3).encode()
    loaded = load_background(raw, "BkgOnly.json", None)
    assert loaded.raw == raw
    assert loaded.content == background
    assert loaded.name == "BkgOnly.json"


def test_the_digest_is_the_one_that_pyhf_prints(background: Workspace) -> None:
    assert load(background).digest == digest_of(background)


@settings(deadline=None)
@given(content=json_values)
@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_pyhf_and_fitspec_digest_alike(algorithm: str, content: Any) -> None:
    parsed = parse_json(json.dumps(content).encode(), "x")
    assert canonical_digest(parsed, algorithm, "x") == pyhf.utils.digest(content, algorithm)


@settings(deadline=None)
@given(data=st.data(), indent=st.none() | st.integers(0, 8), ascii_only=st.booleans())
def test_white_space_key_order_and_escapes_do_not_change_the_digest(
    data: st.DataObject, indent: int | None, ascii_only: bool
) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shuffled(value[key]) for key in data.draw(st.permutations(list(value)))}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    sample = {"name": "größe", "data": [50.0, 3e-5], "modifiers": []}
    workspace = {
        "channels": [{"name": "SR", "samples": [sample]}],
        "observations": [{"name": "SR", "data": [52, 33]}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
        "version": "1.0.0",
    }
    text = json.dumps(shuffled(workspace), indent=indent, ensure_ascii=ascii_only)
    digest = digest_of(workspace)
    assert load_background(f" {text}\n".encode(), "BkgOnly.json", [digest]).digest == digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("[50.0, 30.0]", "[50.0, 30.000001]", id="yield"),
        pytest.param("[204.0]", "[204]", id="integer for a float"),
        pytest.param('"shape"', '"shape "', id="name"),
    ],
)
def test_any_other_change_is_another_digest(old: str, new: str, background: Workspace) -> None:
    text = json.dumps(background)
    assert text.count(old) == 1
    with pytest.raises(DigestError, match="has digest sha256:"):
        load_background(text.replace(old, new).encode(), "BkgOnly.json", [digest_of(background)])


def test_any_of_several_digests_will_do(background: Workspace) -> None:
    digest = digest_of(background)
    assert load(background, [WRONG, digest]).digest == digest


def test_a_wrong_digest_is_refused_with_both(background: Workspace) -> None:
    other = f"sha256:{'1' * 64}"
    with pytest.raises(DigestError) as caught:
        load(background, [WRONG, other])
    assert f"digest {digest_of(background)}, expected {WRONG} or {other}" in str(caught.value)


def test_no_digest_at_all_accepts_none(background: Workspace) -> None:
    with pytest.raises(DigestError):
        load(background, [])


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        pytest.param(b"", "line 1 column 1", id="empty"),
        pytest.param(b'{"channels": [}', "line 1 column 15", id="syntax"),
        pytest.param(b'{\n"a": NaN}', "line 2 column 6", id="NaN"),
        pytest.param(b'{"a": "\xff"}', "", id="encoding"),
        pytest.param(b"[" * 100_000, "", id="nested too deeply"),
        pytest.param(b"<html>", "line 1 column 1", id="HTML"),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(raw: bytes, where: str) -> None:
    with pytest.raises(WorkspaceError, match="is not valid JSON") as caught:
        load_background(raw, "BkgOnly.json", None)
    assert where in str(caught.value)


def test_json_nested_deeper_than_python_reads_is_refused() -> None:
    with pytest.raises(WorkspaceError):
        load_background(b"[" * 1000 + b"]" * 1000, "BkgOnly.json", None)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        pytest.param(lambda w: w.pop("measurements"), "measurements", id="no measurements"),
        pytest.param(lambda w: w.update(measurements=[]), "measurements", id="none of them"),
        pytest.param(lambda w: w.update(version="2.0.0"), "version", id="other version"),
        pytest.param(lambda w: w.update(comment=1), "comment", id="unknown key"),
        pytest.param(
            lambda w: w["channels"][1]["samples"][0].pop("data"),
            "channels[1].samples[0]",
            id="sample without data",
        ),
        pytest.param(
            lambda w: w["channels"][0]["samples"][0]["data"].append("x"),
            "channels[0].samples[0].data[2]",
            id="text for a number",
        ),
        pytest.param(
            lambda w: w["channels"][0]["samples"][0]["modifiers"][1].update(type="normsyst"),
            "channels[0].samples[0].modifiers[1]",
            id="unknown modifier",
        ),
        pytest.param(
            lambda w: w["observations"][1].pop("name"), "observations[1]", id="unnamed data"
        ),
    ],
)
def test_a_violation_of_the_schema_names_its_place(
    change: Callable[[Workspace], Any], place: str, background: Workspace
) -> None:
    change(background)
    with pytest.raises(WorkspaceError) as caught:
        load(background)
    assert "BkgOnly.json is no HistFactory workspace: " in str(caught.value)
    assert place in caught.value.problem
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises((pyhf.exceptions.InvalidSpecification, pyhf.exceptions.SchemaNotFound)):
        pyhf.Workspace(background)


@pytest.mark.parametrize("content", [[], {}, 3, None, "x"], ids=repr)
def test_json_that_is_no_workspace_is_refused(content: Any) -> None:
    with pytest.raises(WorkspaceError, match="is no HistFactory workspace: "):
        load(content)


def test_the_digest_is_checked_before_the_schema() -> None:
    with pytest.raises(DigestError):
        load({}, [WRONG])


@pytest.fixture
def two_measurements(background: Workspace) -> Background:
    """A workspace with the measurements ``measurement`` and ``second``, with bounds."""
    parameters = [
        {"name": "norm", "bounds": [[-3, 3]]},
        {"name": "mu", "bounds": [[-1, 25.5]], "inits": [1.0]},
    ]
    config = {"poi": "mu", "parameters": parameters}
    background["measurements"].append({"name": "second", "config": config})
    return load(background)


def test_the_first_measurement_is_the_default(two_measurements: Background) -> None:
    assert two_measurements.measurement(None)["name"] == "measurement"
    assert two_measurements.measurement("second")["name"] == "second"


def test_an_unknown_measurement_is_refused_with_the_known_ones(
    two_measurements: Background,
) -> None:
    with pytest.raises(WorkspaceError, match="has no measurement 'third'") as caught:
        two_measurements.measurement("third")
    assert "'measurement', 'second'" in str(caught.value)


def test_the_poi_has_the_bounds_of_its_measurement_or_pyhfs_own(
    two_measurements: Background, make_patch: Callable[..., list[dict[str, Any]]]
) -> None:
    default, bounded = (two_measurements.measurement(name) for name in (None, "second"))
    assert two_measurements.poi_bounds(bounded, "mu") == (-1, 25.5)
    assert two_measurements.poi_bounds(default, "mu") == NORMFACTOR_BOUNDS
    model = pyhf.Workspace(two_measurements.content).model(patches=[make_patch([5.0, 8.0])])
    assert model.config.suggested_bounds()[model.config.poi_index] == NORMFACTOR_BOUNDS


def test_a_poi_with_settings_but_no_bounds_has_pyhfs_own(two_measurements: Background) -> None:
    measurement = {"config": {"poi": "mu", "parameters": [{"name": "mu", "inits": [1.0]}]}}
    assert two_measurements.poi_bounds(measurement, "mu") == NORMFACTOR_BOUNDS


@pytest.mark.data
@pytest.mark.parametrize(
    ("doi", "path", "digest"),
    [
        pytest.param(
            SBOTTOM,
            "RegionA/BkgOnly.json",
            "sha256:516fa21b09fd7aecb09116e8906f8259f151aa41b8763eefd9e5548bb7c82a58",
            id="sbottom A",
        ),
        pytest.param(
            SBOTTOM,
            "RegionB/BkgOnly.json",
            "sha256:e7d31923a652d498cfd62137c287a2460f5f63cdb9058f3a4deadef74fa35655",
            id="sbottom B",
        ),
        pytest.param(
            SBOTTOM,
            "RegionC/BkgOnly.json",
            "sha256:223c07cd7e0a9423f072b0aef6ba1be2dbfe3934f5e6a315e444792a0646e460",
            id="sbottom C",
        ),
        pytest.param(
            STAU,
            "Region-combined/BkgOnly.json",
            "sha256:956aef2f8ba24ff49ac328757e1689c03be73c0ef846744555257eb98e894d10",
            id="stau combined",
        ),
        pytest.param(
            STAU,
            "Region-lowMass/BkgOnly.json",
            "sha256:b24ed860bc53c6acddd976102052130da045b2c498114de6aa59ae3aea577a7e",
            id="stau low mass",
        ),
        pytest.param(
            STAU,
            "Region-highMass/BkgOnly.json",
            "sha256:ef7a7f84f5ef9290e5d12c5e8e51159883ca56c865fca19e76db14ebf3cd5d41",
            id="stau high mass",
        ),
        pytest.param(
            WH,
            "BkgOnly.json",
            "sha256:2563672e1a165384faf49f1431e921d88c9c07ec10f150d5045576564f98f820",
            id="1Lbb",
        ),
    ],
)
def test_the_published_workspaces_have_their_digests(
    doi: str, path: str, digest: str, mirror: Any, tmp_path: Any
) -> None:
    archive = open_archive(resolve(doi, tmp_path, Access(tmp_path, mirror, offline=True)))
    loaded = load_background(archive.read([path])[path], path, [digest])
    assert loaded.digest == digest_of(loaded.content)
    measurement = loaded.measurement(None)
    assert loaded.poi_bounds(measurement, measurement["config"]["poi"])[1] >= 1


def test_a_poi_that_is_no_normalisation_has_bounds_of_its_own(
    two_measurements: Background,
) -> None:
    measurement = two_measurements.measurement(None)
    assert two_measurements.poi_bounds(measurement, "norm") == (-math.inf, math.inf)
