"""A few hypotheses of a specification, one after the other, by one peer: what compare.py starts.

    python benchmarks/peers.py PEER SPEC POINTS

prints a JSON list, one record a hypothesis: its ``id``, and either ``error`` or ``seconds``,
``CLs_obs``, ``CLs_exp`` and ``twice_nll`` of the fits to the observed data; of pyhf also ``again``
and ``asimov_gap``, how far above its minimum the free fit to the Asimov data ended. Of a
specification that asks for limits it is ``limit_obs`` and ``limit_exp``, and ``pyhf-toys`` tells
``seconds`` and the number of ``toys``.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import orjson

from fitspec.collect import collect
from fitspec.plan import FitTask, make_plan
from fitspec.session import Settings
from fitspec.spec import find_specs
from fitspec.worker import payload, run_chunk, unpack

Record = dict[str, Any]
Peer = Callable[[FitTask, FitTask], Record]
"""Computes a hypothesis and times it; the second one is another of the same workspace."""

REPEATS = 5
"""Milliseconds are measured several times; the median counts."""


def native() -> Peer:
    """fitspec's worker, which has compiled the background for another hypothesis."""

    def compute(task: FitTask) -> Record:
        [answer] = run_chunk(payload(task.background.raw, [task.order]))["outcomes"]
        outcome: Record = orjson.loads(unpack(answer))
        if outcome["error"]:
            raise RuntimeError(outcome["error"])
        return outcome

    def peer(task: FitTask, other: FitTask) -> Record:
        seconds = []
        for _ in range(REPEATS):
            compute(other)
            start = time.perf_counter()
            outcome = compute(task)
            seconds.append(time.perf_counter() - start)
        if outcome["upper_limit_obs"] is not None:
            return {
                "seconds": statistics.median(seconds),
                "limit_obs": outcome["upper_limit_obs"],
                "limit_exp": outcome["upper_limit_exp"],
            }
        test = outcome["tests"][0]
        fits = [fit for fit in outcome["fits"] if fit["data"] == "observed"]
        return {
            "seconds": statistics.median(seconds),
            "CLs_obs": test["CLs_obs"],
            "CLs_exp": test["CLs_exp"],
            "twice_nll": {_name(fit["mu"]): fit["twice_nll"] for fit in fits},
        }

    return peer


def with_pyhf(tensor: str) -> Peer:
    """pyhf as its manual has it.

    With jax, the hypothesis is computed once before, so that every array operation is known; each
    model is compiled all the same, and ``again`` is the time without that: of another test of the
    same model.
    """
    import pyhf

    pyhf.set_backend(tensor)
    workspaces: dict[str, pyhf.Workspace] = {}

    def peer(task: FitTask, _: FitTask) -> Record:
        digest, question = task.background.digest, task.order["question"]
        if digest not in workspaces:
            workspaces[digest] = pyhf.Workspace(task.background.content)
        workspace = workspaces[digest]
        patch, mu = orjson.loads(task.order["patch"]), question["mus"][0]

        def make() -> Any:
            return workspace.model(patches=[patch], measurement_name=question["measurement"])

        def test(model: Any) -> Any:
            return pyhf.infer.hypotest(
                mu,
                workspace.data(model),
                model,
                test_stat=question["test_statistic"],
                return_expected_set=True,
                return_calculator=True,
            )

        if tensor == "jax":
            test(make())
        start = time.perf_counter()
        model = make()
        observed, band, calculator = test(model)
        record: Record = {"seconds": time.perf_counter() - start}
        if tensor == "jax":
            start = time.perf_counter()
            test(model)
            record["again"] = time.perf_counter() - start

        fits = calculator.fitted_pars
        data, asimov = workspace.data(model), model.expected_data(fits.asimov_pars)

        def twice_nll(parameters: Any, data: Any) -> float:
            return -2 * float(model.logpdf(parameters, data)[0])

        minima = {
            _name(None): fits.free_fit_to_data,
            _name(0.0): fits.asimov_pars,
            _name(mu): fits.fixed_poi_fit_to_data,
        }
        return record | {
            "CLs_obs": float(observed),
            "CLs_exp": [float(value) for value in band],
            "twice_nll": {name: twice_nll(parameters, data) for name, parameters in minima.items()},
            # the parameters that made the data are the minimum
            "asimov_gap": twice_nll(fits.free_fit_to_asimov, asimov)
            - twice_nll(fits.asimov_pars, asimov),
        }

    return peer


def limits_with_pyhf() -> Peer:
    """pyhf's root finding, as its manual has it."""
    import pyhf

    def peer(task: FitTask, _: FitTask) -> Record:
        question = task.order["question"]
        workspace = pyhf.Workspace(task.background.content)
        patch = orjson.loads(task.order["patch"])
        start = time.perf_counter()
        model = workspace.model(patches=[patch], measurement_name=question["measurement"])
        observed, expected = pyhf.infer.intervals.upper_limits.upper_limit(
            workspace.data(model), model, level=question["level"]
        )
        return {
            "seconds": time.perf_counter() - start,
            "limit_obs": float(observed),
            "limit_exp": [float(limit) for limit in expected],
        }

    return peer


PYHF_TOYS = 5
"""For each of the two hypotheses: enough to know what one costs."""


def toys_with_pyhf() -> Peer:
    """pyhf's toys, a few of them; its p-values of toys need an older numpy and are left out."""
    import pyhf

    def peer(task: FitTask, _: FitTask) -> Record:
        question = task.order["question"]
        workspace = pyhf.Workspace(task.background.content)
        patch = orjson.loads(task.order["patch"])
        model = workspace.model(patches=[patch], measurement_name=question["measurement"])
        start = time.perf_counter()
        calculator = pyhf.infer.calculators.ToyCalculator(
            workspace.data(model), model, ntoys=PYHF_TOYS, track_progress=False
        )
        calculator.distributions(question["mus"][0])
        return {"seconds": time.perf_counter() - start, "toys": 2 * PYHF_TOYS}

    return peer


PEERS: dict[str, Callable[[], Peer]] = {
    "native": native,
    "pyhf-numpy": lambda: with_pyhf("numpy"),
    "pyhf-jax": lambda: with_pyhf("jax"),
    "pyhf-limits": limits_with_pyhf,
    "pyhf-toys": toys_with_pyhf,
}


def evenly(total: int, number: int) -> list[int]:
    """Indices of ``number`` of ``total`` things, spread evenly: each in the middle of its part."""
    number = min(number, total)
    return [(2 * k + 1) * total // (2 * number) for k in range(number)]


def run(name: str, spec: str, points: int) -> list[Record]:
    """Records of the chosen hypotheses."""
    peer = PEERS[name]()
    plan = make_plan(collect(find_specs([spec]), Settings.from_config().access, ""))
    tasks = list(plan.fits.values())
    records = []
    for index in evenly(len(tasks), points):
        task = tasks[index]
        same = [t for t in tasks if t.background is task.background and t is not task]
        record: Record = {"id": plan.points[task.key][0].id}
        try:
            record |= peer(task, same[0] if same else task)
        except Exception as error:
            reason = str(error).strip().splitlines() or [""]
            record["error"] = f"{type(error).__name__}: {reason[0]}"
        records.append(record)
    return records


def _name(mu: float | None) -> str:
    return "free fit" if mu is None else f"fit at mu = {mu:g}"


if __name__ == "__main__":
    answer = run(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    print(json.dumps(answer))
