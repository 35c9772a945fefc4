"""The one function that is shipped: builtins in, builtins out, failures as data."""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import signal
import socket
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy
import pytest
from answers import compute, outcomes

import fitspec
from fitspec import worker
from fitspec.histfactory import minimise, model
from fitspec.inference import FitQuestion, Question
from fitspec.inference.backends import pyhf as by_pyhf
from fitspec.outcome import FitResult, HypothesisTest, Outcome
from fitspec.versions import of_program
from fitspec.worker import UNLIMITED, Limits, PointOrder, payload, run_chunk, unpack

QUESTION = Question(
    "measurement", (0.5, 1.0), "qtilde", "code4", "code4p", "native", "numpy", "scipy"
)  # fmt: skip
BACKENDS = pytest.mark.parametrize("backend", ["native", "pyhf"])


@pytest.fixture
def raw(background) -> bytes:
    return json.dumps(background).encode()


@pytest.fixture
def good(make_patch) -> PointOrder:
    return order(make_patch([5.0, 8.0]))


def order(patch: Any, name: str = "signal", **changes: Any) -> PointOrder:
    text = patch if isinstance(patch, bytes) else json.dumps(patch).encode()
    return PointOrder(patch_name=name, patch=text, question=asdict(QUESTION) | changes)


def run(raw: bytes, *orders: PointOrder) -> list[Outcome]:
    return compute(raw, orders)


@pytest.mark.parametrize("toys", [None, 3])
@pytest.mark.parametrize("test_statistic", ["qtilde", "q0"])
@BACKENDS
def test_payload_and_answer_are_json(raw, make_patch, backend, test_statistic, toys):
    changes = {"backend": backend, "test_statistic": test_statistic, "toys": toys}
    orders = payload(raw, [order(make_patch([5.0, 8.0]), **changes)])
    answer = run_chunk(orders)

    for data in (orders, answer):
        assert json.loads(json.dumps(data)) == data
    [outcome] = outcomes(answer)
    assert outcome.status == "ok"


def test_a_payload_names_both_versions(raw):
    orders = payload(raw, [])

    assert orders["program"]["fitspec"] == fitspec.__version__
    assert orders["program"]["python"] == ".".join(platform.python_version_tuple()[:2])
    assert json.loads(unpack(orders["points"])) == []


@BACKENDS
def test_a_point_is_tested_at_every_value(raw, make_patch, backend):
    [outcome] = run(raw, order(make_patch([5.0, 8.0]), backend=backend))

    assert outcome.status == "ok"
    assert outcome.error is None
    assert [test.mu for test in outcome.tests] == [0.5, 1.0]
    assert outcome.seconds > 0
    assert outcome.worker == f"{socket.gethostname()}:{os.getpid()}"


def test_backends_may_be_mixed_and_agree(raw, make_patch):
    signals = [make_patch([5.0, 8.0]), make_patch([1.0, 20.0])]
    orders = [order(patch, backend=b) for b in ("native", "pyhf", "native") for patch in signals]

    *ours, one, other, again, once_more = run(raw, *orders)

    assert [again.tests, once_more.tests] == [outcome.tests for outcome in ours]
    for mine, theirs in zip(ours, (one, other), strict=True):
        for found, expected in zip(mine.tests, theirs.tests, strict=True):
            assert found.CLs_obs == pytest.approx(expected.CLs_obs, rel=1e-5)
            assert found.CLs_exp == pytest.approx(expected.CLs_exp, rel=1e-5)


@BACKENDS
def test_a_discovery_is_what_q0_asks_for(raw, make_patch, backend):
    patch = make_patch([5.0, 8.0])

    [outcome] = run(raw, order(patch, mus=(), test_statistic="q0", backend=backend))

    assert outcome.status == "ok"
    assert outcome.tests == ()
    assert 0 < outcome.p0 < 0.5
    assert outcome.discovery.p0_exp[2] < 0.5


