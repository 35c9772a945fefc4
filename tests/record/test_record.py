"""From a run to a specification that expects what was measured, and passes."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from fitspec.collect import collect
from fitspec.errors import SourceError, SpecError, UsageError
from fitspec.record import make_recording, require_table, write
from fitspec.results import RunReport
from fitspec.session import Settings, run
from fitspec.spec import load_spec

SOURCE = "recorded by fitspec 0.1.0, native backend, 2026-11-25"
LIMITS = "\n[poi]\ntest = [1.0, 2.0]   # both\nupper_limit = 0.95\n"
TOYS = '\n[inference]\ncalculator = "toys"\ntoys = 100\n'


@pytest.fixture
def path(analysis: Path) -> Path:
    return analysis / "small.toml"


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def report_of(keywords: str = "") -> RunReport:
    return run(["small.toml"], replace(Settings.from_config(), keywords=keywords, workers=1))


def record(table: str | None = None, keywords: str = "", source: str = SOURCE):
    """Runs and records; returns the recording."""
    spec = load_spec(Path("small.toml"))
    access = Settings.from_config().access
    expectations = collect([spec], access, keywords).expectations
    recording = make_recording(spec, expectations, report_of(keywords))
    if not recording.empty:
        write(spec, recording, table, source, access)
    return recording


@pytest.mark.parametrize("asked", ["", LIMITS, TOYS], ids=["CLs", "limits", "toys"])
@pytest.mark.parametrize("table", [None, "recorded.csv"])
def test_what_is_recorded_passes_and_recording_again_changes_nothing(path, asked, table):
    append(path, asked)
    before = path.read_text()

    recording = record(table)

    assert path.read_text().startswith(before)
    report = report_of()
    assert report.ok
    # of each point: CLs_obs and CLs_exp at every mu, mu_hat, and limits
    quantities = 2 * 2 + 1 + 2 if asked == LIMITS else 2 + 1
    assert report.count("passed") == len(recording.additions) == 4 * quantities
    assert {check.source for check in report.checks} == {SOURCE}
    after = {file: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
    assert record(table).empty
    assert {file: file.read_bytes() for file in path.parent.iterdir() if file.is_file()} == after


def test_a_selection_is_recorded_and_the_rest_can_follow(path):
    record(keywords="mass=100")
    assert report_of().count("passed") == 2 * 3

    record()

    assert report_of().count("passed") == 4 * 3


def test_tables_grow_row_by_row(path):
    record("recorded.csv", "mass=100")
    table = path.parent / "recorded.csv"
    table.write_text(table.read_text().replace("# Written", "# For the thesis.\n# Written"))
    first = table.read_text()

    record("recorded.csv", source=SOURCE.replace("25", "26"))

    assert table.read_text().startswith(first)
    assert len(table.read_text().splitlines()) == 2 + 1 + 4 * 2
    assert path.read_text().count("[[expect]]") == 1
    assert path.read_text().endswith('2026-11-26"\n')
    assert report_of().count("passed") == 4 * 3


BLOCK = """
# the light one
[[expect]]
point = "signal_100_1"   # the point
CLs_obs = 0.5            # wrong
# rtol is the default

