"""Results as a HEPData submission: tables of CLs, p-values and limits, with the likelihood.

https://hepdata-submission.readthedocs.io; written by hepdata_lib, checked by hepdata-validator.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fitspec.bundle.inputs import Inputs
from fitspec.errors import (
    FitspecError,
    MissingExtraError,
    SourceError,
    UsageError,
    counted,
    nearest,
)
from fitspec.files import write_file
from fitspec.outcome import Band, HypothesisTest
from fitspec.results import Label, PointResult, RunReport
from fitspec.spec.models import Spec

DIGITS = 6
"""Significant digits of numbers."""


@dataclass(frozen=True, slots=True)
class Row:
    """A hypothesis and its result."""

    labels: Mapping[str, Label]
    result: PointResult


@dataclass(frozen=True, slots=True)
class Numbers:
    """A table of a submission.

    Attributes:
        name: its name, which gives that of its file.
        description: what its numbers are.
        quantity: heading of the columns; observed and expected are added.
        units: of the quantity; may be empty.
        observables: HEPData's keywords.
        qualifiers: what holds for all rows.
        of: observed value and expected band of a result; None where it has none.
    """

    name: str
    description: str
    quantity: str
    units: str
    observables: tuple[str, ...]
    qualifiers: Mapping[str, str | float]
    of: Callable[[PointResult], tuple[float, Band] | None]


def write_submission(
    path: Path, spec: Spec, report: RunReport, inputs: Inputs, units: Mapping[str, str]
) -> int:
    """Write a submission archive.

    Args:
        path: the tar.gz file.
        spec: the specification.
        report: its results.
        inputs: the specification and all that it reads.
        units: of labels.

    Returns:
        the number of tables.

    Raises:
        MissingExtraError: hepdata_lib is not installed.
        UsageError: there is nothing to submit, or a unit of a label that no point has.
    """
    try:
        import hepdata_lib
    except ImportError as error:
        raise MissingExtraError("hepdata_lib", "hepdata") from error

    labels = list(dict.fromkeys(label for point in report.points for label in point.labels))
    for label in units:
        if label not in labels:
            remedy = nearest(label, labels) or f"labels are {', '.join(labels) or 'none'}"
            raise UsageError(f"--unit {label}: no point has this label", remedy)
    tables = [
        table
        for rows, suffix in _row_sets(report)
        for numbers in _all_numbers(spec, report)
        if (table := _table(hepdata_lib, numbers, rows, suffix, units, spec)) is not None
    ]
    if not tables:
        raise UsageError(f"{path}: no point has CLs, p-values or limits", "ask for them in [poi]")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "submission"
        submission = _submission(hepdata_lib, spec, report, Path(temporary), inputs)
        for table in tables:
            submission.add_table(table)
        _create(submission, folder)
        _require_valid(folder)
        _pack(path, folder)
    return len(tables)


def _row_sets(report: RunReport) -> Iterator[tuple[list[Row], str]]:
    """All points; and the chosen ones of combinations."""
    yield [Row(point.labels, point) for point in report.points], ""
    if report.combined:
        yield [Row(c.result.labels, c.result) for c in report.combined], " of the best expected"


def _all_numbers(spec: Spec, report: RunReport) -> Iterator[Numbers]:
    calculator = spec.inference.calculator
    statistic = {"Test statistic": spec.inference.test_statistic, "Calculator": calculator}
    tested = dict.fromkeys(t.mu for point in report.points for t in point.outcome.tests)
    for mu in tested:
        yield Numbers(
            f"CLs at mu {mu:.12g}",
            f"CLs of the signal hypotheses, at {mu:.12g} times the nominal signal strength.",
            "CLs",
            "",
            ("CLS",),
            {"Signal strength": mu, **statistic},
            lambda point, mu=mu: _cls(point, mu),  # type: ignore[misc]
        )
    yield Numbers(
        "Discovery p-values",
        "p-values of the background-only hypothesis; expected ones are for the nominal signal.",
        "p0",
        "",
        ("PVALUE",),
        statistic,
        _p0,
    )
    level = {"Confidence level": f"{100 * (spec.poi.upper_limit or 0):g}%", **statistic}
    yield Numbers(
        "Upper limits on mu",
        "CLs upper limits on the signal strength.",
        "Upper limit on the signal strength",
        "",
        ("MU",),
        level,
        lambda point: _limit(point.outcome.upper_limit_obs, point.outcome.upper_limit_exp),
    )
    yield Numbers(
        "Upper limits on the cross-section",
        "CLs upper limits on the cross-section: those on the signal strength times the theory's.",
        "Upper limit on the cross-section",
        "pb",
        ("SIG",),
        level,
        lambda point: _limit(point.upper_limit_xsec_obs, point.upper_limit_xsec_exp),
    )


def _cls(point: PointResult, mu: float) -> tuple[float, Band] | None:
    tests: Sequence[HypothesisTest] = [test for test in point.outcome.tests if test.mu == mu]
    return (tests[0].CLs_obs, tests[0].CLs_exp) if tests else None


def _p0(point: PointResult) -> tuple[float, Band] | None:
    found = point.outcome.discovery
    return None if found is None else (found.p0, found.p0_exp)


def _limit(observed: float | None, expected: Band | None) -> tuple[float, Band] | None:
    return None if observed is None or expected is None else (observed, expected)


def _table(
    library: Any,
    numbers: Numbers,
    rows: Sequence[Row],
    suffix: str,
    units: Mapping[str, str],
    spec: Spec,
) -> Any:
    """A table with a row for each point that has the numbers; None if no one has."""
    found = [(row, pair) for row in rows if (pair := numbers.of(row.result)) is not None]
    if not found:
        return None
    table = library.Table(numbers.name + suffix)
    left_out = len(rows) - len(found)
    note = f" {counted(left_out, 'point')} without these numbers left out." if left_out else ""
    table.description = numbers.description + note
    table.location = spec.analysis.title or spec.analysis.name
    table.keywords["observables"] = list(numbers.observables)
    table.keywords["phrases"] = [spec.analysis.name, "CLs", "HistFactory"]
    for name, values in _label_columns([row for row, _ in found]).items():
        column = library.Variable(name, is_binned=False, units=units.get(name, ""))
        column.values, column.digits = values, 15  # as they are
        table.add_variable(column)
    observed = _dependent(library, f"{numbers.quantity}, observed", numbers)
    observed.values = [value for _, (value, _) in found]
    expected = _dependent(library, f"{numbers.quantity}, expected", numbers)
    expected.values = [band[2] for _, (_, band) in found]
    for sigma in (1, 2):
        band_edges = library.Uncertainty(f"{sigma} sigma", is_symmetric=False)
        band_edges.values = [
            (band[2 - sigma] - band[2], band[2 + sigma] - band[2]) for _, (_, band) in found
        ]
        expected.add_uncertainty(band_edges)
    table.add_variable(observed)
    table.add_variable(expected)
    return table


def _label_columns(rows: Sequence[Row]) -> dict[str, list[Label]]:
    """Values by label, and the points' names where labels do not tell them apart."""
    names = list(dict.fromkeys(label for row in rows for label in row.labels))
    columns = {name: [row.labels.get(name, "") for row in rows] for name in names}
    if len(set(zip(*columns.values(), strict=True))) < len(rows):
        columns["Point"] = [row.result.id for row in rows]
    return columns


