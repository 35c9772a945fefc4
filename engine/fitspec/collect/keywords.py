"""The language of ``-k``: pytest's expressions over node ids, and over ``label=value``.

    expression: term ("or" term)*
    term:       factor ("and" factor)*
    factor:     "not" factor | "(" expression ")" | word

A word holds where it is part of the node id (case does not matter), or, as ``label=value``, where
the point has this label with this value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from fitspec.errors import UsageError
from fitspec.results import Label
from fitspec.sources.pattern import label_value

Matcher = Callable[[str, Mapping[str, Label]], bool]
"""From a node id and labels to whether the expression holds."""

_TOKEN = re.compile(r"\s*(?:(?P<paren>[()])|(?P<word>[^\s()]+))")


def compile_keywords(text: str) -> Matcher:
    """A matcher for an expression; an empty one holds everywhere.

    Raises:
        UsageError: the expression is malformed, with the column.
    """
    if not text.strip():
        return lambda node_id, labels: True  # noqa: ARG005
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        found = ((m, m.lastgroup or "") for m in _TOKEN.finditer(text))
        self._tokens = [(match[group], match.start(group)) for match, group in found]
        self._next = 0

    def parse(self) -> Matcher:
        matcher = self._expression()
        if self._next < len(self._tokens):
            raise self._error(f"unexpected {self._tokens[self._next][0]!r}")
        return matcher

    def _expression(self) -> Matcher:
        terms = [self._term()]
        while self._accept("or"):
            terms.append(self._term())
        return lambda node_id, labels: any(term(node_id, labels) for term in terms)

    def _term(self) -> Matcher:
        factors = [self._factor()]
        while self._accept("and"):
            factors.append(self._factor())
        return lambda node_id, labels: all(factor(node_id, labels) for factor in factors)

    def _factor(self) -> Matcher:
        if self._accept("not"):
            negated = self._factor()
            return lambda node_id, labels: not negated(node_id, labels)
        if self._accept("("):
            inner = self._expression()
            if not self._accept(")"):
                raise self._error("a parenthesis is not closed")
            return inner
        return self._word()

    def _word(self) -> Matcher:
        if self._next == len(self._tokens):
            raise self._error("the expression ends too early")
        word = self._tokens[self._next][0]
        if word in {"and", "or", ")"}:
            raise self._error(f"unexpected {word!r}")
        self._next += 1
        label, equals, value = word.partition("=")
        if equals:
            wanted = label_value(value)
            return lambda node_id, labels: label in labels and labels[label] == wanted  # noqa: ARG005
        return lambda node_id, labels: word.lower() in node_id.lower()  # noqa: ARG005

    def _accept(self, token: str) -> bool:
        if self._next < len(self._tokens) and self._tokens[self._next][0] == token:
            self._next += 1
            return True
        return False

    def _error(self, problem: str) -> UsageError:
        starts = [*(start for _, start in self._tokens), len(self._text)]
        column = starts[self._next] + 1
        return UsageError(
            f"-k {self._text!r}, column {column}: {problem}", "use words with and, or, not, ( )"
        )
