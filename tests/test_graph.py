"""The task graph: what it holds, and what it looks like when it is folded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from fitspec.collect import collect
from fitspec.graph import KINDS, TaskGraph, folded, task_graph
from fitspec.plan import make_plan
from fitspec.session import Settings
from fitspec.spec import find_specs

Draw = Callable[..., TaskGraph]


@pytest.fixture
def draw() -> Draw:
    def make(*specs: str, stored: int = 0) -> TaskGraph:
        """The graph of specifications, the first fits of which are stored."""
        collection = collect(find_specs(specs), Settings.from_config().access)
        plan = make_plan(collection)
        known = list(plan.fits)[:stored]
        return task_graph(collection, plan, lambda key: key in known)

    return make


@pytest.fixture
def regions(analysis: Path) -> str:
    """Two cases of the same workspace under two names, combined, with checks."""
    (analysis / "second.json").write_bytes((analysis / "background.json").read_bytes())
    text = (analysis / "small.toml").read_text().replace("background.json", "{file}.json")
    (analysis / "regions.toml").write_text(
        f"""{text}
[parametrize]
file = ["background", "second"]
[combine]
best_expected = "file"
[[expect]]
point = "background::signal_100_1"
CLs_obs = 0.1
mu_hat = 0.1
[[expect]]
point = "signal_100_2"
CLs_obs = 0.1
"""
    )
    return "regions.toml"


def counts(graph: TaskGraph) -> dict[str, int]:
    return dict(Counter(node.kind for node in graph.nodes.values()))


def test_every_node_and_edge_of_a_small_analysis(draw: Draw, analysis: Path) -> None:
    graph = draw("small.toml", stored=1)
    assert counts(graph) == {"archive": 1, "workspace": 1, "fit": 4, "point": 4}
    assert len(graph.edges) == 1 + 4 + 4
    titles = [node.title for node in graph.nodes.values()]
    assert titles[:3] == ["analysis/", "background.json", "signal_100_1"]
    assert [n.cached for n in graph.nodes.values() if n.kind == "fit"] == [1, 0, 0, 0]


def test_one_fit_serves_the_points_of_equal_workspaces(draw: Draw, regions: str) -> None:
    graph = draw(regions)
    assert counts(graph) == {
        "archive": 1, "workspace": 2, "fit": 4, "point": 8, "combination": 4, "check": 3,
    }  # fmt: skip
    before = graph.before()
    assert all(len(before[n.id]) == 2 for n in graph.nodes.values() if n.kind == "fit")
    combination = f"combination {regions}::signal_100_2"
    assert sorted(before[combination]) == [
        f"point {regions}::background::signal_100_2",
        f"point {regions}::second::signal_100_2",
    ]
    checks = [before[n.id] for n in graph.nodes.values() if n.kind == "check"]
    assert checks == [[f"point {regions}::background::signal_100_1"]] * 2 + [[combination]]


def test_folding_keeps_the_counts_and_every_connection(draw: Draw, regions: str) -> None:
    graph = draw(regions, stored=3)
    small = folded(graph, largest=2)
    assert counts(small) == {
        "archive": 1, "workspace": 2, "fit": 1, "point": 1, "combination": 1, "check": 2,
    }  # fmt: skip
    for kind in KINDS:
        before, after = (
            sum(n.count for n in g.nodes.values() if n.kind == kind) for g in (graph, small)
        )
        assert before == after
    by_kind = {node.kind: node for node in small.nodes.values()}
    assert (by_kind["fit"].title, by_kind["fit"].cached) == ("4 fits", 3)
    assert by_kind["combination"].title == "4 combinations"
    titles = {node.title for node in small.nodes.values() if node.kind == "check"}
    assert titles == {"2 checks of CLs_obs, mu_hat", "CLs_obs"}
    kinds = {(small.nodes[a].kind, small.nodes[b].kind) for a, b in small.edges}
    assert kinds == {
        ("archive", "workspace"), ("workspace", "fit"), ("fit", "point"),
        ("point", "combination"), ("point", "check"), ("combination", "check"),
    }  # fmt: skip


def test_a_small_graph_stays_as_it_is(draw: Draw, regions: str) -> None:
    graph = draw(regions)
    assert folded(graph) == graph


def test_points_of_several_specifications_are_told_apart(draw: Draw, analysis: Path) -> None:
    (analysis / "other.toml").write_text((analysis / "small.toml").read_text())
    graph = draw(".")
    assert counts(graph) == {"archive": 1, "workspace": 1, "fit": 4, "point": 8}
    assert "point other.toml::signal_100_1" in graph.nodes
    titles = [node.title for node in folded(graph, largest=2).nodes.values()]
    assert titles == [
        "analysis/", "background.json", "4 fits", "4 points of other.toml",
        "4 points of small.toml",
    ]  # fmt: skip


@pytest.mark.data
def test_the_graph_of_a_published_analysis(mirror: Path) -> None:
    access = Settings.from_config(mirror, offline=True).access
    collection = collect(find_specs(["@stau"]), access)
    graph = folded(task_graph(collection, make_plan(collection), lambda _: False))
    assert [node.title for node in graph.nodes.values()] == [
        "https://doi.org/10.17182/hepdata.92006.v2/r2",
        "Region-combined/BkgOnly.json",
        "57 fits",
        "57 points",
        "57 checks of upper_limit_xsec_obs",
    ]