def _dependent(library: Any, name: str, numbers: Numbers) -> Any:
    column = library.Variable(
        name,
        is_independent=False,
        is_binned=False,
        units=numbers.units,
        zero_uncertainties_warning=False,
    )
    column.digits = DIGITS
    for qualifier, value in numbers.qualifiers.items():
        column.add_qualifier(qualifier, value)
    return column


def _submission(library: Any, spec: Spec, report: RunReport, folder: Path, inputs: Inputs) -> Any:
    submission = library.Submission()
    what = ": ".join(filter(None, (spec.analysis.name, spec.analysis.title)))
    version = report.environment.get("fitspec", "")
    submission.comment = f"{what}. Computed by fitspec {version} from the attached likelihood."
    inspire = str(spec.analysis.references.get("inspire", ""))
    if inspire.isdecimal():
        submission.add_record_id(int(inspire), "inspire")
    for name, (description, content, kind) in _resources(inputs).items():
        (folder / name).write_bytes(content)
        try:
            submission.add_additional_resource(
                description, str(folder / name), copy_file=True, file_type=kind
            )
        except RuntimeError as error:
            problem = f"{name} is too large for HEPData: {len(content) >> 20} MiB"
            raise SourceError(problem, "take a smaller archive") from error
    return submission


def _resources(inputs: Inputs) -> dict[str, tuple[str, bytes, str | None]]:
    """Description, content and HEPData's type, by file name."""
    spec = inputs.files[inputs.spec]
    found: dict[str, tuple[str, bytes, str | None]] = {
        PurePosixPath(inputs.spec).name: ("Fit specification, for fitspec", spec.content, None)
    }
    loose = {}
    for member, file in inputs.files.items():
        if file.role == "archive of workspace and patches":
            name = "_".join(PurePosixPath(member).parts[1:])  # HEPData has no folders
            found[name] = ("Likelihood: workspaces and signal patches", file.content, "HistFactory")
        elif file.role in {"workspace", "signal patches", "signal patch"}:
            loose[PurePosixPath(member).relative_to(PurePosixPath(member).parts[0])] = file.content
    if loose:
        packed = _packed({str(path): content for path, content in loose.items()})
        description = "Likelihood: workspaces and signal patches"
        found["likelihood.tar.gz"] = (description, packed, "HistFactory")
    return found


def _create(submission: Any, folder: Path) -> None:
    """hepdata_lib leaves an archive of its own, with times, in the working directory."""
    with redirect_stdout(io.StringIO()), chdir(folder.parent):
        submission.create_files(str(folder), validate=False)


def _require_valid(folder: Path) -> None:
    """HEPData's own check; the schemas come with it."""
    from hepdata_validator.full_submission_validator import FullSubmissionValidator

    validator = FullSubmissionValidator(autoload_remote_schemas=False)
    with redirect_stdout(io.StringIO()):
        valid = validator.validate(directory=str(folder))
    if not valid:
        messages = [
            f"{PurePosixPath(name).name}: {message.message}"
            for name, found in validator.get_messages().items()
            for message in found
        ]
        raise FitspecError(f"the submission is not valid: {'; '.join(messages)}", "report this")


def _pack(path: Path, folder: Path) -> None:
    write_file(path, _packed({file.name: file.read_bytes() for file in folder.iterdir()}))


def _packed(files: Mapping[str, bytes]) -> bytes:
    """A tar.gz of files: sorted, without times and owners."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(files):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(files[name]), 0o644
            tar.addfile(info, io.BytesIO(files[name]))
    return gzip.compress(plain.getvalue(), mtime=0)
