from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from fitspec.spec.locate import KeyPath, key_lines, line_of

HARD = {
    "brackets, hashes and braces in strings": (
        'a = "]] # } ["\nb = \'[[c]] # = "\'\nd = ["]", "#"]\n',
        {("a",): 1, ("b",): 2, ("d",): 3, ("d", 0): 3, ("d", 1): 3},
    ),
    "a document within a string": (
        'a = """\n[b]\nc = 1 # \\""" ]]\n"""\nd = 1\n',
        {("a",): 1, ("d",): 5},
    ),
    "a multi-line string that ends in quotes": (
        'a = """"two"""""\nb = \'\'\'\'two\'\'\'\'\'\nc = ""\nd = """"""\n',
        {("a",): 1, ("b",): 2, ("c",): 3, ("d",): 4},
    ),
    "a multi-line string that ends in a backslash": (
        "a = '''C:\\'''\nb = \"\"\"x\\\\\"\"\"\nc = 'C:\\'\n",
        {("a",): 1, ("b",): 2, ("c",): 3},
    ),
    "keys with quotes, dots and escapes": (
        '"a.b" = 1\n\'c"d\' = 2\n"e\\"f" = 3\n"\\u00e9\\t" = 4\n"\\U0001F600" = 5\n"" = 6\n',
        {("a.b",): 1, ('c"d',): 2, ('e"f',): 3, ("é\t",): 4, ("😀",): 5, ("",): 6},
    ),
    "dotted keys with blanks": (
        'a . b . "c.d" = 1\n[ e . f ]\ng = 1\n',
        {("a",): 1, ("a", "b"): 1, ("a", "b", "c.d"): 1,
         ("e",): 2, ("e", "f"): 2, ("e", "f", "g"): 3},
    ),
    "an array over several lines, with comments": (
        "a = [ # ]\n  1, # one\n\n  [2,\n  3],\n  {b = 4},\n]\nc = 5\n",
        {("a",): 1, ("a", 0): 2, ("a", 1): 4, ("a", 1, 0): 4, ("a", 1, 1): 5,
         ("a", 2): 6, ("a", 2, "b"): 6, ("c",): 8},
    ),
    "an inline table around a string of several lines": (
        'a = {b = """\n}\n""", c.d = 1}\ne = 1\n',
        {("a",): 1, ("a", "b"): 1, ("a", "c"): 3, ("a", "c", "d"): 3, ("e",): 4},
    ),
    "tables inside arrays of tables": (
        "[[a]]\nb = 1\n[[a.c]]\nd = 1\n[[a.c]]\n[a.c.e]\n[[a]]\n[[a.c]]\nd = 2\n",
        {("a",): 1, ("a", 0): 1, ("a", 0, "b"): 2,
         ("a", 0, "c"): 3, ("a", 0, "c", 0): 3, ("a", 0, "c", 0, "d"): 4,
         ("a", 0, "c", 1): 5, ("a", 0, "c", 1, "e"): 6,
         ("a", 1): 7, ("a", 1, "c"): 8, ("a", 1, "c", 0): 8, ("a", 1, "c", 0, "d"): 9},
    ),
    "a table that only its sub-tables name": (
        "# nothing\n\n[a.b]\nc = 1\n[[d.e]]\n",
        {("a",): 3, ("a", "b"): 3, ("a", "b", "c"): 4,
         ("d",): 5, ("d", "e"): 5, ("d", "e", 0): 5},
    ),
    "values of every other kind": (
        "a = 1979-05-27 07:32:00Z # ]\nb = [+inf, -1e-3, 0xff, true]\nc = 07:32:00\n",
        {("a",): 1, ("b",): 2, ("b", 0): 2, ("b", 1): 2, ("b", 2): 2, ("b", 3): 2, ("c",): 3},
    ),
    "no end of line at the end": ("a = 1\nb = 2", {("a",): 1, ("b",): 2}),
    "nothing": ("", {}),
    "nothing but a comment": ("  # [a]", {}),
}  # fmt: skip


@pytest.mark.parametrize(("text", "lines"), HARD.values(), ids=HARD)
def test_hard_cases_are_located(text: str, lines: dict[KeyPath, int]) -> None:
    assert {path for path, _ in items(tomllib.loads(text))} == set(lines)
    assert key_lines(text) == lines


