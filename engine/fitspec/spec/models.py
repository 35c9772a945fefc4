"""The fit specification, schema version 1, as pydantic models.

The models say what a valid specification *is*; what this version of fitspec can compute is a
separate question, answered in :mod:`fitspec.plan`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from fitspec.errors import counted
from fitspec.results import Label
from fitspec.spec.endpoint import Endpoint
from fitspec.spec.expect import Expect
from fitspec.spec.fit import Fit
from fitspec.spec.types import (
    Combinations,
    Digests,
    Fraction,
    Labels,
    Model,
    Name,
    Names,
    Numbers,
    Rows,
    Sha256,
    one_or_more,
    to_tuple,
)

SCHEMA_VERSION = 1


def _keys(key: str) -> list[str]:
    """`"region, channel"` stands for two keys."""
    return [name.strip() for name in key.split(",")]


def _selection(value: Any) -> Any:
    return value if isinstance(value, Mapping | Range) else one_or_more(value)


class Analysis(Model):
    """Which published analysis this is."""

    name: Name
    """Short identifier, `ATLAS-SUSY-2018-31`."""
    title: str | None = None
    references: dict[str, str | int] = {}
    """Identifiers by service: `arxiv`, `inspire`, `hepdata`, `doi`."""


class Workspace(Model):
    """Where the background-only workspace is, and how to know that it is the right one."""

    path: Name
    """Path of the workspace inside the archive, or beside the spec if there is none."""
    archive: Name | None = None
    """URL, DOI, or local path of an archive (tar, tar.gz, zip) or folder."""
    digest: Digests | None = None
    """pyhf's digest of the workspace's canonical JSON; the workspace must have one of these."""
    sha256: Sha256 | None = None
    """Digest of the archive's bytes."""
    measurement: Name | None = None
    """Name of the measurement; default: the first."""


class Range(Model):
    """An interval of a label."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Range:
        if not self.model_fields_set:
            raise ValueError("an empty range selects nothing; give ge, gt, le or lt")
        return self

    def holds(self, value: Label) -> bool:
        """True if a label value is a number inside the interval."""
        if isinstance(value, str):
            return False
        return (
            (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
        )


Selector = Annotated[
    Range | Labels,
    BeforeValidator(_selection, json_schema_input_type=Range | Label | list[Label]),
]


class Patches(Model):
    """Where the signal hypotheses come from: exactly one source."""

    files: Name | None = None
    """File name pattern in the archive; `{label}` captures a label."""
    patchset: Name | None = None
    """A pyhf PatchSet in the archive."""
    yields: Name | Rows | None = None
    """Expected signal events: a CSV file beside the spec, or tables; a column for each bin."""
    discovery: Names | None = None
    """Channels (or `channel[bin]`); one signal event in each is a hypothesis of its own."""
    labels: Names | None = None
    """The label columns of yields; or new names for the labels of a patchset, in its order."""
    luminosity: bool | None = None
    """Whether yields share the workspace's luminosity; default: if there is one."""
    systematics: dict[Name, Fraction] = {}
    """Relative uncertainties of all yields by name; a name of the workspace is its parameter."""
    select: dict[str, Selector] = {}
    """Label values, lists of them, or ranges; all must hold."""

    @model_validator(mode="after")
    def _one_source(self) -> Patches:
        sources = ("files", "patchset", "yields", "discovery")
        given = [name for name in sources if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"exactly one of {', '.join(sources)} is needed; found {found}")
        if self.labels is not None and self.patchset is None and self.yields is None:
            raise ValueError("labels belongs to a patchset or to yields; there is neither")
        if self.labels is not None and len(set(self.labels)) < len(self.labels):
            raise ValueError("labels lists a name twice")
        if self.yields is None and (self.luminosity is not None or self.systematics):
            raise ValueError("luminosity and systematics belong to yields; there are none")
        return self


