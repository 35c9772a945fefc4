"""What a user sees: on a terminal, in a file, quietly and verbosely."""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from fitspec.execute.pool import Traffic
from fitspec.outcome import Discovery, HypothesisTest, Outcome, Toys
from fitspec.report import TerminalReport
from fitspec.results import CheckResult, Combined, PointResult, RunReport, SpecRecord

ENVIRONMENT = {
    "fitspec": "0.1.0", "python": "3.11.7", "numpy": "2.4.6", "pyhf": "0.7.6",
    "backend": "pyhf (numpy, scipy)", "endpoint": "local", "workers": "2",
}  # fmt: skip
TEST = HypothesisTest(1.0, 0.24444, (0.09, 0.1938, 0.3843, 0.6558, 0.89), 0.1, 0.6, 1.5, 2.5)


def point(name: str, *tests: HypothesisTest, **changes) -> PointResult:
    outcome = Outcome("ok", tests=tests or (TEST,), mu_hat=0.1234, seconds=0.25)
    return PointResult("small.toml", name, {}, replace(outcome, **changes))


def failed(name: str, reason: str) -> PointResult:
    return PointResult("small.toml", name, {}, Outcome.failed(reason))


def check(outcome: str = "failed", **changes) -> CheckResult:
    plain = CheckResult(
        "small.toml", "one", "CLs_obs", 1.0, 0.25, 0.24444, 1e-3, 0.0, outcome, "Table 5"
    )
    return replace(plain, **changes)


def report(*points: PointResult, checks: tuple[CheckResult, ...] = (), **changes) -> RunReport:
    specs = (SpecRecord("small.toml", "0" * 64, "small"),)
    plain = RunReport(specs, ENVIRONMENT, points, (), checks, deselected=0, seconds=1.25)
    return replace(plain, **changes)


def shown(run: RunReport, verbosity: int = 0, *, terminal: bool = False, **more) -> str:
    """All that a run writes, without colours and cursor movements."""
    stream = StringIO()
    console = Console(file=stream, width=80, force_terminal=terminal, highlight=False)
    display = TerminalReport(console, verbosity, **more)
    display.started(
        len(run.points), len(run.checks), run.deselected, len(run.specs), run.environment
    )
    for settled in run.points:
        own = [check for check in run.checks if check.id == settled.id]
        display.settled([settled], own)
    display.finished(run)
    display.aborted()  # as the command line does in the end, whatever happened
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_the_header_says_what_runs_where():
    text = shown(report(point("one"), checks=(check(),), deselected=2))

    assert lines(text)[:4] == [
        "================================= fitspec run ==================================",
        "fitspec 0.1.0, Python 3.11.7, numpy 2.4.6, pyhf 0.7.6",
        "backend: pyhf (numpy, scipy); endpoint: local, 2 workers",
        "collected 1 point and 1 check from 1 specification, 2 points deselected",
    ]


def test_a_dot_a_point_and_the_share_that_is_done():
    text = shown(
        report(point("one"), point("two"), failed("three", "lost"), checks=(check(id="two"),))
    )

    assert f".FE{' ' * 69} [100%]" in lines(text)


def test_dots_are_broken_into_lines():
    text = shown(report(*(point(str(number)) for number in range(100))))

    assert f"{'.' * 72} [ 72%]" in lines(text)
    assert f"{'.' * 28}{' ' * 44} [100%]" in lines(text)


def test_dots_that_were_interrupted_end_their_line():
    stream = StringIO()
    display = TerminalReport(Console(file=stream, width=80))
    display.started(5, 0, 0, 1, ENVIRONMENT)
    display.settled([point("one")], [])
    display.settled([point("two")], [])

    display.aborted()

    assert stream.getvalue().endswith("\n..\n")


def test_the_results_are_one_line_a_point():
    excluded = replace(TEST, CLs_obs=0.0123456)

    text = shown(report(point("one"), point("two", excluded)))

    header, one, two = [line.split() for line in lines(text) if "0.3843 [" in line or "obs" in line]
    assert " ".join(header) == "point (mu = 1) CLs obs exp [-1, +1 sigma] mu_hat"
    assert one == ["one", "0.2444", "0.3843", "[0.1938,", "0.6558]", "0.123"]
    assert two == ["two", "0.01235", "0.3843", "[0.1938,", "0.6558]", "0.123", "excluded"]


