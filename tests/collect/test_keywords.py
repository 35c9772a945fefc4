"""``-k``: a boolean algebra over words and labels, pytest's own for plain words."""

from __future__ import annotations

import pytest
from _pytest.mark.expression import Expression
from hypothesis import given, settings
from hypothesis import strategies as st

from fitspec.collect.keywords import compile_keywords
from fitspec.errors import ExitCode, UsageError

NODES = ["small.toml::A::sbottom_1300_205_60::CLs_obs", "a/b.toml::x", "c.toml::stau-2::CLs_exp"]
LABELS = {"mass": 1300, "width": 0.5, "region": "A", "tag": "12p5"}

word = st.text("abcorndtx123_.:-/", min_size=1, max_size=4).filter(
    lambda text: text not in {"and", "or", "not"} and not text.startswith("-")
)
term = st.one_of(word, st.sampled_from(["mass=1300", "width=0.5", "region=B", "CLs", "SBOTTOM"]))


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        inner.map(lambda e: f"not {e}"),
        inner.map(lambda e: f"( {e})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
    )


expression = st.recursive(term, compound, max_leaves=8)
node = st.sampled_from(NODES)


def holds(text: str, node_id: str) -> bool:
    return compile_keywords(text)(node_id, LABELS)


@settings(deadline=None)
@given(expression, node)
def test_not_is_the_complement(text, node_id):
    assert holds(f"not ({text})", node_id) is not holds(text, node_id)


@settings(deadline=None)
@given(expression, expression, node)
def test_or_is_the_union_and_and_the_intersection(one, other, node_id):
    a, b = holds(one, node_id), holds(other, node_id)

    assert holds(f"({one}) or ({other})", node_id) is (a or b)
    assert holds(f"({one}) and ({other})", node_id) is (a and b)


@settings(deadline=None)
@given(expression, node)
def test_precedence_is_pythons(text, node_id):
    def value(token: str) -> str:
        keep = token in {"and", "or", "not", "(", ")"}
        return token if keep else str(holds(token, node_id))

    spaced = text.replace("(", " ( ").replace(")", " ) ")
    expected = eval(" ".join(value(token) for token in spaced.split()))

    assert holds(text, node_id) is expected


plain = st.recursive(word, compound, max_leaves=8)


@settings(deadline=None)
@given(plain, node)
def test_on_plain_words_pytest_agrees(text, node_id):
    def matches(name: str, /, **_: object) -> bool:
        return name.lower() in node_id.lower()

    assert holds(text, node_id) is Expression.compile(text).evaluate(matches)


@pytest.mark.parametrize("text", ["", "   ", "\t"])
def test_an_empty_expression_holds_everywhere(text):
    assert holds(text, "anything")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cls_OBS", True),
        ("SMALL.toml", True),
        ("A::sbottom", True),
        ("CLs_exp", False),
        ("1300_205", True),
        ("sbottom-1300", False),
        ("mass=1300", True),
        ("mass=1300.0", True),
        ("mass=+1300", True),
        ("mass=130", False),
        ("mass=", False),
        ("width=0.5", True),
        ("width=.5", True),
        ("width=5e-1", True),
        ("region=A", True),
        ("region=B", False),
        ("tag=12p5", True),
        ("tag=12.5", False),
        ("nolabel=1", False),
        ("not nolabel=1", True),
        ("mass=1300 and region=A", True),
        ("(mass=1300)and(region=A)", True),
        ("nottingham", False),
        ("AND", False),
    ],
)
def test_a_word_is_part_of_the_node_id_and_label_value_is_a_label(text, expected):
    assert holds(text, NODES[0]) is expected


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("a b", 3, "unexpected 'b'"),
        ("a and", 6, "the expression ends too early"),
        ("a or ", 6, "the expression ends too early"),
        ("not", 4, "the expression ends too early"),
        ("and a", 1, "unexpected 'and'"),
        ("a or   or b", 8, "unexpected 'or'"),
        ("(a or b", 8, "a parenthesis is not closed"),
        ("a)", 2, "unexpected ')'"),
        ("a ()", 3, "unexpected '('"),
        ("()", 2, "unexpected ')'"),
        ("   ) a", 4, "unexpected ')'"),
    ],
)
def test_a_malformed_expression_is_a_usage_error_with_its_column(text, column, problem):
    with pytest.raises(UsageError) as caught:
        compile_keywords(text)

    message = f"-k {text!r}, column {column}: {problem}; use words with and, or, not, ( )"
    assert str(caught.value) == message
    assert caught.value.exit_code == ExitCode.USAGE_ERROR


@settings(deadline=None)
@given(st.text("ab() ornotd=", max_size=12))
def test_whatever_pytest_refuses_is_refused(text):
    try:
        compile_keywords(text)
    except UsageError:
        understood = False
    else:
        understood = True

    try:
        Expression.compile(text)
    except SyntaxError:
        assert not understood or "=" in text  # labels are ours
    else:
        assert understood
