"""Where a run's fits go: command line, specifications, the user's configuration, and defaults."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from fitspec.config import Config, config_path
from fitspec.errors import UsageError, nearest
from fitspec.execute.endpoints import known_kinds, unknown_kind
from fitspec.execute.local import available_cores
from fitspec.execute.pool import Endpoint
from fitspec.spec import SpecFile
from fitspec.spec.endpoint import GLOBUS, LOCAL, EndpointSettings, canonical_kind
from fitspec.spec.endpoint import Endpoint as SpecEndpoint


def choose_endpoint(
    specs: Sequence[SpecFile], config: Config, asked: str | None, workers: int | None
) -> Endpoint:
    """The one endpoint of a run.

    Args:
        specs: what is run.
        config: the user's own endpoints.
        asked: name or kind on the command line; None: as the specifications say.
        workers: number on the command line; None: as the specifications say.

    Raises:
        SpecError: a specification names an endpoint that there is not, or may not be used.
        UsageError: the command line or the configuration does, or specifications differ.
    """
    if asked is not None:
        endpoint = _asked_for(asked, specs, config)
    elif any(spec.spec.endpoint.says_where for spec in specs):
        endpoint = _agreed([spec for spec in specs if spec.spec.endpoint.says_where], config)
    else:
        endpoint = default_endpoint(config)
    return _with_settings(endpoint, specs, config, workers)


def named_endpoint(name: str, config: Config, source: str) -> Endpoint:
    """An endpoint by its name in the configuration, or by its kind.

    Args:
        name: what the user calls it.
        config: the user's own endpoints.
        source: where that was said, for messages.

    Raises:
        UsageError: there is none.
    """
    if name in config.endpoints:
        return _configured(name, config)
    kind = canonical_kind(name)
    if kind == GLOBUS:
        problem = f"{source}{name}: needs the id of an endpoint"
        raise UsageError(problem, f"name one: {_lines_for(GLOBUS, id='UUID')}")
    if kind not in known_kinds():
        remedy = nearest(name, (*config.endpoints, *known_kinds(), "funcx"))
        names = ", ".join(dict.fromkeys((*config.endpoints, *known_kinds())))
        problem = f"{source}{name}: no endpoint has this name"
        raise UsageError(problem, remedy or f"there are {names}; more: {config_path()}")
    return Endpoint(kind, kind)


def default_endpoint(config: Config) -> Endpoint:
    """The endpoint of a run where neither command line nor specification names one."""
    return named_endpoint(config.endpoint or LOCAL, config, f"{config_path()}: endpoint: ")


def own_endpoints(config: Config) -> list[Endpoint]:
    """All endpoints with a name, and this machine."""
    here = [] if LOCAL in config.endpoints else [Endpoint(LOCAL, LOCAL)]
    return [*here, *(_configured(name, config) for name in config.endpoints)]


def _asked_for(asked: str, specs: Sequence[SpecFile], config: Config) -> Endpoint:
    """By name, by what a specification says of this kind, or by kind alone."""
    of_kind = [
        spec
        for spec in specs
        if spec.spec.endpoint.says_where
        and spec.spec.endpoint.name is None
        and spec.spec.endpoint.kind == canonical_kind(asked)
    ]
    if of_kind and asked not in config.endpoints:
        return _agreed(of_kind, config)
    return named_endpoint(asked, config, "--endpoint ")


def _agreed(specs: Sequence[SpecFile], config: Config) -> Endpoint:
    first, *others = ((spec, _of_spec(spec, config)) for spec in specs)
    for spec, endpoint in others:
        if endpoint != first[1]:
            one, other = (f"{s.name} is for {_told(e)}" for s, e in (first, (spec, endpoint)))
            remedy = "choose one for all with --endpoint NAME, or run them one by one"
            raise UsageError(f"{one}, and {other}", remedy)
    return first[1]


def _told(endpoint: Endpoint) -> str:
    return " at ".join(filter(None, (endpoint.title, endpoint.place)))


def _of_spec(spec: SpecFile, config: Config) -> Endpoint:
    wanted = spec.spec.endpoint
    if wanted.name is not None:
        return _named_in_spec(spec, wanted.name, config)
    if wanted.kind not in known_kinds():
        problem = f"{wanted.kind!r} is no kind of endpoint"
        raise spec.error(("endpoint", "kind"), problem, unknown_kind(wanted.kind))
    if wanted.id is None and wanted.address is None:
        return Endpoint(wanted.kind, wanted.kind)
    for name, own in config.endpoints.items():
        if (own.kind, own.id, own.address) == (wanted.kind, wanted.id, wanted.address):
            return _configured(name, config)
    if wanted.kind != GLOBUS:
        _mistrust(spec, wanted)
    return Endpoint(wanted.kind, wanted.kind, id=str(wanted.id))


def _named_in_spec(spec: SpecFile, name: str, config: Config) -> Endpoint:
    if name not in config.endpoints:
        remedy = nearest(name, config.endpoints) or (
            f"describe it in {config_path()}, or run it here with --endpoint local"
        )
        raise spec.error(("endpoint", "name"), f"you have no endpoint {name!r}", remedy)
    return _configured(name, config)


def _mistrust(spec: SpecFile, wanted: EndpointSettings) -> NoReturn:
    """Pickles come back from there, which can run any code here: the user must know the place."""
    key, place = ("id", str(wanted.id)) if wanted.address is None else ("address", wanted.address)
    problem = f"{place!r} is none of your endpoints, and could run any code here"
    lines = _lines_for(wanted.kind, **{key: place})
    raise spec.error(("endpoint", key), problem, f"if you trust it, {lines}")


def _lines_for(kind: str, **place: str) -> str:
    """What to write into the configuration, in one line."""
    pairs = ", ".join(
        f"{key} = {json.dumps(text, ensure_ascii=False)}"
        for key, text in {"kind": kind, **place}.items()
    )
    return f"put at the top of {config_path()}: endpoints.NAME = {{ {pairs} }}"


def _configured(name: str, config: Config) -> Endpoint:
    own = config.endpoints[name]
    return Endpoint(
        kind=own.kind,
        name=name,
        workers=own.workers if isinstance(own.workers, int) else None,
        id=None if own.id is None else str(own.id),
        address=own.address,
        config=own.config,
        deadline=own.deadline,
        queue=own.queue or 0.0,
        options=own.options,
    )


def _with_settings(
    endpoint: Endpoint, specs: Sequence[SpecFile], config: Config, workers: int | None
) -> Endpoint:
    """What specifications say of their endpoint goes before the user's; the largest number wins."""
    asked = [spec.spec.endpoint for spec in specs]
    # 500 workers of a cluster are not meant for this machine; a fit is as long anywhere
    here = [wanted for wanted in asked if not wanted.says_where or _is(wanted, endpoint)]
    own = endpoint.workers
    if endpoint.kind == LOCAL and own is None and isinstance(config.workers, int):
        own = config.workers
    numbers = [wanted.workers for wanted in here if isinstance(wanted.workers, int)]
    if _starts_processes_here(endpoint):  # so many as are good for it, whoever wrote the file
        numbers = [min(number, available_cores()) for number in numbers]
    deadlines = [wanted.deadline for wanted in asked if wanted.deadline is not None]
    queues = [wanted.queue for wanted in here if wanted.queue is not None]
    return replace(
        endpoint,
        workers=workers or max(numbers, default=own),
        deadline=max(deadlines, default=endpoint.deadline),
        queue=max(queues, default=endpoint.queue),
    )


def _starts_processes_here(endpoint: Endpoint) -> bool:
    return not endpoint.place and endpoint.kind in {LOCAL, "dask", "parsl"}


def _is(wanted: SpecEndpoint, endpoint: Endpoint) -> bool:
    """This is the endpoint that a specification asks for."""
    if wanted.name is not None:
        return wanted.name == endpoint.name
    place = wanted.address if wanted.id is None else str(wanted.id)
    return (wanted.kind, place or "") == (endpoint.kind, endpoint.place)
