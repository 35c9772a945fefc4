"""The summary of a job: failures first, nothing but text in its cells, within its limit."""

from __future__ import annotations

import html
import itertools
import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from reports import check, failed, point, report

from fitspec.report.job_summary import MAX_BYTES, to_markdown
from fitspec.results import STOPPED, RunReport


def rows(text: str) -> list[list[str]]:
    """Cells as a reader sees them, of all tables."""
    return [[html.unescape(cell.strip()) for cell in line[1:-1].split("|")] for line in lines(text)]


def lines(text: str) -> list[str]:
    """Of tables: their headers and rows."""
    return [line for line in text.splitlines() if re.match(r"\| (?!---)", line)]


def titles(text: str) -> list[str]:
    return re.findall(r"^(?:### |<summary>)(.*?)(?:</summary>)?$", text, re.MULTILINE)


LIMITS = {"upper_limit_obs": 2.54518, "upper_limit_exp": (0.699, 1.0116, 1.5728, 2.55549, 4.1)}


def limited(name: str) -> RunReport:
    plain = point(name, xsec_pb=0.01)
    return report(replace(plain, outcome=replace(plain.outcome, **LIMITS)))


def test_failures_come_first_and_what_passed_is_folded_away():
    checks = (check(), check("failed", "two"), check("xfailed", "three", reason="one digit"))
    run = report(point("one"), failed("two", "lost"), checks=checks)

    text = to_markdown(run)

    assert titles(text) == [
        "Failures", "Points without numbers", "Known differences (1)", "Passed (1)",
        "Hypothesis tests (1)",
    ]  # fmt: skip
    assert text.startswith("## fitspec: 1 point fitted, 1 failed, 1 passed, 1 xfailed, 1 error\n")
    assert text.count("<details>") == text.count("</details>") == 3
    assert text.index("two") < text.index("<details>")


def test_a_failure_is_a_row_with_its_numbers():
    text = to_markdown(report(point("one"), checks=(check("failed"),)))

    assert rows(text)[1] == [
        "<code>small.toml::one::CLs_obs</code> at mu = 1", "0.25", "0.24444", "0.022", "0.001",
        "Table 5",
    ]  # fmt: skip


def test_limits_are_listed_with_their_cross_sections():
    assert rows(to_markdown(limited("one")))[1] == [
        "<code>small.toml::one</code>", "2.545", "1.573 [1.012, 2.555]", "0.02545",
        "0.01573 [0.01012, 0.02555]",
    ]  # fmt: skip


def test_tests_say_what_is_excluded():
    [_, row] = rows(to_markdown(report(point("one"))))

    assert row == ["<code>small.toml::one</code>", "1", "0.2444", "0.3843 [0.1938, 0.6558]", ""]


@given(st.text(st.characters(exclude_categories=["C"]), min_size=1))
def test_any_text_is_one_cell_and_nothing_but_text(text: str):
    """A Markdown parser finds the table as it was meant, and in the cell the text as it was."""
    run = report(failed("one", text), checks=(check("failed", text, source=text),))

    tokens = MarkdownIt().enable(["table", "strikethrough"]).parse(to_markdown(run))

    assert sum(token.type == "td_open" for token in tokens) == 6 + 2
    cells = [after for at, after in itertools.pairwise(tokens) if at.type == "td_open"]
    for cell in (cells[5], cells[7]):
        assert {child.type for child in cell.children or ()} <= {"text", "text_special"}
        seen = "".join(child.content for child in cell.children or ())
        assert seen == " ".join(text.split())
        assert not re.search(r"://|@|\bwww\.", cell.content, re.IGNORECASE)  # GitHub links those


def test_what_a_stop_left_out_is_counted_and_not_listed():
    stopped, lost = failed("one", f"{STOPPED} 1"), failed("two", "lost")

    text = to_markdown(report(stopped, lost))

    assert "1 not computed" in text
    assert [row[0] for row in rows(text)[1:]] == ["<code>small.toml::two</code>"]


def test_half_a_character_is_no_error():
    assert "�" in to_markdown(report(failed("one", "\udce9")))


def test_a_large_report_is_cut_off_within_its_limit():
    checks = tuple(check(name=f"p{number}", source="x" * 100) for number in range(20_000))

    text = to_markdown(report(point("one"), checks=(check("failed", "bad"), *checks)))

    assert MAX_BYTES - 2000 < len(text.encode()) <= MAX_BYTES
    assert "::bad::" in html.unescape(text)
    more = re.search(r"^\.\.\. and (\d+) more$", text, re.MULTILINE)
    assert more
    assert int(more[1]) + text.count("x" * 100) == 20_000
    assert text.count("<details>") == text.count("</details>") == 1
    assert text.endswith("Hypothesis tests (1): no room to list them\n\n")


def test_what_earlier_steps_have_taken_is_left_to_them():
    checks = tuple(check("failed", f"p{number}") for number in range(100))
    for room in (-5, 0, 50, 500, 1500, 3000, 100_000):
        assert len(to_markdown(report(point("one"), checks=checks), room).encode()) <= max(room, 0)
