"""A HEPData submission: accepted by HEPData's validator, and its numbers are the report's."""

from __future__ import annotations

import io
import socket
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hepdata_validator.full_submission_validator import FullSubmissionValidator

from fitspec.bundle import Inputs, write_submission
from fitspec.bundle.inputs import Input
from fitspec.errors import MissingExtraError, UsageError
from fitspec.outcome import Band, Discovery, HypothesisTest, Outcome
from fitspec.results import Combined, PointResult, RunReport, SpecRecord
from fitspec.spec.models import Spec

BAND: Band = (0.09, 0.19, 0.38, 0.66, 0.89)
LIMITS: Band = (0.5, 0.75, 1.0, 1.5, 2.25)
SPEC = Spec.model_validate(
    {
        "fitspec": 1,
        "analysis": {"name": "small", "references": {"inspire": 1765529}},
        "workspace": {"path": "background.json"},
        "poi": {"test": [1.0, 0.5], "upper_limit": 0.95},
    }
)
INPUTS = Inputs(
    "specification/small.toml",
    {
        "specification/small.toml": Input("specification", b"fitspec = 1\n"),
        "specification/A/background.json": Input("workspace", b"{}"),
        "specification/B/background.json": Input("workspace", b"[]"),
        "specification/expected.csv": Input("expected values", b"mass\n"),
    },
)


def point(name: str, mass: int, **changes: Any) -> PointResult:
    tests = tuple(HypothesisTest(mu, 0.0123456789, BAND, 0.1, 0.5, 1.5, 2.5) for mu in (1.0, 0.5))
    outcome = Outcome("ok", tests=tests, upper_limit_obs=1.25, upper_limit_exp=LIMITS)
    return PointResult(
        "small.toml", name, {"mass": mass, "decay": "bb"}, replace(outcome, **changes), xsec_pb=0.01
    )


def report(*points: PointResult, combined: tuple[Combined, ...] = ()) -> RunReport:
    record = SpecRecord("small.toml", "ab" * 32, "small")
    return RunReport((record,), {"fitspec": "0.1.0"}, points, combined, (), 0, 1.0)


TWO = report(point("a", 1300), point("b", 1400))


