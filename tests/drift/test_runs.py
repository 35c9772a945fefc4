"""What was different between two runs."""

from __future__ import annotations

from dataclasses import replace

from fitspec.drift.runs import Difference, PartChange, differences, part_changes
from fitspec.outcome import Outcome
from fitspec.results import PointResult, RunReport, SampleRecord, SpecRecord

SPEC = SpecRecord("a.toml", "ab" * 32, "small", settings={"poi.test": [1.0], "backend.name": "x"})
OLD = RunReport((SPEC,), {"numpy": "2.0", "workers": "2"}, (), (), (), 0, 1.0)
POINT = PointResult("a.toml", "signal", {}, Outcome("ok"), workspace="w", patch="p")


def test_settings_versions_and_texts_are_told():
    spec = replace(SPEC, sha256="cd" * 32, settings={"poi.test": [2.0], "inference.toys": 100})
    new = replace(OLD, specs=(spec,), environment={"numpy": "2.1", "workers": "4", "code": "1"})

    assert differences(OLD, new, [(SPEC, spec)]) == [
        Difference(None, "environment.numpy", "2.0", "2.1"),
        Difference(None, "environment.code", None, "1"),
        Difference("a.toml", "settings.poi.test", [1.0], [2.0]),
        Difference("a.toml", "settings.backend.name", "x", None),
        Difference("a.toml", "settings.inference.toys", None, 100),
        Difference("a.toml", "sha256", "ab" * 32, "cd" * 32),
    ]
    assert differences(OLD, OLD, [(SPEC, SPEC)]) == []


def sample(workspace: str = "w", patch: str | None = "p", **changes) -> SampleRecord:
    record = SampleRecord(workspace, patch, "SR", "signal", 10.0, "b", "m")
    return replace(record, **changes)


def background(workspace: str = "w") -> SampleRecord:
    return sample(workspace, patch=None, sample="background")


def parts(old: list[SampleRecord], new: list[SampleRecord], point: PointResult) -> list[PartChange]:
    before, after = (
        replace(OLD, samples=lambda found=found: (background(), *found)) for found in (old, new)
    )
    return part_changes(before, after, [(POINT, point), (replace(POINT, id="other"),) * 2])


def test_a_changed_patch_names_channel_and_sample():
    new = [
        sample(patch="q", events=12.0, bins="c"),
        sample(patch="q", channel="CR", events=1.0),
        sample(patch="q", channel="same"),
        sample(patch="q", channel="migrated", bins="c"),
        sample(patch="q", channel="widened", modifiers="n"),
        sample(patch="q", channel=None, sample=None, events=None, bins="new", modifiers=None),
    ]
    old = [
        sample(),
        sample(channel="VR", events=2.0),
        *(sample(channel=name) for name in ("same", "migrated", "widened")),
        sample(channel=None, sample=None, events=None, modifiers=None),
    ]

    found = parts(old, new, replace(POINT, patch="q"))

    assert [(c.id, c.part, c.change, c.old_events, c.new_events) for c in found] == [
        ("signal", "channel SR, signal", "events", 10.0, 12.0),
        ("signal", "channel VR, signal", "removed", 2.0, None),
        ("signal", "channel migrated, signal", "bins", 10.0, 10.0),
        ("signal", "channel widened, signal", "modifiers", 10.0, 10.0),
        ("signal", "measurements", "content", None, None),
        ("signal", "channel CR, signal", "added", None, 1.0),
    ]


def test_a_changed_workspace_is_told_once():
    old = [sample(patch=None, sample=None, events=50.0), sample()]
    new = [sample("v", patch=None, sample=None, events=51.0, bins="c"), sample("v")]

    before, after = (replace(OLD, samples=lambda found=found: tuple(found)) for found in (old, new))
    pairs = [(replace(POINT, id=name), replace(POINT, id=name, workspace="v")) for name in "ab"]

    assert part_changes(before, after, pairs) == [
        PartChange("a.toml", None, "SR", None, "events", 50.0, 51.0)
    ]
    assert part_changes(before, after, pairs)[0].part == "channel SR, observed data"


def test_the_same_inputs_have_no_changes():
    assert parts([sample()], [sample()], POINT) == []


def test_what_an_older_version_did_not_write_down_is_no_change():
    old = replace(OLD, specs=(replace(SPEC, settings={}),))
    new = replace(OLD, samples=lambda: (background(), sample()))
    unknown = replace(POINT, workspace=None, patch=None)

    assert differences(old, new, [(old.specs[0], SPEC)]) == []
    assert part_changes(old, new, [(unknown, POINT)]) == []
    assert part_changes(OLD, new, [(POINT, replace(POINT, patch="q"))]) == []