def test_several_poi_values_have_a_column():
    text = shown(report(point("one", TEST, replace(TEST, mu=2.5))))

    rows = [line.split() for line in lines(text) if "0.3843 [" in line]
    assert [row[:2] for row in rows] == [["one", "1"], ["one", "2.5"]]
    assert "(mu =" not in text


LIMITS = {"upper_limit_obs": 2.54518, "upper_limit_exp": (0.699, 1.0116, 1.5728, 2.55549, 4.1)}


def test_limits_are_one_line_a_point():
    text = shown(report(point("one", **LIMITS), point("two")))
    verbose = shown(report(point("one", **LIMITS)), verbosity=1)

    header, one = [line.split() for line in lines(text) if "upper limit" in line or "2.545" in line]
    assert " ".join(header) == "point (upper limit) mu obs exp [-1, +1 sigma]"
    assert one == ["one", "2.545", "1.573", "[1.012,", "2.555]"]
    assert "limit obs 2.545, exp 1.573 (0.2 s)" in verbose


def test_limits_in_pb_stand_beside():
    text = shown(report(replace(point("one", **LIMITS), xsec_pb=0.01)))

    header, one = [line.split() for line in lines(text) if "upper limit" in line or "2.545" in line]
    assert header[-7:] == ["sigma]", "pb", "obs", "exp", "[-1,", "+1", "sigma]"]
    assert one[5:] == ["0.02545", "0.01573", "[0.01012,", "0.02555]"]


def test_a_long_scan_is_no_list():
    scan = [replace(TEST, mu=0.1 * i) for i in range(41)]

    text = shown(report(point("one", *scan, **LIMITS)))

    assert "2.545" in text
    assert "0.2444" not in text


DISCOVERY = Discovery(0.020182, (0.001, 0.0123, 0.0571, 0.2345, 0.4), 2.0512, 4.2074, 2.5)


def test_a_discovery_is_one_line_a_point():
    found = Outcome("ok", mu_hat=1.2345, discovery=DISCOVERY, seconds=0.25)

    text = shown(report(replace(point("one"), outcome=found)))
    verbose = shown(report(replace(point("one"), outcome=found)), verbosity=1)

    header, one = [line.split() for line in lines(text) if "mu_hat" in line or "0.0571 [" in line]
    title = "point (mu = 0) p0 exp [+1, -1 sigma] significance mu_hat"
    assert " ".join(header) == title
    assert one == ["one", "0.02018", "0.0571", "[0.0123,", "0.2345]", "2.05", "1.234"]
    assert "small.toml::one p0 0.02018 (0.2 s)" in lines(verbose)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.04562, 0.00123, "0.0456(12)"),
        (0.24444, 0.0306, "0.244(31)"),
        (0.0, 0.00035, "0.00000(35)"),
        (1.0, 0.099, "1.000(99)"),
        (0.5, 0.2, "0.50(20)"),
    ],
)
def test_toys_leave_an_uncertainty(value, error, text):
    toys = Toys(2000, 0, error, (error,) * 5, error, error)
    tested = point("one", replace(TEST, CLs_obs=value, toys=toys))
    found = Outcome("ok", mu_hat=1.0, discovery=replace(DISCOVERY, p0=value, toys=toys))
    discovered = replace(point("two"), outcome=found)

    for result in (tested, discovered):
        assert text in shown(report(result)).split()
        assert f" {text}" in shown(report(result), verbosity=1)


def test_a_significance_that_toys_cannot_tell_is_left_out():
    unknown = Outcome("ok", mu_hat=1.234, discovery=replace(DISCOVERY, p0=0.0, significance=None))

    text = shown(report(replace(point("one"), outcome=unknown)))

    [one] = [line.split() for line in lines(text) if "0.0571 [" in line]
    assert one == ["one", "0", "0.0571", "[0.0123,", "0.2345]", "1.234"]


