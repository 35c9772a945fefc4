"""Points into a task graph: what must be computed once, and what follows from what.

A fit task is named by everything that decides its numbers (a content-addressed key): the same
hypothesis asked twice, in one run or in two, is computed once.
"""

from __future__ import annotations

import functools
import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

from fitspec.collect import Case, Collection, Combination, Expectation, Point
from fitspec.inference import FitQuestion, Question
from fitspec.sources import Background
from fitspec.spec import SpecFile
from fitspec.spec.models import ToysUntil
from fitspec.versions import code_digest
from fitspec.worker import PointOrder

Graph = dict[str, set[str]]
"""Predecessors by node, for :class:`graphlib.TopologicalSorter`."""


@dataclass(frozen=True)
class FitTask:
    """One hypothesis of one workspace.

    Attributes:
        key: content-addressed name; equal keys mean equal numbers.
        background: the workspace.
        order: patch and question, as a worker gets them.
        patch: digest of the patch.
    """

    key: str
    background: Background
    order: PointOrder
    patch: str

    @property
    def quick(self) -> bool:
        """The native backend needs milliseconds for it, pyhf, or toys, seconds and more."""
        question = self.order["question"]
        return bool(question["backend"] == "native" and question["toys"] is None)

    @property
    def tests(self) -> bool:
        """It is more than a fit for its own sake."""
        return not Question.from_dict(self.order["question"]).fit_alone


@dataclass(frozen=True)
class CrossCheck:
    """A fit that is done again by pyhf: the keys of the two."""

    key: str
    reference: str


@dataclass(frozen=True)
class Plan:
    """What to compute, and in which order things can be settled.

    Attributes:
        fits: fit tasks by key; none depends on another.
        points: points by fit key: one task may serve several.
        combinations: by node id; each follows from the fits of its points.
        expectations: by node; each follows from a fit or a combination.
        cross_checks: by node; each follows from two fits.
        graph: predecessors of every node.
    """

    fits: Mapping[str, FitTask]
    points: Mapping[str, Sequence[Point]]
    combinations: Mapping[str, Combination]
    expectations: Mapping[str, Expectation]
    cross_checks: Mapping[str, CrossCheck]
    graph: Graph


def make_plan(collection: Collection) -> Plan:
    """The task graph of a collection.

    Args:
        collection: selected points, combinations and expectations.

    Raises:
        SourceError: a patch cannot be read.
    """
    fits: dict[str, FitTask] = {}
    points: dict[str, list[Point]] = {}
    key_of: dict[str, str] = {}
    patches = _read_patches(collection.points)
    for point in collection.points:
        question = _question(point.spec, point.case)
        patch = patches[id(point.case)][point.patch]
        digest = patch_digest(patch)
        key = fit_key(point.case.background.digest, digest, question)
        order = PointOrder(patch_name=point.patch, patch=patch, question=asdict(question))
        fits.setdefault(key, FitTask(key, point.case.background, order, digest))
        points.setdefault(key, []).append(point)
        key_of[point.node_id] = key

    graph: Graph = {key: set() for key in fits}
    combinations = {c.node_id: c for c in collection.combinations}
    for node, combination in combinations.items():
        graph[node] = {key_of[point.node_id] for point in combination.points}
    expectations = {f"{e.node_id}#{i}": e for i, e in enumerate(collection.expectations)}
    for node, expectation in expectations.items():
        target = expectation.target.node_id
        graph[node] = {key_of.get(target, target)}
    return Plan(fits, points, combinations, expectations, {}, graph)


REFERENCE = {"backend": "pyhf", "tensor": "numpy", "optimizer": "minuit", "fit": None}
"""Another likelihood and another minimiser: what a cross-check of tests compares with."""


