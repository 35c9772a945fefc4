"""``fitspec graph``."""

from __future__ import annotations

from typing import Annotated

import typer

from fitspec.commands.options import Keywords, Mirror, Offline, Specs
from fitspec.errors import ExitCode, UsageError, nearest

FORMATS = ("terminal", "mermaid", "dot")


def graph(
    specs: Specs,
    keywords: Keywords = "",
    form: Annotated[
        str, typer.Option("--format", metavar="FORM", help="terminal, mermaid or dot.")
    ] = "terminal",
    full: Annotated[bool, typer.Option("--full", help="Every node, however many.")] = False,
    mirror: Mirror = None,
    offline: Offline = False,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> int:
    """Draw the task graph, with what the result store holds of it."""
    from rich.console import Console

    from fitspec.collect import collect
    from fitspec.execute import ResultStore
    from fitspec.graph import folded, task_graph
    from fitspec.plan import make_plan
    from fitspec.report.graph import graph_json, show_graph, to_dot, to_mermaid
    from fitspec.session import Settings
    from fitspec.spec import find_specs

    if form not in FORMATS:
        remedy = nearest(form, FORMATS) or ", ".join(FORMATS)
        raise UsageError(f"--format {form}: there is none of this name", remedy)
    settings = Settings.from_config(mirror, offline=offline)
    collection = collect(find_specs(specs), settings.access, keywords)
    store = ResultStore(settings.results)
    plan = make_plan(collection)
    drawn = task_graph(collection, plan, lambda key: store.get(key) is not None)
    drawn = drawn if full else folded(drawn)
    if json:
        typer.echo(graph_json(drawn).decode(), nl=False)
    elif form == "mermaid":
        typer.echo(to_mermaid(drawn), nl=False)
    elif form == "dot":
        typer.echo(to_dot(drawn), nl=False)
    else:
        show_graph(Console(highlight=False), drawn)
    return ExitCode.OK
