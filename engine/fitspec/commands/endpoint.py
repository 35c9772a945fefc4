"""``fitspec endpoint``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from fitspec.errors import ExitCode

endpoint_app = typer.Typer(help="The endpoints that fits can run on.")


@endpoint_app.command("list")
def endpoint_list() -> int:
    """List your endpoints; the default is marked."""
    from fitspec.config import config_path, load_config
    from fitspec.execute.choose import default_endpoint, own_endpoints
    from fitspec.execute.endpoints import known_kinds

    config = load_config()
    default = default_endpoint(config)
    found = own_endpoints(config)
    found += [] if default in found else [default]
    rows = [("", "name", "kind", "where")]
    rows += [("*" * (e == default), e.name, e.kind, e.place or "here") for e in found]
    for line in _aligned(rows):
        typer.echo(line)
    typer.echo(f"\nkinds: {', '.join(known_kinds())}\nconfiguration: {config_path()}")
    return ExitCode.OK


@endpoint_app.command("check")
def endpoint_check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of yours, or a kind.")],
    timeout: Annotated[
        float,
        typer.Option("--timeout", min=0.001, max=1e8, metavar="S", help="Seconds for an answer."),
    ] = 120.0,
) -> int:
    """Send chunks without work there and back: versions, round trip, throughput."""
    from fitspec.config import load_config
    from fitspec.execute.check import check_endpoint
    from fitspec.execute.choose import named_endpoint
    from fitspec.execute.endpoints import pool_of

    endpoint = named_endpoint(name, load_config(), "")
    pool = pool_of(endpoint)
    typer.echo(f"{'endpoint':<13} {' '.join(filter(None, (endpoint.title, endpoint.place)))}")
    typer.echo(f"{'workers':<13} {pool.workers}")
    for finding in check_endpoint(pool, timeout + endpoint.queue):
        typer.echo(f"{finding.name:<13} {finding.text}")
    return ExitCode.OK


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (zip(row, widths, strict=True) for row in rows)
    return ["  ".join(cell.ljust(width) for cell, width in line).rstrip() for line in lines]
