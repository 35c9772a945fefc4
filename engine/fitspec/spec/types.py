"""What the models of a specification are made of: strict, immutable, in names users understand."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from fitspec.outcome import Band
from fitspec.results import Label

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
WorkspaceDigest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Tolerance = Annotated[float, Field(ge=0)]


def one_or_more(value: Any) -> Any:
    """A single value may stand for a list of one; lists become tuples, as strict mode asks."""
    if isinstance(value, list):
        return tuple(value)
    return value if isinstance(value, tuple) else (value,)


def to_tuple(value: Any) -> Any:
    """Lists become tuples, as strict mode asks."""
    return tuple(value) if isinstance(value, list) else value


Digests = Annotated[
    tuple[WorkspaceDigest, ...],
    BeforeValidator(one_or_more, json_schema_input_type=WorkspaceDigest | list[WorkspaceDigest]),
    Field(min_length=1),
]
Numbers = Annotated[
    tuple[float, ...],
    BeforeValidator(one_or_more, json_schema_input_type=float | list[float]),
    Field(min_length=1),
]
Labels = Annotated[
    tuple[Label, ...],
    BeforeValidator(to_tuple, json_schema_input_type=list[Label]),
    Field(min_length=1),
]
Combinations = Annotated[
    tuple[Label | tuple[Label, ...], ...],
    BeforeValidator(
        lambda value: tuple(map(to_tuple, value)) if isinstance(value, list) else value,
        json_schema_input_type=list[Label] | list[list[Label]],
    ),
    Field(min_length=1),
]
Names = Annotated[
    tuple[Name, ...],
    BeforeValidator(to_tuple, json_schema_input_type=list[Name]),
    Field(min_length=1),
]
Rows = Annotated[
    tuple[dict[str, Label], ...],
    BeforeValidator(to_tuple, json_schema_input_type=list[dict[str, Label]]),
    Field(min_length=1),
]
FiveNumbers = Annotated[
    Band,
    BeforeValidator(
        to_tuple,
        json_schema_input_type=Annotated[list[float], Field(min_length=5, max_length=5)],
    ),
]


class Model(BaseModel):
    """Strict, immutable, and closed: an unknown key is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
