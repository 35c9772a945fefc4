"""The task graph as a picture has it: from archives to checks, and what is computed already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fitspec.collect import Collection, Combination, Expectation, Point
from fitspec.collect.cases import filled
from fitspec.errors import counted
from fitspec.plan import Plan
from fitspec.sources.access import remote_url

Kind = Literal["archive", "workspace", "fit", "point", "combination", "check"]

KINDS: tuple[Kind, ...] = ("archive", "workspace", "fit", "point", "combination", "check")
"""What comes first before what follows."""

LARGEST = 8
"""More nodes of one kind than this, that stand in the same place, are drawn as one."""


@dataclass(frozen=True, slots=True)
class Node:
    """Something to be had, or to be done.

    Attributes:
        id: unique.
        kind: what it is.
        title: how it is called.
        spec: name of the specification, if there are several and it belongs to one.
        count: how many it stands for.
        cached: how many of these are in the result store; fits only.
    """

    id: str
    kind: Kind
    title: str
    spec: str = ""
    count: int = 1
    cached: int = 0


@dataclass(frozen=True, slots=True)
class TaskGraph:
    """Nodes, and which follows from which.

    Attributes:
        nodes: by id, in the order of their kinds.
        edges: ids of a node and of one that follows from it, each pair once.
    """

    nodes: Mapping[str, Node]
    edges: tuple[tuple[str, str], ...]

    def after(self) -> dict[str, list[str]]:
        """What follows, by node."""
        found: dict[str, list[str]] = {node: [] for node in self.nodes}
        for start, end in self.edges:
            found[start].append(end)
        return found

    def before(self) -> dict[str, list[str]]:
        """What it follows from, by node."""
        return TaskGraph(self.nodes, tuple((end, start) for start, end in self.edges)).after()


def task_graph(collection: Collection, plan: Plan, stored: Callable[[str], bool]) -> TaskGraph:
    """The graph of everything that a run would do.

    Args:
        collection: the selected points.
        plan: of the collection.
        stored: whether the outcome of a fit, by key, is kept already.
    """
    drawing = _Drawing(several=len(collection.specs) > 1)
    for key, points in plan.points.items():
        drawing.fit(key, points, cached=stored(key))
    for combination in plan.combinations.values():
        drawing.combination(combination)
    for name, expectation in plan.expectations.items():
        drawing.check(name, expectation)
    return drawing.graph


def folded(graph: TaskGraph, largest: int = LARGEST) -> TaskGraph:
    """The graph with one node for all those that stand in the same place.

    That is where they are many, or follow from many that are drawn as one.

    Args:
        graph: any.
        largest: number of nodes of one kind that may stand in one place.
    """
    before = graph.before()
    nodes: dict[str, Node] = {}
    now: dict[str, str] = {}  # the node that stands for it
    for kind in KINDS:
        places: dict[tuple[str, frozenset[str]], list[Node]] = {}
        for node in graph.nodes.values():
            if node.kind == kind:
                # combinations bring together what stands in several places
                starts = [] if kind == "combination" else [now[n] for n in before[node.id]]
                places.setdefault((node.spec, frozenset(starts)), []).append(node)
        for (_, place), members in places.items():
            crowded = any(nodes[start].count > 1 for start in place) and len(members) > 1
            if crowded or len(members) > largest:
                together = _together(members)
                nodes[together.id] = together
                now |= dict.fromkeys((member.id for member in members), together.id)
            else:
                nodes |= {member.id: member for member in members}
                now |= {member.id: member.id for member in members}
    edges = dict.fromkeys((now[start], now[end]) for start, end in graph.edges)
    return TaskGraph(nodes, tuple(edges))


def _together(members: Sequence[Node]) -> Node:
    first = members[0]
    title = counted(len(members), first.kind)
    if first.kind == "check":
        title += f" of {', '.join(dict.fromkeys(node.title for node in members))}"
    elif first.spec:
        title += f" of {first.spec}"
    cached = sum(node.cached for node in members)
    return Node(f"{title}, {first.id} first", first.kind, title, first.spec, len(members), cached)


class _Drawing:
    """Nodes and edges so far.

    Args:
        several: there are several specifications, so that points need their full names.
    """

    def __init__(self, *, several: bool) -> None:
        self._several = several
        self._nodes: dict[str, Node] = {}
        self._edges: dict[tuple[str, str], None] = {}

    @property
    def graph(self) -> TaskGraph:
        nodes = sorted(self._nodes.values(), key=lambda node: KINDS.index(node.kind))
        return TaskGraph({node.id: node for node in nodes}, tuple(self._edges))

    def fit(self, key: str, points: Sequence[Point], *, cached: bool) -> None:
        """A fit, the workspaces that it can be made of, and the points that it serves."""
        for point in points:
            fit = Node(f"fit {key}", "fit", point.patch, cached=int(cached))
            self._follow(self._workspace(point), fit)
            self._follow(fit.id, self._named("point", point))

    def combination(self, combination: Combination) -> None:
        """A combination of points that are there already."""
        node = self._named("combination", combination)
        for point in combination.points:
            self._follow(f"point {point.node_id}", node)

    def check(self, name: str, expectation: Expectation) -> None:
        """A check of a point or combination that is there already."""
        target = expectation.target
        kind = "point" if isinstance(target, Point) else "combination"
        node = Node(f"check {name}", "check", expectation.quantity)
        self._follow(f"{kind} {target.node_id}", node)

    def _named(self, kind: Kind, target: Point | Combination) -> Node:
        title = target.node_id if self._several else target.id
        spec = target.spec.name if self._several else ""
        return Node(f"{kind} {target.node_id}", kind, title, spec)

    def _workspace(self, point: Point) -> str:
        archive = self._archive(point)
        self._nodes.setdefault(archive.id, archive)
        background = point.case.background
        name = f"workspace {background.name} {background.digest} in {archive.title}"
        self._follow(archive.id, Node(name, "workspace", background.name))
        return name

    def _archive(self, point: Point) -> Node:
        """As the specification names it; its own folder, where it names none."""
        spec = point.spec
        source = spec.spec.workspace.archive
        source = filled(spec, point.case.values, "workspace", "archive", source) or "."
        path = (spec.path.parent / source).resolve()
        if remote_url(source) is not None or not path.exists():
            return Node(f"archive {source}", "archive", source)
        title = f"{path.name or path}/" if path.is_dir() else source
        return Node(f"archive {path}", "archive", title)

    def _follow(self, start: str, node: Node) -> None:
        self._nodes.setdefault(node.id, node)
        self._edges[start, node.id] = None