# the heavy one
[[expect]]
point = "signal_200_1"
CLs_obs = 0.5
excluded = false
source = "paper"
"""


def test_a_block_all_of_whose_values_change_keeps_its_place_and_comments(path):
    append(path, BLOCK)

    recording = record(keywords="mass=100 and width=1")

    assert len(recording.replacements) == 1
    lines = path.read_text().splitlines()
    at = lines.index("# the light one")
    assert lines[at + 1] == "[[expect]]"
    assert lines[at + 2] == 'point = "signal_100_1"   # the point'
    block = [line for line in lines[at + 3 : lines.index("# the heavy one")] if line]
    assert block[:2] == ["rtol = 0.001", f'source = "{SOURCE}"']
    assert re.fullmatch(r"CLs_obs = 0\.\d+ +# wrong", block[2])
    assert block[3] == "# rtol is the default"
    assert report_of("mass=100 and width=1").ok


def test_a_block_of_which_some_values_change_keeps_the_others_and_their_source(path):
    append(path, BLOCK)

    record(keywords="mass=200 and width=1")

    blocks = tomllib.loads(path.read_text())["expect"]
    assert blocks[1] == {"point": "signal_200_1", "excluded": False, "source": "paper"}
    own = [b for b in blocks if b["point"] == "signal_200_1" and b["source"] == SOURCE]
    assert {key for b in own for key in b} >= {"CLs_obs", "CLs_exp", "mu_hat"}
    assert report_of("mass=200 and width=1").ok


def test_a_recorded_value_that_moved_is_replaced_where_it_stands(path):
    record()
    before = path.read_text()
    wrong = re.sub(r"(signal_200_2\"\nCLs_obs = )[\d.]+", r"\g<1>0.5", before)
    assert wrong != before
    path.write_text(wrong)

    recording = record()

    assert [r.new.identity for r in recording.replacements] == [("signal_200_2", "CLs_obs", 1.0)]
    assert report_of().ok
    assert record().empty


def test_a_recorded_table_is_corrected_where_it_stands(path):
    record("recorded.csv")
    table = path.parent / "recorded.csv"
    good = table.read_text()
    row = next(line for line in good.splitlines() if line.startswith("signal_100_2,"))
    name, _, rest = row.split(",", 2)
    table.write_text(good.replace(row, f"{name},0.9,{rest}"))

    recording = record()  # without naming the table

    assert len(recording.replacements) == 1
    assert table.read_text() == good
    assert report_of().ok


def test_wide_published_values_get_a_recorded_one_beside_them(path):
    append(path, '[[expect]]\npoint = "signal_100_1"\nCLs_obs = 0.3\nrtol = 10.0\n')

    recording = record(keywords="mass=100 and width=1")

    assert {m.quantity for m in recording.additions} == {"CLs_obs", "CLs_exp", "mu_hat"}
    assert tomllib.loads(path.read_text())["expect"][0]["CLs_obs"] == 0.3


def test_known_differences_stay_and_the_measured_value_is_recorded(path):
    append(path, '[[expect]]\npoint = "signal_100_1"\nCLs_obs = 0.99\nxfail = "a typo there"\n')

    recording = record(keywords="mass=100 and width=1")

    assert not recording.replacements
    assert "CLs_obs" in {m.quantity for m in recording.additions}
    assert report_of("mass=100 and width=1").count("xfailed") == 1


def test_a_table_of_others_is_left_as_it_is(path):
    table = path.parent / "published.csv"
    table.write_text("mass,width,CLs_obs\n100,1,0.99\n")
    append(path, '[[expect]]\ntable = "published.csv"\nsource = "paper"\n')

    recording = record(keywords="mass=100 and width=1")

    assert [(c.id, c.quantity, c.source) for c in recording.left] == [
        ("signal_100_1", "CLs_obs", "paper")
    ]
    assert {m.quantity for m in recording.additions} == {"CLs_exp", "mu_hat"}
    assert table.read_text().endswith("0.99\n")


def test_a_block_of_several_points_is_left_as_it_is(path):
    text = path.read_text().replace("[workspace]", '[parametrize]\nregion = ["A"]\n[workspace]')
    block = '[[expect]]\npoint = "{region}::signal_100_1"\nCLs_obs = 0.99\n'
    path.write_text(text + block)

    recording = record(keywords="mass=100 and width=1")

    assert [(c.id, c.quantity) for c in recording.left] == [("A::signal_100_1", "CLs_obs")]
    assert recording.replacements == ()
    assert block in path.read_text()


def test_inline_arrays_of_expectations_stay_so(path):
    text = path.read_text().replace("[analysis]", "{}\n[analysis]", 1)
    path.write_text(
        text.replace("{}", 'expect = [{ point = "signal_100_1", CLs_obs = 0.5 }]  # one')
    )

    record(keywords="mass=100 and width=1")

    assert "# one" in path.read_text()
    assert "[[expect]]" not in path.read_text()
    assert report_of("mass=100 and width=1").ok


def test_points_without_numbers_are_not_recorded(path):
    (path.parent / "patch.signal_100_1.json").write_text('[{"op": "remove", "path": "/nope"}]')

    recording = record()

    assert [point.id for point in recording.failed] == ["signal_100_1"]
    assert len(recording.additions) == 3 * 3
    assert "signal_100_1" not in path.read_text()


def test_a_specification_that_was_changed_meanwhile_is_refused(path):
    spec, access = load_spec(Path("small.toml")), Settings.from_config().access
    recording = make_recording(spec, (), report_of())
    append(path, "# edited\n")

    for table in (None, "recorded.csv"):
        with pytest.raises(UsageError, match="was changed while it was run"):
            write(spec, recording, table, SOURCE, access)

    assert path.read_text().endswith("# edited\n")
    assert not (path.parent / "recorded.csv").exists()
    assert not list(path.parent.glob(".*"))


def test_a_specification_that_would_not_be_valid_is_not_written(path):
    spec, access = load_spec(Path("small.toml")), Settings.from_config().access
    recording = make_recording(spec, (), report_of())
    before = path.read_text()
    (path.parent / "patch.signal_100_1.json").rename(path.parent / "gone.json")

    for table in (None, "recorded.csv"):
        with pytest.raises(SpecError, match="signal_100_1"):
            write(spec, recording, table, SOURCE, access)

    assert path.read_text() == before
    assert not (path.parent / "recorded.csv").exists()
    assert not list(path.parent.glob(".*"))


def test_line_ends_stay_those_of_the_editor(path):
    path.write_bytes((path.read_text() + BLOCK).replace("\n", "\r\n").encode())

    record()

    content = path.read_bytes()
    assert content.count(b"\r\n") == content.count(b"\n")
    assert report_of().ok


def test_blocks_in_the_middle_keep_their_comments(path):
    path.write_text(
        BLOCK.join(path.read_text().split("[workspace]")).replace(
            BLOCK, f"{BLOCK}\n# where\n[workspace]"
        )
    )
    record(keywords="mass=100")
    path.write_text(re.sub(r"CLs_obs = 0[.]\d+", "CLs_obs = 0.5", path.read_text()))

    record()

    text = path.read_text()
    assert report_of().ok
    assert record().empty
    for comment in ("# the light one", "# the point", "# wrong", "# the heavy one", "# where"):
        assert text.count(comment) == 1


def test_the_mode_of_a_file_stays(path):
    path.chmod(0o640)

    record(keywords="mass=100")

    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("/tmp/x.csv", "is no CSV file beside the specification"),
        ("x.txt", "is no CSV file beside the specification"),
        ("no/x.csv", "there is no such folder"),
        ("there.csv", "is there already, and was not recorded for small.toml"),
    ],
)
def test_not_every_table_can_be_recorded_into(path, table, message):
    (path.parent / "there.csv").write_text("mass,CLs_obs\n")

    with pytest.raises(UsageError, match=message):
        require_table(load_spec(Path("small.toml")), table)


def test_a_recorded_table_that_was_spoilt_is_refused(path):
    record("recorded.csv")
    table = path.parent / "recorded.csv"
    comment, header, first, *rows = table.read_text().splitlines()
    name, _, rest = first.split(",", 2)
    lines = [comment, header, f"{name},0.9,{rest}", *rows]
    table.write_text("\n".join(line.rsplit(",", 1)[0] for line in lines))  # without atol

    with pytest.raises(SourceError, match=r"'recorded\.csv' is not as it was recorded"):
        record()