def test_a_fit_alone_tests_nothing(raw, make_patch):
    asked = {"fit": asdict(FitQuestion(correlations=True, impacts=True, yields=True))}
    [outcome] = run(raw, order(make_patch([5.0, 8.0]), **asked))
    [tested] = run(raw, order(make_patch([5.0, 8.0])))

    assert (outcome.status, outcome.tests) == ("ok", ())
    assert outcome.mu_hat == pytest.approx(tested.mu_hat, rel=1e-5)
    assert outcome.fit.signal.value == outcome.mu_hat
    assert {i.parameter for i in outcome.fit.impacts} == {"shape", "norm"}
    assert len(outcome.fit.yields) == 3 * 3 + 2 * 2
    assert tested.fit is None


def test_a_fit_of_the_background_needs_no_patch(raw):
    asked = {"fit": asdict(FitQuestion(mu=0.0, yields=True)), "mus": ()}
    [outcome] = run(raw, order([], **asked))

    assert (outcome.status, outcome.mu_hat, outcome.fit.poi) == ("ok", None, None)
    assert {p.name for p in outcome.fit.parameters} == {"shape", "norm"}


def test_a_fit_with_a_patch_that_brings_no_poi_is_refused(raw, make_patch):
    [outcome] = run(raw, order(make_patch([5.0, 8.0], "nu"), fit=asdict(FitQuestion())))

    problem = "makes the workspace unsound: no sample carries the POI 'mu'"
    assert outcome.error == f"PatchError: patch 'signal': {problem}"


def test_parameters_at_their_bounds_come_back(background, make_patch):
    background["observations"][0]["data"] = [38.0, 22.0]
    raw = json.dumps(background).encode()

    [outcome] = run(raw, order(make_patch([5.0, 8.0])))

    assert outcome.fits[0].at_bounds == ("mu",)


def test_a_chunk_knows_its_own_background_only(background, make_patch):
    raw = json.dumps(background).encode()
    background["observations"][0]["data"] = [60.0, 40.0]
    other = json.dumps(background).encode()
    orders = [order(make_patch([5.0, 8.0])), order(make_patch([9.0, 2.0]))]

    first, there, back = (run(data, *orders) for data in (raw, other, raw))

    assert [o.tests for o in first] == [o.tests for o in back]
    assert first[0].tests != there[0].tests
    assert all(a.mu_hat < b.mu_hat for a, b in zip(first, there, strict=True))


def test_a_background_is_compiled_once_and_a_patch_only_with_its_own_samples(
    background, make_patch, monkeypatch
):
    compiled = []
    compile_sample = model.compile_sample
    monkeypatch.setattr(
        model,
        "compile_sample",
        lambda sample, channel: compiled.append(sample["name"]) or compile_sample(sample, channel),
    )
    background["channels"][0]["samples"][0]["name"] = "never seen before"
    raw = json.dumps(background).encode()
    orders = [order(make_patch([float(n), 8.0])) for n in range(1, 4)]

    outcomes = run(raw, *orders) + run(raw, *orders)

    assert all(outcome.status == "ok" for outcome in outcomes)
    assert compiled == ["never seen before", "background", *["signal"] * 6]


def test_an_empty_chunk_has_an_empty_answer(raw):
    answer = run_chunk(payload(raw, []))

    assert answer["outcomes"] == []
    assert answer["program"] == of_program()
    assert answer["libraries"]["numpy"] == numpy.__version__


SPOILT = {
    "no JSON": (b"[", "PatchError: patch 'bad': not valid JSON: *"),
    "no list": (b"{}", "PatchError: patch 'bad': a patch is a JSON list of operations"),
    "nowhere": (
        [{"op": "add", "path": "/channels/7/samples/-", "value": {}}],
        "PatchError: patch 'bad' operation 0 'add' /channels/7/samples/-: cannot be applied: *",
    ),
    "changes the data": (
        [{"op": "replace", "path": "/observations/0/data/0", "value": 1.0}],
        "PatchError: patch 'bad' operation 0 'replace' /observations/0/data/0: changes the obs*",
    ),
    "no signal": (
        [{"op": "test", "path": "/version", "value": "1.0.0"}],
        "PatchError: patch 'bad': makes the workspace unsound: no sample carries the POI 'mu'",
    ),
    "no patch at all": ([], "WorkspaceError: no sample carries the POI 'mu'"),
}


