"""What moved, as text and as JSON."""

from __future__ import annotations

import io
import json

from rich.console import Console

from fitspec.drift import Change, Difference, Drift, PartChange, Shift, Tolerance
from fitspec.report.drift import drift_json, print_drift

SHIFT = Shift("a.toml", "one", "CLs_obs", 1.0, None, 0.06, 0.04, -0.02, -0.33, -0.5, "excluded")
BAND = [
    Shift("a.toml", "one", "CLs_exp", 1.0, sigma, 0.1, 0.2, 0.1, 1.0, 0.4, None)
    for sigma in (0, -2, 2)
]
DRIFT = Drift(
    shifts=(SHIFT, *BAND, Shift("a.toml", "two", "mu_hat", None, None, 0, 1, 1, None, None, None)),
    changes=(
        Change("a.toml", "three", "point", "there", None),
        Change("a.toml", "one", "quantity", None, "upper_limit_obs"),
        Change("a.toml", "two", "status", "ok", "error: lost"),
    ),
    differences=(
        Difference(None, "environment.numpy", "2.0", "2.1"),
        Difference("a.toml", "settings.poi.test", [1.0], None),
        Difference("a.toml", "sha256", "ab" * 32, "cd" * 32),
    ),
    parts=(
        *(
            PartChange("a.toml", name, "SR", "signal", "events", 10.0, 12.0)
            for name in ("one", "two", "three", "four")
        ),
        PartChange("a.toml", None, "CR", None, "bins", 5.0, 5.0),
        PartChange("a.toml", None, None, None, "content", None, None),
    ),
    points=7,
)
STILL = Drift((), (), (), (), 7)


def shown(drift: Drift, **options) -> list[str]:
    file = io.StringIO()
    print_drift(Console(file=file, width=80, soft_wrap=True), drift, **options)
    return [" ".join(line.split()) for line in file.getvalue().splitlines()]


def test_causes_come_first_then_what_moved():
    lines = shown(DRIFT)

    assert [line.strip("- ") for line in lines if line.startswith("---")] == [
        "different runs", "changed inputs", "changed results", "moved numbers"
    ]  # fmt: skip
    for line in (
        "environment.numpy 2.0 -> 2.1",
        "a.toml settings.poi.test [1.0] -> none",
        "a.toml sha256 abababababab... -> cdcdcdcdcdcd...",
        "channel SR, signal events 10 -> 12 events one, two and 2 more",
        "channel CR, observed data bins 5 events workspace of a.toml",
        "measurements content workspace of a.toml",
        "three is gone",
        "one upper_limit_obs is new",
        "two status ok -> error: lost",
        "point quantity old new rel. diff. band sigmas",
        "one CLs_obs at mu = 1 0.06 0.04 -0.33 -0.5 now excluded",
        "two mu_hat 0 1",
    ):
        assert line in lines
    assert lines[-1].strip("= ") == (
        "7 points compared, 2 moved, exclusions of 1 flipped, 3 other changes"
    )


def test_a_band_has_one_row_that_of_what_matters_most():
    assert [line for line in shown(DRIFT) if "CLs_exp" in line] == [
        "one CLs_exp (+0 sigma) at mu = 1 0.1 0.2 +1 +0.4"
    ]


def test_nothing_moved_is_one_line():
    [line] = shown(STILL)

    assert line.strip("= ") == "7 points compared, nothing moved"


def test_long_lists_are_cut_unless_everything_is_asked_for():
    changes = tuple(Change("a.toml", f"p{i}", "point", "there", None) for i in range(25))
    drift = Drift((), changes, (), (), 0)

    assert "... and 5 more; -v shows them, --json has them" in shown(drift)
    assert "p24 is gone" in shown(drift, everything=True)
    assert "p24 is gone" not in shown(drift)


def test_json_has_flat_lists_of_everything():
    content = json.loads(drift_json(DRIFT, "old.json", "new.json", Tolerance(1e-2, 0.0)))

    assert (content["schema"], content["old"], content["new"]) == (1, "old.json", "new.json")
    assert (content["rtol"], content["atol"]) == (1e-2, 0.0)
    assert (content["points"], content["moved"]) == (7, True)
    sizes = {key: len(value) for key, value in content.items() if isinstance(value, list)}
    assert sizes == {"shifts": 5, "changes": 3, "differences": 3, "parts": 6}
    assert content["shifts"][0] == {
        "spec": "a.toml", "id": "one", "quantity": "CLs_obs", "mu": 1.0, "sigma": None,
        "old": 0.06, "new": 0.04, "difference": -0.02, "relative": -0.33, "sigmas": -0.5,
        "flipped": "excluded",
    }  # fmt: skip