def test_of_several_specifications_each_point_names_its_own():
    two = (SpecRecord("a.toml", "0" * 64, "a"), SpecRecord("b.toml", "0" * 64, "b"))

    text = shown(report(point("one"), specs=two))

    assert "small.toml::one" in text
    assert "from 2 specifications" in text


def test_long_names_cut_no_number_off():
    name = "A::C1N2_WZ_with_a_very_long_name_of_a_grid_point_600p0_300p5_hadronic"

    text = shown(report(point(name)))

    expected = [name, "0.2444", "0.3843", "[0.1938,", "0.6558]", "0.123"]
    assert expected in [line.split() for line in lines(text)]


def test_many_points_are_counted_not_listed():
    text = shown(report(*(point(f"number {n}") for n in range(21))))

    assert "number" not in text
    assert "21 points fitted in 1.2 s" in text


def test_a_note_on_all_points_of_a_specification_is_shown_once():
    specs = (SpecRecord("small.toml", "0" * 64, "small", ("no signal in 1 of 3 channels: CR",)),)

    text = shown(report(*(point(f"number {n}") for n in range(30)), specs=specs))

    assert lines(text).count("note: small.toml: no signal in 1 of 3 channels: CR") == 1
    assert "note" not in shown(report(point("one"), specs=specs), verbosity=-1)


def test_notes_are_shown():
    text = shown(report(point("one", notes=("the free fit was done again",))))

    assert "note: one: the free fit was done again" in lines(text)


def failures(text: str) -> list[str]:
    return lines(text[text.index(" FAILURES ") :])[1:]


def test_a_failed_check_shows_expected_actual_difference_and_source():
    text = shown(report(point("one"), checks=(check(),)))

    name, header, numbers, source, *_ = failures(text)
    assert name == "small.toml::one::CLs_obs at mu = 1"
    assert re.split(r"\s{2,}", header.strip()) == ["expected", "actual", "rel. diff.", "allowed"]
    assert numbers.split() == ["0.25", "0.24444", "0.022", "0.001"]
    assert source == "  source: Table 5"


def test_a_failed_band_has_a_row_a_sigma():
    band = (0.1, 0.2, 0.3, 0.4, 0.5)
    text = shown(
        report(
            point("one"),
            checks=(check(quantity="CLs_exp", expected=band, actual=(0.1, 0.2, 0.3, 0.4, 0.6)),),
        )
    )

    rows = [line.split() for line in failures(text) if "sigma" in line]
    assert [row[0] for row in rows] == ["-2", "-1", "+0", "+1", "+2"]
    assert rows[4] == ["+2", "sigma", "0.5", "0.6", "0.2", "0.001"]
    assert rows[0][2:5] == ["0.1", "0.1", "0"]


def test_a_band_that_is_known_in_part_has_rows_for_that():
    band = check(expected=(None, 0.2, 0.4, None, None), actual=(0.1, 0.2, 0.5, 0.6, 0.7))

    text = shown(report(point("one"), checks=(band,)))

    rows = [line.split() for line in lines(text) if "sigma " in line and "exp" not in line]
    assert [row[0] for row in rows] == ["-1", "+0"]


def test_a_failed_boolean_has_no_difference():
    text = shown(
        report(point("one"), checks=(check(quantity="excluded", expected=True, actual=False),))
    )

    assert ["True", "False"] in [line.split() for line in failures(text)]


def test_an_absolute_tolerance_is_shown():
    text = shown(report(point("one"), checks=(check(atol=0.001, expected=0.0),)))

    assert "0.001 + 0.001 abs." in text


def test_errors_of_one_reason_are_grouped():
    points = [failed(f"p{number}", "did not converge") for number in range(6)]

    text = shown(report(*points, failed("q", "lost")))

    errors = lines(text[text.index(" ERRORS ") :])[1:6]
    assert errors == [
        "small.toml::p0: did not converge",
        "small.toml::p1: did not converge",
        "small.toml::p2: did not converge",
        "... and 3 points more: did not converge",
        "small.toml::q: lost",
    ]
    assert "small.toml::p5: did not converge" in shown(report(*points), verbosity=1)