@BACKENDS
@pytest.mark.parametrize("kind", SPOILT)
def test_a_bad_patch_costs_only_its_own_point(raw, make_patch, kind, backend):
    patch, reason = SPOILT[kind]
    good = order(make_patch([5.0, 8.0]), backend=backend)

    before, bad, after = run(raw, good, order(patch, "bad", backend=backend), good)

    assert (before.status, bad.status, after.status) == ("ok", "error", "ok")
    assert before.tests == after.tests
    assert fnmatchcase(bad.error, reason)


@BACKENDS
def test_the_chosen_poi_is_tested(raw, make_patch, backend):
    """The background scales with `norm`; the signal strength is then profiled."""
    patch = make_patch([5.0, 8.0])
    named = json.loads(raw)
    named["measurements"][0]["config"]["poi"] = "norm"

    [chosen] = run(raw, order(patch, poi="norm", backend=backend))
    [expected] = run(json.dumps(named).encode(), order(patch, backend=backend))
    [own] = run(raw, order(patch, backend=backend))

    assert chosen.tests == expected.tests
    assert chosen.mu_hat == expected.mu_hat != own.mu_hat


@BACKENDS
def test_a_chosen_poi_that_the_patch_does_not_bring_is_its_own_problem(raw, make_patch, backend):
    without, having = make_patch([5.0, 8.0]), make_patch([5.0, 8.0], poi="mu_2")

    bad, good = (
        run(raw, order(patch, "signal", poi="mu_2", backend=backend))[0]
        for patch in (without, having)
    )

    assert bad.error == (
        "PatchError: patch 'signal': makes the workspace unsound: no sample carries the POI 'mu_2'"
    )
    assert good.status == "ok"


@BACKENDS
def test_a_poi_that_a_patch_makes_one_a_bin_is_a_reason(raw, make_patch, backend):
    patch = make_patch([5.0, 8.0])
    patch[0]["value"]["modifiers"][0]["type"] = "shapefactor"

    [outcome] = run(raw, order(patch, "signal", backend=backend))

    assert (
        outcome.error
        == {
            "native": "PatchError: patch 'signal': makes the workspace unsound: "
            "its POI 'mu' stands for 2 parameters, one a bin",
            "pyhf": "InferenceError: pyhf cannot build the model: The parameter 'mu' contains "
            "multiple components and is not currently supported as parameter of interest.",
        }[backend]
    )


@BACKENDS
def test_a_measurement_that_names_no_poi_is_a_reason_unless_one_is_chosen(
    background, make_patch, backend
):
    background["measurements"][0]["config"]["poi"] = ""
    raw, patch = json.dumps(background).encode(), make_patch([5.0, 8.0])

    [bad, good] = run(raw, order(patch, backend=backend), order(patch, poi="mu", backend=backend))

    assert bad.error == (
        "PatchError: patch 'signal': makes the workspace unsound: its measurement names no POI"
    )
    assert good.status == "ok"


def test_a_signal_with_the_wrong_number_of_bins_is_a_reason(raw, make_patch):
    [outcome] = run(raw, order(make_patch([5.0])))

    assert outcome.status == "error"
    assert outcome.error.endswith("sample 'signal' of channel 'SR' has 1 bins, its observation 2")


IMPOSSIBLE = {"name": "scale", "type": "normsys", "data": {"hi": 1.1, "lo": 0.0}}


def test_a_patch_whose_modifier_makes_no_sense_is_to_blame(raw, good, make_patch):
    patch = make_patch([5.0, 8.0])
    patch[0]["value"]["modifiers"].append(IMPOSSIBLE)

    bad, fine = run(raw, order(patch, "bad"), good)

    assert bad.error == (
        "PatchError: patch 'bad': makes the workspace unsound: normsys 'scale' of sample 'signal' "
        "of channel 'SR' has hi = 1.1 and lo = 0; factors must be positive"
    )
    assert fine.status == "ok"


def test_a_background_whose_modifier_makes_no_sense_is_to_blame(background, make_patch):
    background["channels"][1]["samples"][0]["modifiers"].append(IMPOSSIBLE)
    raw = json.dumps(background).encode()

    outcomes = run(raw, order(make_patch([5.0, 8.0])), order(make_patch([1.0, 2.0])))

    assert {outcome.error for outcome in outcomes} == {
        "WorkspaceError: normsys 'scale' of sample 'background' of channel 'CR' has hi = 1.1 and "
        "lo = 0; factors must be positive"
    }