@pytest.mark.parametrize("text", ["a = 1\n= 2", "a 1", "[a"])
def test_what_is_no_toml_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="not TOML"):
        key_lines(text)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A TOML document in which every key and every scalar holds a number of its own."""
    serial = itertools.count(1000)

    def unique(*templates: str) -> str:
        return draw(st.sampled_from(templates)).replace("0", str(next(serial)))

    def key() -> str:
        return unique("0", "key_0", "a b 0", "0.x", "]]0", '"0"', "'0", "#0=", "é\\0", "\t0")

    def string() -> Any:
        text = unique("0", "0]]", "#0", '"0"', "{0 = [", "0\n[fake]\nfake = 'x\n\"", "0\\\n'''\n")
        if draw(st.booleans()):
            return tomlkit.string(text, multiline="\n" in text)
        literal = "'" not in text
        return tomlkit.string(text, literal=literal, multiline=literal and "\n" in text)

    def array(depth: int) -> Any:
        items = tomlkit.array()
        for _ in range(draw(st.integers(0, 3))):
            if draw(st.booleans()):
                items.add_line(value(depth), comment=draw(st.sampled_from(["", "] # [", "'"])))
            else:
                items.append(value(depth))
        return items

    def inline_table(depth: int) -> Any:
        made = tomlkit.inline_table()
        for _ in range(draw(st.integers(0, 2))):
            made.add(key(), value(depth))
        return made

    def value(depth: int) -> Any:
        kinds = [string, lambda: int(unique("0")), lambda: float(unique("0.5"))]
        if depth:
            kinds += [lambda: array(depth - 1), lambda: inline_table(depth - 1)]
        return draw(st.sampled_from(kinds))()

    def fill(made: Any) -> Any:
        made.add(tomlkit.comment("[no.table] # = '''"))
        for _ in range(draw(st.integers(0, 3))):
            dotted = draw(st.booleans())
            made.add(tomlkit.key([key(), key()] if dotted else key()), value(depth=2))
        return made

    def tables(depth: int) -> Any:
        if draw(st.booleans()):
            several = tomlkit.aot()
            for _ in range(draw(st.integers(1, 3))):
                several.append(nest(fill(tomlkit.table()), depth))
            return several
        if depth and draw(st.booleans()):
            return nest(tomlkit.table(is_super_table=True), depth)
        return nest(fill(tomlkit.table()), depth)

    def nest(made: Any, depth: int) -> Any:
        for _ in range(draw(st.integers(0, 2)) if depth else 0):
            made.add(key(), tables(depth - 1))
        return made

    return nest(fill(tomlkit.document()), depth=3).as_string()


def items(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """All keys and array elements of a document with their paths, as tomllib reads it."""
    for part, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, part), item
        if isinstance(item, dict | list):
            yield from items(item, (*path, part))


def expected_on_line(path: KeyPath, value: Any) -> str:
    if isinstance(path[-1], str):
        value = path[-1]
    elif isinstance(value, dict | list):
        return r"\[|\{"
    return re.search(r"\d{4}", str(value)).group()


@settings(deadline=None)
@given(documents())
def test_every_key_and_element_is_found_on_its_line(text: str) -> None:
    lines = key_lines(text)
    located = dict(items(tomllib.loads(text)))
    assert set(lines) == set(located)
    for path, value in located.items():
        assert re.search(expected_on_line(path, value), text.split("\n")[lines[path] - 1])


@settings(deadline=None)
@given(documents())
def test_keys_and_elements_are_found_in_their_order(text: str) -> None:
    lines = key_lines(text)
    found = [lines[path] for path, _ in items(tomllib.loads(text))]
    assert found == sorted(found)


@settings(deadline=None)
@given(documents())
def test_the_ends_of_lines_make_no_difference(text: str) -> None:
    assert key_lines(text.replace("\n", "\r\n")) == key_lines(text)


def test_a_key_that_is_not_written_out_is_where_its_table_is():
    lines = key_lines("a = 1\n[b]\nc = 2\n")

    assert line_of(("b", "c"), lines) == 3
    assert line_of(("b", "d", 0), lines) == 2
    assert line_of(("x",), lines) == 1