def test_a_long_reason_is_one_line():
    reason = "InferenceError: " + "the fit did not converge " * 8

    assert f"small.toml::one: {reason}".rstrip() in lines(shown(report(failed("one", reason))))


def test_the_choices_of_a_combination_are_counted():
    chosen = ["A::x", "B::y", "A::z"]
    combined = tuple(
        Combined("small.toml", name[3:], name, (f"A::{name[3:]}", f"B::{name[3:]}"), point(name))
        for name in chosen
    )

    text = shown(report(point("A::x"), combined=combined))

    assert "best expected case of 3 signals: A 2, B 1" in lines(text)


def test_the_last_line_sums_up():
    checks = tuple(check(outcome) for outcome in ("failed", "passed", "passed", "xfailed"))
    cached = replace(point("two"), cached=True)

    text = shown(report(point("one"), cached, failed("three", "lost"), checks=checks, deselected=4))

    assert lines(text)[-1].strip("= ") == (
        "2 points fitted (1 from the store), 1 failed, 2 passed, 1 xfailed, 1 error, "
        "4 deselected in 1.2 s"
    )


@pytest.mark.parametrize(("slowest", "listed"), [(0, 3), (2, 2), (9, 3)])
def test_the_slowest_points_are_listed_before_the_summary(slowest, listed):
    points = (point("one"), point("two", seconds=3.0), point("three", seconds=0.5))

    *_, rule, first, last = lines(shown(report(*points), -1, slowest=slowest))[-listed - 2 :][:3]

    assert rule.strip("= ") == f"slowest {slowest or ''} durations".replace("  ", " ")
    assert (first, last) == ("3.000s small.toml::two", "0.500s small.toml::three")


def test_a_selection_is_told_below_what_was_collected():
    text = lines(shown(report(point("one")), selection="--lf: 1 failure of the last run again"))

    assert text[3].startswith("collected 1 point")
    assert text[4:6] == ["--lf: 1 failure of the last run again", ""]


def test_an_interrupted_run_says_so_and_counts_what_is_missing():
    run = report(point("one"), failed("two", "not computed: interrupted"), interrupted=True)

    assert lines(shown(run))[-1].strip("= ") == (
        "interrupted: 1 point fitted, 1 not computed in 1.2 s"
    )


def test_quietly_only_failures_and_the_summary_are_shown():
    run = report(
        point("one", notes=("a note",)), failed("two", "lost"), checks=(check(), check("passed"))
    )

    text = shown(run, verbosity=-1)

    first, *_, last = lines(text)
    assert "ERRORS" in first
    assert "FAILURES" in text
    assert last.strip("= ") == "1 point fitted, 1 failed, 1 passed, 1 error in 1.2 s"
    for absent in ("fitspec run", "CLs obs", "a note", "[100%]"):
        assert absent not in text


def test_quietly_a_good_run_is_one_line():
    assert len(lines(shown(report(point("one")), verbosity=-1))) == 1


def test_verbosely_every_point_is_a_line():
    stored = replace(point("two"), cached=True)
    checks = (check("xfailed", reason="one digit"),)

    text = shown(report(point("one"), stored, failed("three", "lost"), checks=checks), verbosity=1)

    assert "small.toml::one mu = 1: CLs obs 0.2444, exp 0.3843 (0.2 s)" in lines(text)
    assert "small.toml::two mu = 1: CLs obs 0.2444, exp 0.3843 (stored)" in lines(text)
    assert "small.toml::three ERROR lost" in lines(text)
    assert "xfailed: small.toml::one::CLs_obs: one digit" in lines(text)
    assert "[100%]" not in text