def test_a_background_that_is_no_workspace_is_to_blame(background, make_patch):
    del background["channels"][0]["samples"][0]["data"]

    [outcome] = run(json.dumps(background).encode(), order(make_patch([5.0, 8.0])))

    assert outcome.error == "WorkspaceError: it is no HistFactory workspace: KeyError('data')"


def test_a_fit_for_its_own_sake_is_newtons_alone(raw, good, make_patch, monkeypatch):
    pytest.importorskip("iminuit")
    monkeypatch.setattr(minimise, "MAX_STEPS", 1)
    beside, alone = FitQuestion(alone=False), FitQuestion()
    patch = make_patch([5.0, 8.0])

    tested, fitted = run(raw, *(order(patch, fit=asdict(asked)) for asked in (beside, alone)))

    assert (tested.status, tested.fit) == ("ok", None)
    assert tested.notes[-1] == "what [fit] asks for is the native likelihood's alone"
    reason = "the free fit did not converge: no minimum after 1 steps"
    assert fitted.error == f"ConvergenceError: {reason}"


def test_with_toys_minuit_is_not_asked_since_it_would_take_days(raw, good, monkeypatch):
    monkeypatch.setattr(minimise, "MAX_STEPS", 1)

    [outcome] = run(raw, PointOrder({**good, "question": good["question"] | {"toys": 10}}))

    assert (
        outcome.error == "ConvergenceError: the free fit did not converge: no minimum after 1 steps"
    )


def test_where_newton_finds_no_minimum_minuit_is_asked(raw, good, monkeypatch):
    pytest.importorskip("iminuit")
    [expected] = run(raw, good)
    monkeypatch.setattr(minimise, "MAX_STEPS", 1)

    [outcome] = run(raw, good)

    assert outcome.status == "ok"
    assert outcome.notes == (
        "fitted by pyhf with minuit, since the free fit did not converge: no minimum after 1 steps",
    )
    for found, known in zip(outcome.tests, expected.tests, strict=True):
        assert found.CLs_obs == pytest.approx(known.CLs_obs, rel=1e-4)


def test_where_nothing_finds_a_minimum_both_reasons_are_given(raw, good, monkeypatch):
    pytest.importorskip("iminuit")
    monkeypatch.setattr(minimise, "MAX_STEPS", 1)
    monkeypatch.setattr(by_pyhf, "MAX_ITERATIONS", 1)

    [outcome] = run(raw, good)

    assert outcome.error.startswith(
        "ConvergenceError: the free fit did not converge: no minimum after 1 steps; "
        "and pyhf with minuit: the free fit did not converge: "
    )
    assert "\n" not in outcome.error


def test_what_no_minimiser_can_do_is_not_tried_again(background, make_patch):
    background["channels"][0]["samples"][0].update(data=[0.0, 30.0], modifiers=[])
    raw = json.dumps(background).encode()

    [outcome] = run(raw, order(make_patch([0.0, 8.0])))

    assert outcome.error == (
        "InferenceError: the free fit did not converge: the likelihood is 0 at the start: "
        "bin 0 of channel 'SR' has 52 events, but expects 0"
    )


def test_a_value_outside_the_bounds_is_a_reason(raw, make_patch):
    [outcome] = run(raw, order(make_patch([5.0, 8.0]), mus=(11.0,)))

    assert outcome.error == "InferenceError: mu = 11 is outside the POI's bounds [0, 10]"


def test_an_error_nobody_thought_of_is_one_line_with_its_place(raw, good, monkeypatch):
    def fail(*_: object) -> Outcome:
        raise ValueError("first line\n  second line\n")

    monkeypatch.setattr(worker, "test_hypotheses", fail)

    [outcome] = run(raw, good)

    assert outcome.status == "error"
    assert outcome.error.startswith("unexpected ValueError at test_worker.py:")
    assert outcome.error.endswith(": first line second line")


def test_an_order_that_is_not_understood_is_a_reason(raw, good, make_patch):
    strange, fine = run(raw, order(make_patch([5.0, 8.0]), colour="red"), good)

    assert strange.error.startswith("unexpected TypeError at question.py:")
    assert "colour" in strange.error
    assert fine.status == "ok"


