"""What is computed for one point: fits, tests, limits, and the reason where there are no numbers.

Numbers that were not asked for are None; a number that is not finite never gets out of here (the
point becomes an error with its reason instead).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import orjson

from fitspec.bestfit import BestFit
from fitspec.errors import InferenceError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Band = tuple[float, float, float, float, float]
"""Five expected values for -2, -1, 0, +1, +2 sigma of the background-only hypothesis."""

KnownBand = tuple[float | None, float | None, float | None, float | None, float | None]
"""A published band, of which some values may not be known."""


@dataclass(frozen=True, slots=True)
class FitResult:
    """One maximum-likelihood fit.

    Attributes:
        kind: ``free`` (POI profiled) or ``conditional`` (POI fixed at ``mu``).
        data: ``observed``, or the background-only ``asimov`` data set of a fit to them, or the
            ``pre-fit asimov`` one of the nominal model; or a ``toy``.
        mu: the fixed POI, or None for a free fit.
        twice_nll: -2 ln L at the minimum, constraint terms included.
        converged: the minimiser's own verdict.
        iterations: of the minimiser; None where it does not count them.
        edm: estimated distance to the minimum in -2 ln L; None where the minimiser has none.
        at_bounds: names of the parameters that stopped at their bounds.
    """

    kind: Literal["free", "conditional"]
    data: Literal["observed", "asimov", "pre-fit asimov", "toy"]
    mu: float | None
    twice_nll: float
    converged: bool
    iterations: int | None
    edm: float | None
    at_bounds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Toys:
    """The toys that made the p-values of a test, and the standard uncertainties they leave.

    Attributes:
        thrown: toys for each of the two hypotheses.
        failed: of both, those without a minimum; p-values are made from the others.
        obs_error: of CLs_obs, or p0.
        exp_error: of CLs_exp, or p0_exp.
        p_sb_error: of p_sb; None for a discovery.
        p_b_error: of p_b; None for a discovery.
    """

    thrown: int
    failed: int
    obs_error: float
    exp_error: Band
    p_sb_error: float | None = None
    p_b_error: float | None = None


@dataclass(frozen=True, slots=True)
class HypothesisTest:
    """One hypothesis test of a POI value, arXiv:1007.1727.

    Attributes:
        mu: tested value of the POI.
        CLs_obs: p_sb / (1 - p_b).
        CLs_exp: expected CLs at -2..+2 sigma, eq. 89.
        p_sb: P(q >= q_obs) under signal + background.
        p_b: P(q < q_obs) under background only; the literature's CLb is 1 - p_b.
        q: observed test statistic (q_mu or q~_mu, eq. 14 and 16).
        q_asimov: the same for the background-only Asimov data.
        toys: what made the p-values; None if they are asymptotic.
    """

    mu: float
    CLs_obs: float
    CLs_exp: Band
    p_sb: float
    p_b: float
    q: float
    q_asimov: float
    toys: Toys | None = None

    def excluded(self, confidence: float = 0.95) -> bool:
        """The observed CLs is below 1 - confidence."""
        return self.CLs_obs < round(1 - confidence, 12)  # 1 - 0.95 is a little above 0.05


@dataclass(frozen=True, slots=True)
class Discovery:
    """The test of the background-only hypothesis with q0, arXiv:1007.1727.

    Attributes:
        p0: P(q0 >= q0_obs) under background only, eq. 52.
        p0_exp: its expected values for a signal with POI 1, ascending: from the 2 sigma
            upward to the 2 sigma downward fluctuation.
        significance: the same as a number of standard deviations, eq. 53; None where no toy is as
            extreme as the data.
        q0: observed test statistic, eq. 12.
        q0_asimov: the same for the Asimov data of a signal with POI 1.
        toys: what made the p-values; None if they are asymptotic.
    """

    p0: float
    p0_exp: Band
    significance: float | None
    q0: float
    q0_asimov: float
    toys: Toys | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything computed for one point, whoever computed it; what the result store keeps.

    Attributes:
        status: ``ok``, or ``error`` with the reason in ``error``.
        tests: one a tested POI value.
        upper_limit_obs: observed upper limit on the POI.
        upper_limit_exp: expected upper limits at -2..+2 sigma.
        upper_limit_CLb: 1 - p_b of the observed data at the observed limit.
        upper_limit_obs_error, upper_limit_exp_error: standard uncertainties of limits by toys.
        mu_hat: best-fit POI of the free fit to the observed data.
        discovery: the test of the background-only hypothesis, where q0 was asked for.
        fit: the fit to the observed data, where one was asked for.
        fits: every fit that entered the numbers.
        notes: what a careful reader should know about these numbers.
        seconds: wall time on the worker.
        worker: ``host:pid``.
        error: why there are no numbers, or None.
    """

    status: Literal["ok", "error"]
    tests: tuple[HypothesisTest, ...] = ()
    upper_limit_obs: float | None = None
    upper_limit_exp: Band | None = None
    upper_limit_CLb: float | None = None
    upper_limit_obs_error: float | None = None
    upper_limit_exp_error: Band | None = None
    mu_hat: float | None = None
    discovery: Discovery | None = None
    fit: BestFit | None = None
    fits: tuple[FitResult, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    worker: str = ""
    error: str | None = None

    @classmethod
    def failed(cls, reason: str, seconds: float = 0.0, worker: str = "") -> Outcome:
        """An outcome without numbers, for a reason."""
        return cls("error", seconds=seconds, worker=worker, error=reason)

    @classmethod
    def from_json(cls, content: bytes) -> Outcome:
        """Rebuild what :meth:`to_json` wrote; raises ValueError on anything else."""
        data = orjson.loads(content)
        outcome = _reader().validate_python(data)
        if orjson.loads(outcome.to_json()) != data:  # keys left out, or others
            raise ValueError("no outcome of this version")
        return outcome

    def to_json(self) -> bytes:
        """For the result store, and for any transport."""
        return orjson.dumps(self.to_dict())

    @property
    def p0(self) -> float | None:
        """p-value of the background-only hypothesis, where q0 was asked for."""
        return None if self.discovery is None else self.discovery.p0

    def to_dict(self) -> dict[str, Any]:
        """Builtins only, ready for JSON."""
        return _record(self) | {
            "tests": [_with_toys(test) for test in self.tests],
            "discovery": None if self.discovery is None else _with_toys(self.discovery),
            "fit": None if self.fit is None else self.fit.to_dict(),
            "fits": [_record(fit) for fit in self.fits],
        }

    def require_finite(self) -> None:
        """Raise :class:`InferenceError` naming the first number that is not finite."""
        for name, number in _numbers("", self.to_dict()):
            if not math.isfinite(number):
                raise InferenceError(
                    f"{name} is {number}", "look for a bin with events but nothing expected"
                )


def _record(flat: Any) -> dict[str, Any]:
    """A dataclass as a dictionary, not its content, which dataclasses.asdict would copy, too."""
    return {name: getattr(flat, name) for name in flat.__slots__}


def _with_toys(found: HypothesisTest | Discovery) -> dict[str, Any]:
    return _record(found) | {"toys": None if found.toys is None else _record(found.toys)}


@functools.cache
def _reader() -> TypeAdapter[Outcome]:
    from pydantic import TypeAdapter  # no worker needs it

    return TypeAdapter(Outcome)


def _numbers(name: str, value: Any) -> list[tuple[str, float]]:
    if isinstance(value, float):
        return [(name, value)]
    if isinstance(value, Mapping):
        return [pair for key, item in value.items() for pair in _numbers(_join(name, key), item)]
    if isinstance(value, list | tuple):
        return [pair for i, item in enumerate(value) for pair in _numbers(f"{name}[{i}]", item)]
    return []


def _join(parent: str, key: str) -> str:
    return f"{parent}.{key}" if parent else key
