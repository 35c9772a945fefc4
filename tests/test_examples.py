"""The examples are what their scripts say, and the curated specifications what was published."""

from __future__ import annotations

import csv
import json
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fitspec.session import Settings, run
from fitspec.sources import read_cross_sections
from fitspec.spec import find_specs

ROOT = Path(__file__).resolve().parents[1]
QUICKSTART = ROOT / "examples" / "quickstart"
FITSPECS = ROOT / "fitspecs"


def rows(path: Path) -> list[dict[str, str]]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


def test_the_quickstart_is_what_its_script_makes(tmp_path: Path) -> None:
    script = runpy.run_path(str(ROOT / "examples" / "make_quickstart.py"))
    script["main"](tmp_path)
    for name in ("background.json", "patchset.json"):
        assert json.loads((tmp_path / name).read_text()) == json.loads(
            (QUICKSTART / name).read_text()
        )
    made, kept = rows(tmp_path / "expected.csv"), rows(QUICKSTART / "expected.csv")
    assert len(made) == len(kept) == 9
    for new, old in zip(made, kept, strict=True):
        assert [float(v) for v in new.values()] == pytest.approx(
            [float(v) for v in old.values()], rel=1e-4
        )


def test_the_reinterpretation_is_what_its_script_makes(tmp_path: Path) -> None:
    script = runpy.run_path(str(ROOT / "examples" / "make_reinterpretation.py"))
    script["main"](tmp_path)
    made = rows(tmp_path / "expected.csv")
    kept = rows(ROOT / "examples" / "reinterpretation" / "expected.csv")
    assert len(made) == len(kept) == 3
    for new, old in zip(made, kept, strict=True):
        assert [float(v) for v in new.values()] == pytest.approx(
            [float(v) for v in old.values()], rel=1e-4
        )


def test_the_reinterpretation_meets_its_expectations(tmp_path: Path) -> None:
    settings = replace(Settings.from_config(), results=tmp_path / "results", workers=1)
    report = run([str(ROOT / "examples" / "reinterpretation.toml")], settings)
    assert report.ok
    assert report.count("passed") == 6
    assert report.specs[0].notes == (
        "quickstart/background.json: no signal in 1 of 3 channels: CR_top",
    )
    assert [point.outcome.tests[0].excluded() for point in report.points] == [True, False, False]


def test_every_shipped_specification_is_valid() -> None:
    names = {
        spec.path.name for spec in find_specs([str(ROOT / "fitspecs"), str(ROOT / "examples")])
    }
    assert names == {
        "1Lbb.toml", "quickstart.toml", "reinterpretation.toml", "sbottom.toml", "stau.toml",
        "sbottom-limits.toml", "stau-discovery.toml", "stau-discovery-toys.toml",
    }  # fmt: skip


@pytest.mark.data
def test_the_curated_values_are_the_published_ones(mirror: Path) -> None:
    published = {row["point"]: row for row in rows(mirror / "published" / "hypotest.csv")}
    ours = {
        f"sbottom_{row['m_sbottom']}_{row['m_N2']}_{row['m_N1']}": row
        for row in rows(ROOT / "fitspecs" / "published" / "sbottom-hypotest.csv")
    } | {
        f"C1N2_Wh_hbb_{row['m_C1N2']}_{row['m_N1']}": row
        for row in rows(ROOT / "fitspecs" / "published" / "1Lbb-hypotest.csv")
    }
    assert ours.keys() == published.keys()
    for point, row in ours.items():
        values = {name: value for name, value in row.items() if name.startswith("CLs")}
        assert values == {name: published[point][name] for name in values}
        assert row.get("region", "") in published[point]["workspace"]


@pytest.mark.data
@pytest.mark.parametrize(
    ("analysis", "labels", "elsewhere"),
    [
        ("1Lbb", ("m_C1N2", "m_N1"), {("225", "75"), ("300", "100")}),
        ("stau", ("m_stau", "m_N1"), set()),
        (
            "sbottom",
            ("m_sbottom", "m_N2", "m_N1"),
            # region A has no patch for two, and no limit for the third
            {("1400", "730", "600"), ("1600", "650", "60"), ("700", "680", "550")},
        ),
    ],
)
def test_the_curated_limits_are_the_published_ones(
    analysis: str, labels: tuple[str, ...], elsewhere: set[tuple[str, ...]], mirror: Path
) -> None:
    def limits(folder: Path, column: str) -> dict[tuple[str, ...], float]:
        tables = sorted((folder / "published").glob(f"{analysis}-upper-limits*.csv"))
        return {
            tuple(row[label] for label in labels): float(row[column])
            for table in tables
            for row in rows(table)
        }

    published, ours = limits(mirror, "obs_xsec_ul_pb"), limits(FITSPECS, "upper_limit_xsec_obs")
    assert ours == {key: value for key, value in published.items() if key not in elsewhere}
    assert len(published) == len(ours) + len(elsewhere)


@pytest.mark.data
@pytest.mark.parametrize(
    ("table", "label"), [("sbottom", "m_sbottom"), ("stau-LR", "m_stau"), ("wino-C1N2", "m_C1N2")]
)
def test_the_curated_cross_sections_are_the_published_ones(
    table: str, label: str, mirror: Path
) -> None:
    ours, published = (
        read_cross_sections(folder / "cross-sections" / f"{table}.csv", label)
        for folder in (FITSPECS, mirror)
    )
    assert ours == published


def test_the_documented_script_runs(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "python.md").read_text()
    script = tmp_path / "script.py"
    script.write_text(text.split("```python\n")[1].split("```")[0])
    done = subprocess.run([sys.executable, script], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    name, cls = done.stdout.splitlines()[0].split()
    assert name == "signal_400_0"
    assert float(cls) == pytest.approx(0.01716, abs=1e-5)
    assert done.stdout.splitlines()[1] == "True"