class Scan(Model):
    """Equidistant POI values, both ends included."""

    start: float
    stop: float
    num: Annotated[int, Field(ge=2, le=10_000)]

    @model_validator(mode="after")
    def _ascending(self) -> Scan:
        if self.stop <= self.start:
            raise ValueError(f"stop = {self.stop} must be above start = {self.start}")
        return self

    def values(self) -> tuple[float, ...]:
        """(num,) POI values, as numpy.linspace gives them."""
        step = (self.stop - self.start) / (self.num - 1)
        inner = (self.start + i * step for i in range(self.num - 1))
        return (*inner, self.stop)


class Poi(Model):
    """What is asked about the parameter of interest."""

    name: Name | None = None
    """Name of the parameter; default: the measurement's POI."""
    test: Numbers | None = None
    """POI value(s) of the hypothesis test(s); default 1 where neither scan nor limit is asked."""
    scan: Scan | None = None
    upper_limit: Fraction | None = None
    """Confidence level of the upper limit on the POI, `0.95`."""
    method: Literal["root", "scan"] = "root"
    """How the limit is found: by root finding, or by linear interpolation of `scan`, as pyhf."""

    @model_validator(mode="after")
    def _one_list(self) -> Poi:
        if self.test is not None and len(set(self.test)) < len(self.test):
            raise ValueError("test lists a POI value twice")
        if self.test is not None and self.scan is not None:
            raise ValueError("test and scan both list POI values; keep one")
        if self.method == "scan" and (self.scan is None or self.upper_limit is None):
            raise ValueError('method = "scan" needs scan and upper_limit')
        return self

    @property
    def values(self) -> tuple[float, ...]:
        """POI values to test, in order."""
        if self.scan is not None:
            return self.scan.values()
        if self.test is not None:
            return self.test
        return () if self.upper_limit is not None else (1.0,)

    @property
    def level(self) -> float | None:
        """1 - confidence level, without the rounding of a difference: 0.05 for 0.95."""
        return None if self.upper_limit is None else round(1 - self.upper_limit, 12)


class CrossSection(Model):
    """A table of theory cross-sections, for limits in pb."""

    table: Name
    """CSV beside the spec: the label's column, ascending, and `xsec_pb`."""
    on: Name
    """The label; in between, the cross-section is interpolated in the logarithms of both."""


class Interpcodes(Model):
    """Interpolation codes; the defaults are pyhf's."""

    normsys: Literal["code1", "code4"] = "code4"
    histosys: Literal["code0", "code2", "code4p"] = "code4p"


class ToysUntil(Model):
    """Throw toys until the p-value is known well enough."""

    max: Annotated[int, Field(ge=1)]
    precision: Fraction


class Inference(Model):
    """How the numbers are made."""

    test_statistic: Literal["q", "qtilde", "q0"] = "qtilde"
    calculator: Literal["asymptotic", "toys"] = "asymptotic"
    toys: Annotated[int, Field(ge=1)] | ToysUntil | None = None
    """Toys per hypothesis, or when to stop."""
    seed: Annotated[int, Field(ge=0)] | None = None
    expected: Literal["post-fit", "pre-fit"] = "post-fit"
    """Where the Asimov data come from: the fit to data (as in pyhf), or the nominal model."""
    interpcodes: Interpcodes = Interpcodes()

    @model_validator(mode="after")
    def _toys_are_asked_for(self) -> Inference:
        if self.calculator == "asymptotic" and (self.toys is not None or self.seed is not None):
            raise ValueError('toys and seed belong to calculator = "toys"')
        if self.calculator == "toys" and self.toys is None:
            raise ValueError('calculator = "toys" needs toys = NUMBER')
        if self.calculator == "toys" and self.expected == "pre-fit":
            raise ValueError('toys are thrown from the fit to data: expected = "pre-fit" has none')
        return self


class Backend(Model):
    """The likelihood and its minimiser."""

    name: Literal["native", "pyhf"] = "native"
    """fitspec's own likelihood, or pyhf."""
    tensor: Literal["numpy", "jax"] | None = None
    """pyhf's tensor library; default numpy."""
    optimizer: Literal["scipy", "minuit"] | None = None
    """pyhf's optimizer; default scipy."""

    @model_validator(mode="after")
    def _pyhf_settings(self) -> Backend:
        if self.name != "pyhf" and (self.tensor is not None or self.optimizer is not None):
            raise ValueError('tensor and optimizer belong to name = "pyhf"')
        return self


