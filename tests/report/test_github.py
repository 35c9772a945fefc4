"""GitHub Actions: annotations where they belong, and no command that a stranger wrote."""

from __future__ import annotations

import contextlib
import re
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports import check, failed, missing, point, report

from fitspec.errors import InvalidSpecsError, SpecError, UsageError
from fitspec.report.github import (
    SHOWN,
    Annotation,
    annotate,
    harmless,
    no_commands,
    of_error,
    of_report,
)

COMMAND = re.compile(r"^::(?P<name>[^ :]+)(?: (?P<properties>[^:]*))?::(?P<message>.*)$")
"""As GitHub's runner reads a line, once it has cut off the blanks before it."""


@pytest.fixture
def workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A step of a workflow, in a folder of its checkout."""
    (tmp_path / "analyses").mkdir()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.chdir(tmp_path / "analyses")
    return tmp_path


def read(line: str) -> tuple[dict[str, str], str]:
    """What the runner makes of a command: properties and message."""
    found = COMMAND.match(line)
    assert found, line
    assert found["name"] == "error"
    pairs = (pair.split("=", 1) for pair in found["properties"].split(","))
    decoded = {key: unescaped(value, {"%3A": ":", "%2C": ","}) for key, value in pairs}
    return decoded, unescaped(found["message"], {})


def unescaped(text: str, more: dict[str, str]) -> str:
    for code, char in {**more, "%0D": "\r", "%0A": "\n", "%25": "%"}.items():
        text = text.replace(code, char)
    return text


def written(annotations: list[Annotation]) -> list[str]:
    stream = StringIO()
    annotate(annotations, stream)
    return stream.getvalue().splitlines()


def test_a_failed_check_is_told_at_its_expectation(workflow: Path):
    in_table = check("failed", "two", file="tables/a.csv", line=3)

    first, second = written(of_report(report(checks=(check("failed"), check(), in_table))))

    properties, message = read(first)
    assert properties == {
        "file": "analyses/small.toml", "line": "12", "title": "small.toml::one::CLs_obs",
    }  # fmt: skip
    assert message.startswith("CLs_obs at mu = 1: expected 0.25, found 0.24444\n")
    assert read(second)[0]["file"] == "analyses/tables/a.csv"
    assert read(second)[0]["line"] == "3"


@pytest.mark.usefixtures("workflow")
def test_a_point_without_numbers_is_told_once_and_one_not_computed_never():
    points = (failed("one", "lost"), failed("two", "not computed: interrupted"), point("three"))
    checks = (missing("one", "lost"), missing("two", "not computed: interrupted"))

    [line] = written(of_report(report(*points, checks=checks)))

    assert read(line) == ({"file": "analyses/small.toml", "title": "small.toml::one"}, "lost")


@pytest.mark.usefixtures("workflow")
def test_no_more_than_github_shows_are_written():
    checks = tuple(check("failed", f"p{number}") for number in range(25))

    lines = written(of_report(report(checks=checks)))

    assert len(lines) == SHOWN == 10
    assert read(lines[-1])[1] == "and 16 failures more: see the summary, or the log"
    assert len(written(of_report(report(checks=checks[:10])))) == 10
    assert "p9" in written(of_report(report(checks=checks[:10])))[-1]


@pytest.mark.usefixtures("workflow")
def test_an_invalid_specification_is_told_line_by_line():
    errors = (
        SpecError("unknown key", "a.toml", 3, "poi.tst", "did you mean 'test'?"),
        SpecError("not UTF-8 text", "b.toml"),
    )

    first, second = written(of_error(InvalidSpecsError(errors)))

    assert read(first) == (
        {"file": "analyses/a.toml", "line": "3", "title": "invalid specification"},
        "a.toml:3: poi.tst: unknown key; did you mean 'test'?",
    )
    assert "line" not in read(second)[0]
    assert written(of_error(errors[0])) == [first]
    assert read(written(of_error(UsageError("no such file")))[0]) == (
        {"title": "fitspec"}, "no such file",
    )  # fmt: skip


def test_outside_a_workflow_nothing_is_written(monkeypatch: pytest.MonkeyPatch):
    stream = StringIO()
    with no_commands(stream):
        annotate(of_report(report(checks=(check("failed"),))), stream)

    assert stream.getvalue() == ""
    assert harmless("##[add-mask]x") == "##[add-mask]x"


@pytest.mark.usefixtures("workflow")
def test_a_curated_specification_is_no_file_of_the_checkout():
    curated = check("failed", spec="@stau", file="@stau", line=12)

    assert read(str(of_report(report(checks=(curated,)))[0]))[0] == {"title": "@stau::one::CLs_obs"}


@pytest.mark.usefixtures("workflow")
def test_files_outside_the_checkout_keep_their_names(tmp_path_factory: pytest.TempPathFactory):
    elsewhere = str(tmp_path_factory.mktemp("elsewhere") / "a.toml")

    assert read(str(Annotation("m", "t", elsewhere, 1)))[0]["file"] == elsewhere


@pytest.mark.parametrize(
    "hostile",
    ["\n::add-mask::a", "\r\n::set-env name=a::b", "a,line=1", "::error::x", "%0A::x::", "%250A"],
)
def test_hostile_text_stays_text(hostile: str):
    line = str(Annotation(hostile, hostile, f"dir/{hostile}", 1))

    assert len(line.splitlines()) == 1
    properties, message = read(line)
    assert (properties["title"], message) == (hostile, hostile)
    assert properties["line"] == "1"


@given(st.text(), st.text(min_size=1))
def test_any_text_is_read_back_as_it_was(message: str, title: str):
    line = str(Annotation(message, title))

    assert "\n" not in line
    assert "\r" not in line
    assert read(line.replace("\n", " ")) == ({"title": title}, message)


@pytest.mark.usefixtures("workflow")
def test_between_stop_and_resume_no_text_is_a_command():
    outputs = []
    for _ in range(2):
        stream = StringIO()
        with contextlib.suppress(KeyError), no_commands(stream):
            stream.write("::add-mask::x\n")
            raise KeyError  # whatever happens
        outputs.append(stream.getvalue().splitlines())

    tokens = set()
    for stop, text, resume in outputs:
        token = stop.removeprefix("::stop-commands::")
        assert re.fullmatch("[0-9a-f]{32}", token)
        assert (text, resume) == ("::add-mask::x", f"::{token}::")
        tokens.add(token)
    assert len(tokens) == 2  # nobody can guess it
    assert harmless("error: ##[add-mask]x") == "error: ## [add-mask]x"