def submission(path: Path) -> tuple[list[Any], dict[str, bytes]]:
    """The documents of submission.yaml, and all files."""
    with tarfile.open(path) as tar:
        files = {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    return list(yaml.safe_load_all(files["submission.yaml"])), files


def write(tmp_path: Path, results: RunReport = TWO, spec: Spec = SPEC, **units: str) -> Path:
    path = tmp_path / "submission.tar.gz"
    write_submission(path, spec, results, INPUTS, units)
    return path


def test_hepdatas_validator_accepts_it_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("no network is needed")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    path = write(tmp_path, mass="GeV")

    validator = FullSubmissionValidator()

    assert validator.validate(archive=str(path)), validator.get_messages()
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_are_those_of_the_report(tmp_path: Path) -> None:
    documents, files = submission(write(tmp_path, mass="GeV"))

    assert [document["name"] for document in documents[1:]] == [
        "CLs at mu 1", "CLs at mu 0.5", "Upper limits on mu", "Upper limits on the cross-section",
    ]  # fmt: skip
    table = yaml.safe_load(files[documents[4]["data_file"]])
    mass, decay = table["independent_variables"]
    assert mass["header"] == {"name": "mass", "units": "GeV"}
    assert [value["value"] for value in mass["values"]] == [1300, 1400]
    assert decay["header"] == {"name": "decay"}
    observed, expected = table["dependent_variables"]
    assert observed["header"] == {
        "name": "Upper limit on the cross-section, observed", "units": "pb",
    }  # fmt: skip
    assert observed["values"] == 2 * [{"value": 0.0125}]
    assert {"name": "Confidence level", "value": "95%"} in observed["qualifiers"]
    assert expected["values"][0] == {
        "value": 0.01,
        "errors": [
            {"label": "1 sigma", "asymerror": {"minus": -0.0025, "plus": 0.005}},
            {"label": "2 sigma", "asymerror": {"minus": -0.005, "plus": 0.0125}},
        ],
    }
    cls = yaml.safe_load(files[documents[2]["data_file"]])["dependent_variables"][0]
    assert cls["values"][0] == {"value": 0.0123457}
    assert {"name": "Signal strength", "value": 0.5} in cls["qualifiers"]


def test_the_likelihood_goes_along(tmp_path: Path) -> None:
    documents, files = submission(write(tmp_path))

    head = documents[0]
    assert head["record_ids"] == [{"id": 1765529, "type": "inspire"}]
    resources = {r["location"]: r.get("type") for r in head["additional_resources"]}
    assert resources["small.toml"] is None
    assert resources["likelihood.tar.gz"] == "HistFactory"
    with tarfile.open(fileobj=io.BytesIO(files["likelihood.tar.gz"])) as tar:
        assert tar.getnames() == ["A/background.json", "B/background.json"]


def test_an_archive_goes_along_as_it_is(tmp_path: Path) -> None:
    packed = Input("archive of workspace and patches", b"\x1f\x8bany bytes")
    inputs = replace(INPUTS, files={INPUTS.spec: INPUTS.files[INPUTS.spec], "sources/a.gz": packed})
    write_submission(tmp_path / "s.tar.gz", SPEC, TWO, inputs, {})
    assert submission(tmp_path / "s.tar.gz")[1]["a.gz"] == packed.content


def test_points_without_numbers_are_left_out_and_counted(tmp_path: Path) -> None:
    failed = PointResult("small.toml", "c", {"mass": 1500}, Outcome.failed("lost"))
    documents, files = submission(write(tmp_path, report(*TWO.points, failed)))
    assert documents[1]["description"].endswith("1 point without these numbers left out.")
    table = yaml.safe_load(files[documents[1]["data_file"]])
    assert len(table["dependent_variables"][0]["values"]) == 2


def test_points_that_labels_do_not_tell_apart_have_their_names(tmp_path: Path) -> None:
    documents, files = submission(write(tmp_path, report(point("a", 1300), point("b", 1300))))
    columns = yaml.safe_load(files[documents[1]["data_file"]])["independent_variables"]
    assert [column["header"]["name"] for column in columns] == ["mass", "decay", "Point"]
    assert [value["value"] for value in columns[2]["values"]] == ["a", "b"]


def test_a_single_point_without_labels_has_its_name(tmp_path: Path) -> None:
    alone = replace(point("background", 0), labels={})
    documents, files = submission(write(tmp_path, report(alone)))
    [column] = yaml.safe_load(files[documents[1]["data_file"]])["independent_variables"]
    assert column["values"] == [{"value": "background"}]


def test_best_expected_choices_have_tables_of_their_own(tmp_path: Path) -> None:
    a, b = TWO.points
    combined = Combined("small.toml", "x", a.id, (a.id, b.id), a)
    documents, files = submission(write(tmp_path, report(a, b, combined=(combined,))))
    names = {document["name"]: document["data_file"] for document in documents[1:]}
    table = yaml.safe_load(files[names["CLs at mu 1 of the best expected"]])
    assert [value["value"] for value in table["independent_variables"][0]["values"]] == [1300]


def test_discovery_has_its_p_values(tmp_path: Path) -> None:
    p0_exp = (0.001, 0.01, 0.05, 0.2, 0.5)
    found = replace(
        point("a", 1300), outcome=Outcome("ok", discovery=Discovery(0.02, p0_exp, 2.0, 4.2, 2.7))
    )
    documents, files = submission(write(tmp_path, report(found)))
    assert [document["name"] for document in documents[1:]] == ["Discovery p-values"]
    observed, expected = yaml.safe_load(files["discovery_p-values.yaml"])["dependent_variables"]
    assert observed["values"] == [{"value": 0.02}]
    assert expected["values"][0]["errors"][1]["asymerror"] == {"minus": -0.049, "plus": 0.45}


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    assert write(tmp_path).read_bytes() == write(tmp_path).read_bytes()


def test_nothing_to_submit_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no point has CLs, p-values or limits"):
        write(tmp_path, report(replace(point("a", 1300), outcome=Outcome("ok", mu_hat=1.0))))


def test_a_unit_of_no_label_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--unit mas: no point has this label; did you mean 'mass"):
        write(tmp_path, mas="GeV")


def test_without_hepdata_lib_the_remedy_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hepdata_lib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'fitspec\[hepdata\]'"):
        write(tmp_path)
