"""Difficult published points through the worker: no minimum is above pyhf's, and CLs agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from answers import compute

from fitspec.collect import collect
from fitspec.outcome import FitResult, Outcome
from fitspec.plan import make_plan
from fitspec.sources import Access
from fitspec.spec import find_specs
from fitspec.worker import PointOrder


def infer(background: bytes, order: PointOrder, **changes: str) -> Outcome:
    """What a worker answers, with another backend or optimizer."""
    question = {**order["question"], **changes}
    [outcome] = compute(background, [PointOrder({**order, "question": question})])
    return outcome


def published(mirror: Path, folder: Path, spec: str, keywords: str) -> tuple[bytes, PointOrder]:
    """Workspace and order of one point of a curated specification."""
    access = Access(folder, mirror, offline=True)
    plan = make_plan(collect(find_specs([spec]), access, keywords))
    [task] = plan.fits.values()
    question = {**task.order["question"], "level": None}  # a search for limits has fits of its own
    return task.background.raw, PointOrder({**task.order, "question": question})


def observed_fits(outcome: Outcome) -> dict[float | None, FitResult]:
    """Fits to observed data by POI value; Asimov data are each backend's own."""
    return {fit.mu: fit for fit in outcome.fits if fit.data == "observed"}


def compare(ours: Outcome, theirs: Outcome, record: Any = None) -> None:
    """No minimum of ours is above theirs, and the same minima give the same CLs."""
    assert (ours.status, theirs.status) == ("ok", "ok"), (ours.error, theirs.error)
    same = True
    for mu, reference in observed_fits(theirs).items():
        above = observed_fits(ours)[mu].twice_nll - reference.twice_nll
        assert above < 1e-6, f"the fit at mu = {mu} is {above:.3g} above pyhf's"
        same &= abs(above) < 1e-5
        if above < -1e-5 and record is not None:
            record(f"below pyhf at mu = {mu}", above)
    if same:
        for our_test, their_test in zip(ours.tests, theirs.tests, strict=True):
            close = {"rel": 1e-4, "abs": 1e-6}
            assert our_test.CLs_obs == pytest.approx(their_test.CLs_obs, **close)
            assert our_test.CLs_exp == pytest.approx(their_test.CLs_exp, **close)


@pytest.mark.data
@pytest.mark.parametrize(
    ("spec", "point", "optimizer"),
    [
        ("@sbottom", "region=A and 1300_205_60", "minuit"),
        ("@sbottom", "region=B and 1400_950_60", "minuit"),  # a weak signal
        ("@sbottom", "region=C and 1100_131_1", "minuit"),  # pyhf needs its second strategy
        ("@1Lbb", "C1N2_Wh_hbb_325_50", "scipy"),  # the first two starts miss the lowest minimum
    ],
)
def test_published_points_agree_with_pyhf(
    spec: str, point: str, optimizer: str, mirror: Path, tmp_path: Path, record_property: Any
) -> None:
    background, order = published(mirror, tmp_path, spec, point)

    ours = infer(background, order)
    theirs = infer(background, order, backend="pyhf", optimizer=optimizer)

    compare(ours, theirs, record_property)