class Combine(Model):
    """One result per signal point out of several cases."""

    best_expected: Name
    """A key of `[parametrize]`; the case with the lowest median expected CLs is chosen."""


class Spec(Model):
    """A fit specification, schema version 1."""

    fitspec: Literal[1]
    """Version of the specification language."""
    analysis: Analysis
    parametrize: dict[Name, Combinations] = {}
    """Cartesian product of cases; `{key}` may stand in any string below. Keys that go together are
    written as one, `"region, channel"`, with a list of values for each case."""
    workspace: Workspace
    patches: Patches | None = None
    poi: Poi = Poi()
    fit: Fit | None = None
    cross_section: CrossSection | None = None
    inference: Inference = Inference()
    backend: Backend = Backend()
    endpoint: Endpoint = Endpoint()
    combine: Combine | None = None
    expect: Annotated[
        tuple[Expect, ...], BeforeValidator(to_tuple, json_schema_input_type=list[Expect])
    ] = ()

    @property
    def cases(self) -> list[dict[str, Label]]:
        """Values of `parametrize` by key, one dictionary a case; an empty one without it."""
        keys = [_keys(key) for key in self.parametrize]
        return [
            {
                name: value
                for names, together in zip(keys, case, strict=True)
                for name, value in zip(names, one_or_more(together), strict=True)
            }
            for case in itertools.product(*self.parametrize.values())
        ]

    @field_validator("parametrize")
    @classmethod
    def _a_value_for_each_key(cls, parametrize: dict[str, Any]) -> dict[str, Any]:
        names = [name for key in parametrize for name in _keys(key)]
        for name in names:
            if not name or names.count(name) > 1:
                raise ValueError(f"{name!r} is empty, or there twice")
        for key, values in parametrize.items():
            wanted = len(_keys(key))
            if any((len(v) if isinstance(v, tuple) else 1) != wanted for v in values):
                raise ValueError(f"{key!r} takes {counted(wanted, 'value')} a case")
        return parametrize

    @property
    def tested(self) -> tuple[float, ...]:
        """POI values to test, in order; none for q0, which tests 0 alone."""
        discovery = self.inference.test_statistic == "q0"
        return () if discovery or self.fit_alone else self.poi.values

    @property
    def fit_alone(self) -> bool:
        """[fit] is there, and nothing that asks for a test."""
        discovery = self.inference.test_statistic == "q0"
        return self.fit is not None and not self.poi.model_fields_set - {"name"} and not discovery

    @field_validator("cross_section")
    @classmethod
    def _limits_are_asked_for(
        cls, cross_section: CrossSection | None, info: ValidationInfo
    ) -> CrossSection | None:
        poi = info.data.get("poi")  # absent where it is invalid itself
        if cross_section and poi and poi.upper_limit is None:
            raise ValueError("there is no limit to give in pb; set poi.upper_limit")
        return cross_section

    @field_validator("inference")
    @classmethod
    def _q0_tests_zero(cls, inference: Inference, info: ValidationInfo) -> Inference:
        asked = info.data.get("poi", Poi()).model_fields_set - {"name"}
        if inference.test_statistic == "q0" and asked:
            keys = " and ".join(f"poi.{key}" for key in sorted(asked))
            raise ValueError(f"q0 tests mu = 0 and nothing else; remove {keys}")
        return inference

    @field_validator("combine")
    @classmethod
    def _combined_key_exists(cls, combine: Combine | None, info: ValidationInfo) -> Combine | None:
        if combine and info.data.get("inference", Inference()).test_statistic == "q0":
            raise ValueError("the best expected case is chosen by CLs, and q0 has none")
        if combine and info.data.get("fit") and not info.data.get("poi", Poi()).model_fields_set:
            raise ValueError("the best expected case is chosen by CLs; ask for it with poi.test")
        if combine and combine.best_expected not in info.data.get("parametrize", {}):
            raise ValueError(f"{combine.best_expected!r} is no key of [parametrize]")
        return combine


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a specification, for editors and other tools."""
    schema = Spec.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