@pytest.mark.parametrize("terminal", [False, True], ids=["file", "terminal"])
@pytest.mark.parametrize("verbosity", [-1, 0, 1])
def test_markup_in_names_is_printed_as_it_is(terminal, verbosity):
    odd = "[red]x[/red]"
    run = report(
        point(odd, notes=(f"{odd} note",)),
        failed("[bold]", f"{odd} reason"),
        checks=(check(id=odd, source=f"{odd} source"), check("xfailed", reason="[/]")),
    )

    text = shown(run, verbosity, terminal=terminal)

    assert f"small.toml::{odd}::CLs_obs" in text
    assert f"source: {odd} source" in text
    assert f"small.toml::[bold]: {odd} reason" in text
    assert (f"note: {odd}: {odd} note" in text) is (verbosity >= 0)


def test_a_terminal_has_a_bar_instead_of_dots():
    text = shown(report(point("one"), point("two")), terminal=True)

    assert "fits" in text
    assert "2/2" in text
    assert "[100%]" not in text
    assert "CLs obs" in text
    assert text.rstrip().splitlines()[-1].strip("= ") == "2 points fitted in 1.2 s"


def test_a_terminal_gets_its_cursor_back_after_an_error():
    stream = StringIO()
    display = TerminalReport(Console(file=stream, width=80, force_terminal=True))
    display.started(5, 0, 0, 1, ENVIRONMENT)
    assert stream.getvalue().count("\x1b[?25l") == 1  # hidden

    display.aborted()

    assert stream.getvalue().count("\x1b[?25h") == 1  # shown


def test_a_file_gets_no_escape_codes():
    stream = StringIO()
    display = TerminalReport(Console(file=stream, width=80))
    run = report(point("one"), checks=(check(),))
    display.started(1, 1, 0, 1, ENVIRONMENT)
    display.settled(run.points, run.checks)
    display.finished(run)

    assert "\x1b" not in stream.getvalue()


def test_points_not_computed_for_one_reason_are_one_line():
    lost = [failed(f"signal_{n}", "not computed: the endpoint closed") for n in range(54)]
    run = report(point("one"), failed("two", "did not converge"), *lost)

    text = lines(shown(run))

    start = next(n for n, line in enumerate(text) if "ERRORS" in line)
    assert text[start + 1 : start + 3] == [
        "small.toml::two: did not converge",
        "54 points not computed: the endpoint closed",
    ]
    assert "small.toml::signal_53: not computed: the endpoint closed" in lines(shown(run, 1))


def test_the_bar_tells_workers_and_chunks_in_flight():
    stream = StringIO()
    console = Console(file=stream, width=80, force_terminal=True, highlight=False)
    display = TerminalReport(console)
    display.started(5, 0, 0, 1, ENVIRONMENT)

    display.progressed(Traffic(waiting=3, in_flight=2, workers=1, resent=0))
    display.progressed(Traffic(waiting=0, in_flight=1, workers=12, resent=4))
    display.aborted()

    assert "12 workers, 1 chunk in flight, 4 sent again" in stream.getvalue()


def test_new_workers_and_lost_chunks_are_lines_of_the_verbose():
    def told(verbosity: int) -> list[str]:
        stream = StringIO()
        display = TerminalReport(Console(file=stream, width=80), verbosity)
        display.started(5, 0, 0, 1, ENVIRONMENT)
        start = stream.tell()
        for traffic in [(5, 0, 0, 0), (3, 2, 1, 0), (2, 2, 1, 0), (1, 2, 2, 0), (0, 2, 2, 1)]:
            display.progressed(Traffic(*traffic))
        return stream.getvalue()[start:].splitlines()

    assert told(0) == []
    assert told(1) == [
        "1 worker, 2 chunks in flight, 3 points waiting",
        "2 workers, 2 chunks in flight, 1 point waiting",
        "2 workers, 2 chunks in flight, 1 sent again, 0 points waiting",
    ]


@pytest.mark.parametrize("verbosity", [-1, 0, 1])
def test_a_warning_is_a_line_of_its_own(verbosity):
    stream = StringIO()
    display = TerminalReport(Console(file=stream, width=80), verbosity)
    display.started(2, 0, 0, 1, ENVIRONMENT)
    display.settled([point("one")], [])

    display.warned("the result store cannot be written")
    display.settled([point("two")], [])
    display.aborted()

    assert "warning: the result store cannot be written" in lines(stream.getvalue())
