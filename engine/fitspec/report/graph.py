"""The task graph as a tree on the terminal, as Mermaid, as dot, and as JSON."""

from __future__ import annotations

import dataclasses

import orjson
from rich.console import Console
from rich.segment import Segments
from rich.text import Text
from rich.tree import Tree

from fitspec.errors import counted
from fitspec.graph import KINDS, Node, TaskGraph
from fitspec.sources.bins import printable

_MERMAID = {
    "archive": ("[(", ")]"),
    "workspace": ("[[", "]]"),
    "fit": ("[", "]"),
    "point": ("(", ")"),
    "combination": ("{{", "}}"),
    "check": ("([", "])"),
}
"""Brackets, which are shapes."""

_DOT = {
    "archive": "cylinder",
    "workspace": "box3d",
    "fit": "box",
    "point": "ellipse",
    "combination": "hexagon",
    "check": "note",
}

_FILLS = {"all": "#b7e1b0", "some": "#e6f2c9"}
"""Colours of fits of which all, or some, are in the store."""


def show_graph(console: Console, graph: TaskGraph) -> None:
    """Write the graph as a tree, with a line that counts everything.

    What follows from several nodes is followed further at the first of them only.
    """
    after, seen = graph.after(), set[str]()

    def grow(tree: Tree, node: str) -> None:
        checks = [graph.nodes[n] for n in after[node] if graph.nodes[n].kind == "check"]
        single = [check.title for check in checks if check.count == 1]
        for child in after[node]:
            found = graph.nodes[child]
            if found.kind != "check" or found.count > 1:
                grown = tree.add(_label(found, again=child in seen))
                if child not in seen:
                    seen.add(child)
                    grow(grown, child)
        if single:
            word = "check" if len(single) == 1 else "checks"
            tree.add(Text(f"{word} {', '.join(single)}"))

    for node, starts in graph.before().items():
        if not starts:
            root = Tree(Text(printable(graph.nodes[node].title), style="bold"))
            grow(root, node)
            _print_whole(console, root)
    console.print(Text(f"\n{summary(graph)}"), soft_wrap=True)


def _print_whole(console: Console, tree: Tree) -> None:
    """However narrow the terminal is: a name that is cut off is another one."""
    options = console.options.update(max_width=10_000)
    options = options.update_width(console.measure(tree, options=options).maximum)
    console.print(Segments(console.render(tree, options)), crop=False, end="")


def _label(node: Node, *, again: bool) -> Text:
    above = " (see above)" if again else ""
    return Text(f"{_title(node)}{above}", style="green" if _stored(node) == "all" else "")


def summary(graph: TaskGraph) -> str:
    """``1 archive, 1 workspace, 57 fits (12 cached), 57 points, 114 checks``."""
    parts = []
    for kind in KINDS:
        nodes = [node for node in graph.nodes.values() if node.kind == kind]
        if nodes:
            cached = sum(node.cached for node in nodes)
            part = counted(sum(node.count for node in nodes), kind)
            parts.append(f"{part} ({cached} cached)" if kind == "fit" else part)
    return ", ".join(parts)


def to_mermaid(graph: TaskGraph) -> str:
    """A Mermaid flow chart."""
    number = _numbers(graph)
    lines = ["flowchart LR"]
    for node in graph.nodes.values():
        opening, closing = _MERMAID[node.kind]
        lines.append(f'  {number[node.id]}{opening}"{_mermaid_text(_title(node))}"{closing}')
    lines += [f"  {number[start]} --> {number[end]}" for start, end in graph.edges]
    for share, fill in _FILLS.items():
        if ids := [number[n.id] for n in graph.nodes.values() if _stored(n) == share]:
            lines += [f"  classDef {share} fill:{fill}", f"  class {','.join(ids)} {share}"]
    return "\n".join(lines) + "\n"


def to_dot(graph: TaskGraph) -> str:
    """A graph in the DOT language of Graphviz."""
    number = _numbers(graph)
    lines = ["digraph fitspec {", "  rankdir=LR;"]
    for node in graph.nodes.values():
        settings = [f'label="{_dot_text(_title(node))}"', f"shape={_DOT[node.kind]}"]
        if (share := _stored(node)) is not None:
            settings += ["style=filled", f'fillcolor="{_FILLS[share]}"']
        lines.append(f"  {number[node.id]} [{', '.join(settings)}];")
    lines += [f"  {number[start]} -> {number[end]};" for start, end in graph.edges]
    return "\n".join([*lines, "}"]) + "\n"


def graph_json(graph: TaskGraph) -> bytes:
    """Nodes and edges as indented JSON with a final newline."""
    nodes = [dataclasses.asdict(node) for node in graph.nodes.values()]
    content = {"nodes": nodes, "edges": graph.edges}
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _title(node: Node) -> str:
    """With its kind where it stands for itself, and with what of it is stored."""
    title = printable(node.title)
    if node.count == 1 and node.kind not in {"archive", "workspace"}:
        title = f"{node.kind} {title}"
    if node.kind != "fit" or not node.cached:
        return title
    return f"{title} (cached)" if node.count == 1 else f"{title} ({node.cached} cached)"


def _stored(node: Node) -> str | None:
    if not node.cached:
        return None
    return "all" if node.cached == node.count else "some"


def _numbers(graph: TaskGraph) -> dict[str, str]:
    return {node: f"n{index}" for index, node in enumerate(graph.nodes)}


def _mermaid_text(text: str) -> str:
    """Entities for all that means something there."""
    return "".join(f"#{ord(c)};" if c in '#"<>&`\\' else c for c in text)


def _dot_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
