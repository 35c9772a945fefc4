"""`[endpoint]`: where the fits run."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import BeforeValidator, Field, model_validator

from fitspec.spec.types import Model, Name

LOCAL = "local"
GLOBUS = "globus-compute"

LONGEST = 1e8
"""Seconds, three years: no clock's own limit is near."""

KEYS_OF_KINDS: dict[str, tuple[str, ...]] = {
    LOCAL: (),
    GLOBUS: ("id",),
    "parsl": ("config",),
    "dask": ("address",),
    "mpi": (),
}
"""The built-in kinds, and what says where one of them is; a plugin may use all keys."""


def canonical_kind(kind: Any) -> Any:
    """A kind by the name it has today: funcX has become Globus Compute."""
    return GLOBUS if kind == "funcx" else kind


Kind = Annotated[Name, BeforeValidator(canonical_kind)]


class EndpointSettings(Model):
    """What a specification and the user's configuration can both say of an endpoint."""

    kind: Kind = LOCAL
    """`local`, `globus-compute` (alias `funcx`), `parsl`, `dask`, `mpi`, or a plugin's name."""
    workers: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    """Chunks that can be at work at a time."""
    id: Annotated[UUID, Field(strict=False)] | None = None
    """UUID of a Globus Compute endpoint."""
    address: Name | None = None
    """Address of a Dask scheduler."""
    deadline: Annotated[float, Field(gt=0, le=LONGEST)] | None = None
    """Seconds that a point may take; default: by what is asked."""
    queue: Annotated[float, Field(ge=0, le=LONGEST)] | None = None
    """Seconds until the first answer may come, on top: of a batch system's queue."""

    @model_validator(mode="after")
    def _consistent(self) -> EndpointSettings:
        self._require_consistent()
        return self

    def _require_consistent(self) -> None:
        for kind, keys in KEYS_OF_KINDS.items() if self.kind in KEYS_OF_KINDS else ():
            for key in set(keys) & self.model_fields_set:
                if kind != self.kind:
                    raise ValueError(f'{key} belongs to kind = "{kind}"; this is "{self.kind}"')
        if self.address is not None and self.kind in KEYS_OF_KINDS:
            _require_port(self.address)
        if self.kind == GLOBUS and self.id is None:
            raise ValueError(f'kind = "{GLOBUS}" needs id; it is the UUID of the endpoint')


def _require_port(address: str) -> None:
    """Dask itself would try for long to reach a port that there cannot be."""
    try:
        urlsplit(address).port  # noqa: B018 (looking is what checks it)
    except ValueError as error:
        raise ValueError(f"address {address!r} cannot be: {error}") from error


class Endpoint(EndpointSettings):
    """Where the fits run."""

    name: Name | None = None
    """A named endpoint of the user's own configuration, instead of `kind`, `id` and `address`."""

    def _require_consistent(self) -> None:
        place = [key for key in ("kind", "id", "address") if key in self.model_fields_set]
        if self.name is not None and place:
            raise ValueError(f"name stands for kind, id and address; remove {' and '.join(place)}")
        super()._require_consistent()

    @property
    def says_where(self) -> bool:
        """It asks for an endpoint; else whichever the user has is as good."""
        return not self.model_fields_set.isdisjoint({"kind", "name"})
