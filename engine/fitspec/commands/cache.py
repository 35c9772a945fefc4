"""``fitspec cache``."""

from __future__ import annotations

import shutil
from typing import Annotated

import typer

from fitspec.errors import ExitCode, counted

cache_app = typer.Typer(help="The cache of downloads and results.")


@cache_app.command("info")
def cache_info() -> int:
    """Show where the cache is and what it holds."""
    from fitspec.config import cache_folder, load_config
    from fitspec.execute import ResultStore

    folder = cache_folder(load_config())
    sources = [path.stat().st_size for path in (folder / "sources").rglob("*") if path.is_file()]
    results, size = ResultStore(folder / "results").size()
    typer.echo(f"{folder}")
    typer.echo(f"sources: {len(sources)} files, {sum(sources) / 1e6:.1f} MB")
    typer.echo(f"results: {results} points, {size / 1e6:.1f} MB")
    return ExitCode.OK


@cache_app.command("clear")
def cache_clear(
    sources: Annotated[bool, typer.Option("--sources", help="Forget downloads, too.")] = False,
) -> int:
    """Forget all stored results, and what `run --lf` would run."""
    from fitspec.config import cache_folder, load_config
    from fitspec.execute import ResultStore
    from fitspec.report import LastFailed

    folder = cache_folder(load_config())
    store = ResultStore(folder / "results")
    typer.echo(f"forgot {counted(store.size()[0], 'result')}")
    store.clear()
    LastFailed(folder).clear()
    if sources and (folder / "sources").exists():
        shutil.rmtree(folder / "sources")
    return ExitCode.OK
