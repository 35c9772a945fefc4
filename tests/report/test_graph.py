"""The task graph as a tree, as Mermaid, as dot, and as JSON."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess

import pytest
from rich.console import Console

from fitspec.graph import Node, TaskGraph
from fitspec.report.graph import graph_json, show_graph, summary, to_dot, to_mermaid

AWKWARD = 'b"k\\g [x] <i>#1;</i>.json'

NODES = [
    Node("a", "archive", "likelihood.tar.gz"),
    Node("w1", "workspace", AWKWARD),
    Node("w2", "workspace", "other.json"),
    Node("f1", "fit", "signal_1", cached=1),
    Node("f2", "fit", "57 fits", count=57, cached=12),
    Node("p1", "point", "A::signal_1"),
    Node("p2", "point", "57 points", count=57),
    Node("c", "combination", "signal_1"),
    Node("k1", "check", "CLs_obs"),
    Node("k2", "check", "CLs_exp"),
    Node("k3", "check", "57 checks of CLs_obs", count=57),
]
EDGES = (
    ("a", "w1"), ("a", "w2"), ("w1", "f1"), ("w2", "f2"), ("f1", "p1"), ("f2", "p2"),
    ("p1", "c"), ("p2", "c"), ("p1", "k1"), ("p1", "k2"), ("p2", "k3"),
)  # fmt: skip


@pytest.fixture
def graph() -> TaskGraph:
    return TaskGraph({node.id: node for node in NODES}, EDGES)


@pytest.mark.parametrize("width", [20, 200])
def test_the_tree(graph: TaskGraph, width: int) -> None:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    show_graph(console, graph)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert (
        shown
        == f"""\
likelihood.tar.gz
├── {AWKWARD}
│   └── fit signal_1 (cached)
│       └── point A::signal_1
│           ├── combination signal_1
│           └── checks CLs_obs, CLs_exp
└── other.json
    └── 57 fits (12 cached)
        └── 57 points
            ├── combination signal_1 (see above)
            └── 57 checks of CLs_obs

1 archive, 2 workspaces, 58 fits (13 cached), 58 points, 1 combination, 59 checks
"""
    )


def test_the_summary_leaves_out_what_is_not_there() -> None:
    assert summary(TaskGraph({"a": NODES[0]}, ())) == "1 archive"


def test_mermaid_has_every_node_edge_and_colour(graph: TaskGraph) -> None:
    first, *lines = to_mermaid(graph).splitlines()
    assert first == "flowchart LR"
    opening, closing = r"(?:\[\(|\[\[|\[|\(\[|\(|\{\{)", r"(?:\)\]|\]\]|\]|\]\)|\)|\}\})"
    node = re.compile(rf'  (n\d+){opening}"[^"<>\\]*"{closing}')
    edge = re.compile(r"  (n\d+) --> (n\d+)")
    nodes = [m[1] for line in lines if (m := node.fullmatch(line))]
    edges = [(m[1], m[2]) for line in lines if (m := edge.fullmatch(line))]
    number = {n.id: f"n{i}" for i, n in enumerate(NODES)}
    assert nodes == list(number.values())
    assert edges == [(number[a], number[b]) for a, b in EDGES]
    assert lines[len(nodes) + len(edges) :] == [
        "  classDef all fill:#b7e1b0", "  class n3 all",
        "  classDef some fill:#e6f2c9", "  class n4 some",
    ]  # fmt: skip
    assert '  n1[["b#34;k#92;g [x] #60;i#62;#35;1;#60;/i#62;.json"]]' in lines


def test_dot_has_every_node_and_edge(graph: TaskGraph) -> None:
    text = to_dot(graph)
    assert text.startswith("digraph fitspec {\n")
    assert text.endswith("}\n")
    label = r'"(?:[^"\\]|\\.)*"'
    assert len(re.findall(rf"^  n\d+ \[label={label}, shape=\w+.*\];$", text, re.M)) == len(NODES)
    assert len(re.findall(r"^  n\d+ -> n\d+;$", text, re.M)) == len(EDGES)
    assert r'label="b\"k\\g [x] <i>#1;</i>.json"' in text
    assert 'label="57 fits (12 cached)", shape=box, style=filled, fillcolor="#e6f2c9"' in text
    if dot := shutil.which("dot"):  # graphviz itself, where there is one
        done = subprocess.run([dot, "-Tplain"], input=text, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert sum(line.startswith("node") for line in done.stdout.splitlines()) == len(NODES)
        assert sum(line.startswith("edge") for line in done.stdout.splitlines()) == len(EDGES)


def test_json_has_nodes_and_edges(graph: TaskGraph) -> None:
    content = json.loads(graph_json(graph))
    assert content["nodes"][4] == {
        "id": "f2", "kind": "fit", "title": "57 fits", "spec": "", "count": 57, "cached": 12,
    }  # fmt: skip
    assert content["edges"] == [list(edge) for edge in EDGES]
