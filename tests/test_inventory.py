"""What workspaces and patches hold."""

from __future__ import annotations

import json

from fitspec.collect import collect
from fitspec.inventory import samples_of
from fitspec.plan import make_plan
from fitspec.results import SampleRecord
from fitspec.sources import Access
from fitspec.spec import load_spec


def records(folder) -> list[SampleRecord]:
    spec = load_spec(folder / "small.toml", "small.toml")
    plan = make_plan(collect([spec], Access(folder / "cache")))
    return list(samples_of(plan.fits.values()))


def patch(folder, *operations) -> None:
    (folder / "patch.signal_100_1.json").write_text(json.dumps(operations))


def of_first(found: list[SampleRecord]) -> dict[tuple[str | None, str | None], SampleRecord]:
    first = next(record.patch for record in found if record.patch)
    return {(r.channel, r.sample): r for r in found if r.patch == first}


def test_a_workspace_is_listed_once_and_each_patch_with_its_signal(analysis):
    found = records(analysis)

    own = [record for record in found if record.patch is None]
    assert [(r.channel, r.sample, r.events) for r in own] == [
        (None, None, None), ("SR", None, 85.0), ("CR", None, 204.0),
        ("SR", "background", 80.0), ("CR", "background", 200.0),
    ]  # fmt: skip
    signals = [record for record in found if record.patch is not None]
    assert [(r.channel, r.sample, r.events) for r in signals] == [
        ("SR", "signal", 14.0), ("SR", "signal", 20.0),
        ("SR", "signal", 10.0), ("SR", "signal", 16.0),
    ]  # fmt: skip
    assert len({record.bins for record in signals}) == 4
    assert len({record.modifiers for record in signals}) == 1
    assert len({record.workspace for record in found}) == 1


def test_what_a_patch_replaces_or_removes_is_listed(analysis):
    value = {"name": "mu", "type": "normfactor", "data": None}
    patch(
        analysis,
        {"op": "add", "path": "/channels/0/samples/0/modifiers/-", "value": value},
        {"op": "remove", "path": "/channels/1/samples/0"},
        {"op": "replace", "path": "/measurements/0/config/poi", "value": "mu"},
    )

    found = of_first(records(analysis))

    assert set(found) == {("SR", "background"), ("CR", "background")}
    assert found["SR", "background"].events == 80.0
    removed = found["CR", "background"]
    assert (removed.events, removed.bins, removed.modifiers) == (None, None, None)


def test_measurements_are_a_part_of_their_own(analysis):
    bounds = {"name": "mu", "bounds": [[0, 20]]}
    path = "/measurements/0/config/parameters/-"
    patch(analysis, {"op": "add", "path": path, "value": bounds})

    assert set(of_first(records(analysis))) == {(None, None)}


def test_a_patch_that_cannot_be_applied_has_no_parts(analysis):
    for broken in (
        {"op": "remove", "path": "/channels/7"},
        {"op": "remove", "path": "/channels"},
        {"op": "replace", "path": "/channels/0/samples/0/data", "value": "many"},
    ):
        patch(analysis, broken)
        assert len([r for r in records(analysis) if r.patch]) == 3