TEST = HypothesisTest(1.0, 0.25, (0.1, 0.2, 0.3, 0.4, 0.5), 0.1, 0.6, 1.5, 2.5)
FIT = FitResult("free", "observed", None, 12.5, True, 7, None)


@pytest.mark.parametrize(
    ("outcome", "name"),
    [
        (Outcome("ok", tests=(TEST, replace(TEST, q=math.nan))), "tests[1].q"),
        (Outcome("ok", tests=(TEST,), mu_hat=math.inf), "mu_hat"),
        (Outcome("ok", fits=(replace(FIT, edm=math.nan),)), "fits[0].edm"),
        (Outcome("ok", upper_limit_exp=(0.0, 1.0, math.nan, 2.0, 3.0)), "upper_limit_exp[2]"),
    ],
    ids=["test", "mu_hat", "fit", "band"],
)
def test_a_number_that_is_not_finite_is_an_error(raw, good, monkeypatch, outcome, name):
    monkeypatch.setattr(worker, "test_hypotheses", lambda *_: outcome)

    [found] = run(raw, good)

    assert found.status == "error"
    assert fnmatchcase(
        found.error, f"InferenceError: {name.replace('[', '[[]')} is ???; look for *"
    )
    assert found.tests == ()


@pytest.mark.parametrize("of", ["fitspec", "python"])
def test_a_worker_of_another_version_refuses_and_names_both(raw, good, of):
    orders = payload(raw, [good])
    orders["program"] = orders["program"] | {of: "99.0"}

    answer = run_chunk(orders)

    assert answer["outcomes"] == []
    assert answer["program"] == of_program()


def test_a_point_that_takes_too_long_is_an_error_and_costs_the_others_nothing(
    raw, good, make_patch, monkeypatch
):
    infer = worker._infer

    def slow(background: str, asked: PointOrder) -> Outcome:
        if asked["patch_name"] == "slow":
            time.sleep(60)
        return infer(background, asked)

    monkeypatch.setattr(worker, "_infer", slow)
    orders = [good, order(make_patch([5.0, 8.0]), "slow"), good]
    before = signal.getsignal(signal.SIGALRM)
    start = time.perf_counter()

    first, late, last = outcomes(run_chunk(payload(raw, orders, UNLIMITED | {"point": 0.2})))

    assert time.perf_counter() - start < 10
    assert (first.status, last.status) == ("ok", "ok")
    assert late.error == "ExecutionError: not done after 0.2 s, the deadline"
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_deadline_is_no_error_that_a_library_can_swallow(raw, good, monkeypatch):
    def stubborn(*_: object) -> Outcome:
        while True:
            with contextlib.suppress(Exception):
                time.sleep(60)

    monkeypatch.setattr(worker, "_infer", stubborn)

    [outcome] = outcomes(run_chunk(payload(raw, [good], UNLIMITED | {"point": 0.1})))

    assert outcome.error == "ExecutionError: not done after 0.1 s, the deadline"


def test_outside_the_main_thread_a_point_takes_its_time(raw, good):
    with ThreadPoolExecutor(1) as executor:
        orders = payload(raw, [good], UNLIMITED | {"point": 1e-6})
        [outcome] = outcomes(executor.submit(run_chunk, orders).result())

    assert outcome.status == "ok"


@pytest.mark.parametrize("limit", ["chunk", "bytes"])
def test_a_chunk_that_has_taken_its_share_answers_with_what_it_has(raw, good, limit):
    answer = run_chunk(payload(raw, [good] * 3, UNLIMITED | {limit: 0}))

    assert len(answer["outcomes"]) == 1
    assert outcomes(answer)[0].status == "ok"


def test_a_chunk_within_its_limits_is_answered_whole(raw, good):
    limits = Limits(point=60.0, chunk=60.0, bytes=1_000_000)

    assert [o.status for o in outcomes(run_chunk(payload(raw, [good] * 3, limits)))] == ["ok"] * 3


def test_warnings_of_the_libraries_stay_inside(raw, good, monkeypatch, capfd):
    def warn(*_: object) -> Outcome:
        warnings.warn("overflow in a probe", RuntimeWarning, stacklevel=1)
        return Outcome("ok")

    monkeypatch.setattr(worker, "test_hypotheses", warn)

    [outcome] = run(raw, good)

    assert outcome.status == "ok"
    assert capfd.readouterr() == ("", "")