def with_cross_checks(plan: Plan, number: int) -> Plan:
    """The plan with some of its fits, chosen at random, done again by pyhf.

    Args:
        plan: with the fits to choose from, those of the native backend.
        number: how many; all that test something if there are fewer.
    """
    native = [key for key, fit in plan.fits.items() if fit.quick and fit.tests]
    chosen = random.SystemRandom().sample(native, min(number, len(native)))
    references: dict[str, FitTask] = {}
    cross_checks: dict[str, CrossCheck] = {}
    graph = dict(plan.graph)
    for key in sorted(chosen, key=native.index):
        task = plan.fits[key]
        question = Question.from_dict({**task.order["question"], **REFERENCE})
        if question.mus:  # are enough: a search for limits takes pyhf minutes
            question = replace(question, level=None)
        reference = fit_key(task.background.digest, task.patch, question)
        order = PointOrder({**task.order, "question": asdict(question)})
        references[reference] = replace(task, key=reference, order=order)
        graph.setdefault(reference, set())
        node = f"cross-check {key}"
        cross_checks[node] = CrossCheck(key, reference)
        graph[node] = {key, reference}
    # the slow ones first: the others then fill the gaps
    fits = {**references, **plan.fits}
    points = {**dict.fromkeys(references, ()), **plan.points}
    return replace(plan, fits=fits, points=points, cross_checks=cross_checks, graph=graph)


def fit_key(workspace: str, patch: str, question: Question) -> str:
    """Name of a fit: sha256 over all that decides its numbers; of workspace and patch, digests."""
    content: dict[str, Any] = {
        "code": code_digest(),
        "backend": _backend_version(question.backend),
        "workspace": workspace,
        "patch": patch,
        "question": asdict(question),
    }
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _read_patches(points: Sequence[Point]) -> dict[int, dict[str, bytes]]:
    """Patches by case (its id) and name, each source read once."""
    wanted: dict[int, list[Point]] = {}
    for point in points:
        wanted.setdefault(id(point.case), []).append(point)
    read = {}
    for case, members in wanted.items():
        with members[0].spec.at("patches"):
            read[case] = members[0].case.patches.read([point.patch for point in members])
    return read


def _question(spec: SpecFile, case: Case) -> Question:
    asked = spec.spec
    toys = asked.inference.toys
    return Question(
        measurement=case.measurement,
        mus=asked.tested,
        test_statistic=asked.inference.test_statistic,
        normsys=asked.inference.interpcodes.normsys,
        histosys=asked.inference.interpcodes.histosys,
        backend=asked.backend.name,
        tensor=asked.backend.tensor or "numpy",
        optimizer=asked.backend.optimizer or "scipy",
        level=asked.poi.level,
        method=asked.poi.method,
        expected=asked.inference.expected,
        poi=case.poi,
        toys=toys.max if isinstance(toys, ToysUntil) else toys,
        precision=toys.precision if isinstance(toys, ToysUntil) else None,
        seed=asked.inference.seed or 0,
        fit=_fit_question(spec),
    )


def _fit_question(spec: SpecFile) -> FitQuestion | None:
    if (asked := spec.spec.fit) is None:
        return None
    return FitQuestion(
        mu=asked.mu,
        correlations=asked.correlations,
        impacts=asked.impacts is not False,
        top=None if isinstance(asked.impacts, bool) else asked.impacts,
        yields=asked.yields,
        alone=spec.spec.fit_alone,
    )


def patch_digest(patch: bytes) -> str:
    """``sha256:...`` of a patch's JSON, whose formatting and order of keys do not matter."""
    try:
        canonical = orjson.dumps(orjson.loads(patch), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        canonical = patch  # the worker will say what is wrong with it
    return f"sha256:{hashlib.sha256(canonical).hexdigest()}"


@functools.cache
def _backend_version(backend: str) -> str:
    """Versions of the libraries that make the numbers; fitspec's own code has its digest."""
    from importlib.metadata import version

    libraries = ("pyhf",) if backend == "pyhf" else ("numpy", "scipy")
    return ", ".join(f"{library} {version(library)}" for library in libraries)
