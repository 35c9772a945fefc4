"""The ``[[expect]]`` blocks: published, or otherwise known, values to check against."""

from __future__ import annotations

from pydantic import model_validator

from fitspec.outcome import Band
from fitspec.spec.types import FiveNumbers, Model, Name, Tolerance


class Expect(Model):
    """Expected values: of one point, or of a table with one row a point."""

    point: Name | None = None
    """A point's id."""
    table: Name | None = None
    """CSV beside the spec, joined on its label columns."""
    mu: float | None = None
    """The tested POI value that CLs_obs, CLs_exp and p_b belong to; default: the only one, or 1."""
    CLs_obs: float | None = None
    CLs_exp: FiveNumbers | None = None
    p_b: float | None = None
    p0: float | None = None
    mu_hat: float | None = None
    upper_limit_obs: float | None = None
    upper_limit_exp: FiveNumbers | None = None
    upper_limit_xsec_obs: float | None = None
    upper_limit_xsec_exp: FiveNumbers | None = None
    excluded: bool | None = None
    """CLs_obs below 1 minus the confidence level of the limit (0.05 without one)."""
    rtol: Tolerance = 1e-3
    atol: Tolerance = 0.0
    source: str | None = None
    """Where the expected values come from."""
    xfail: Name | None = None
    """Why these values are known to differ."""

    @model_validator(mode="after")
    def _point_or_table(self) -> Expect:
        if (self.point is None) == (self.table is None):
            raise ValueError("exactly one of point and table is needed")
        if self.point is not None and not self.quantities:
            raise ValueError(f"no quantity to check; give one of {', '.join(QUANTITIES)}")
        if self.table is not None and self.quantities:
            raise ValueError("the quantities of a table are its columns, not keys")
        return self

    @property
    def quantities(self) -> dict[str, float | bool | Band]:
        """Expected values by quantity."""
        return {name: value for name in QUANTITIES if (value := getattr(self, name)) is not None}


BANDS = ("CLs_exp", "upper_limit_exp", "upper_limit_xsec_exp")
QUANTITIES = (
    "CLs_obs", "CLs_exp", "p_b", "p0", "mu_hat", "upper_limit_obs", "upper_limit_exp",
    "upper_limit_xsec_obs", "upper_limit_xsec_exp", "excluded",
)  # fmt: skip
