from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import fitspec.errors as tree
from fitspec.errors import ExitCode, FitspecError, SpecError, nearest

SPEC_ARGUMENTS = ("unknown key", "small.toml", 14, "patches.selct", "did you mean 'select'?")
SPEC_TEXT = "small.toml:14: patches.selct: unknown key; did you mean 'select'?"
SIMPLE = ("what is wrong", "what to do")
SIMPLE_TEXT = "what is wrong; what to do"

EXAMPLES: dict[str, tuple[tuple[Any, ...], str, ExitCode]] = {
    "FitspecError": (SIMPLE, SIMPLE_TEXT, ExitCode.INTERNAL_ERROR),
    "UsageError": (SIMPLE, SIMPLE_TEXT, ExitCode.USAGE_ERROR),
    "NothingCollectedError": (SIMPLE, SIMPLE_TEXT, ExitCode.NOTHING_COLLECTED),
    "LockError": (SIMPLE, SIMPLE_TEXT, ExitCode.USAGE_ERROR),
    "SpecError": (SPEC_ARGUMENTS, SPEC_TEXT, ExitCode.USAGE_ERROR),
    "NotYetError": (SPEC_ARGUMENTS, SPEC_TEXT, ExitCode.USAGE_ERROR),
    "InvalidSpecsError": (
        ((SpecError(*SPEC_ARGUMENTS), SpecError("empty", "other.toml")),),
        f"{SPEC_TEXT}\nother.toml: empty",
        ExitCode.USAGE_ERROR,
    ),
    "SourceError": (SIMPLE, SIMPLE_TEXT, ExitCode.USAGE_ERROR),
    "DownloadError": (SIMPLE, SIMPLE_TEXT, ExitCode.USAGE_ERROR),
    "DigestError": (SIMPLE, SIMPLE_TEXT, ExitCode.USAGE_ERROR),
    "ArchiveError": (SIMPLE, SIMPLE_TEXT, ExitCode.USAGE_ERROR),
    "WorkspaceError": (SIMPLE, SIMPLE_TEXT, ExitCode.USAGE_ERROR),
    "PatchError": (
        ("no such path", "signal_100_1", "op 3 'add'", "/channels/7"),
        "patch 'signal_100_1' op 3 'add' /channels/7: no such path",
        ExitCode.CHECKS_FAILED,
    ),
    "InferenceError": (SIMPLE, SIMPLE_TEXT, ExitCode.CHECKS_FAILED),
    "ConvergenceError": (SIMPLE, SIMPLE_TEXT, ExitCode.CHECKS_FAILED),
    "ExecutionError": (SIMPLE, SIMPLE_TEXT, ExitCode.CHECKS_FAILED),
    "WorkerLostError": (SIMPLE, SIMPLE_TEXT, ExitCode.CHECKS_FAILED),
    "EndpointAwayError": (SIMPLE, SIMPLE_TEXT, ExitCode.CHECKS_FAILED),
    "TooLargeError": (SIMPLE, SIMPLE_TEXT, ExitCode.CHECKS_FAILED),
    "EndpointError": (SIMPLE, SIMPLE_TEXT, ExitCode.CHECKS_FAILED),
    "MissingExtraError": (
        ("parsl", "parsl"),
        "parsl is not installed; pip install 'fitspec[parsl]'",
        ExitCode.USAGE_ERROR,
    ),
}

COPIES: dict[str, Callable[[FitspecError], FitspecError]] = {
    "pickle": lambda error: pickle.loads(pickle.dumps(error)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def family(error: type[FitspecError]) -> Iterator[type[FitspecError]]:
    yield error
    for child in error.__subclasses__():
        yield from family(child)


def example(name: str) -> FitspecError:
    return getattr(tree, name)(*EXAMPLES[name][0])


def test_every_class_of_the_tree_has_an_example() -> None:
    assert sorted(error.__name__ for error in family(FitspecError)) == sorted(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_error_says_what_and_the_remedy(name: str) -> None:
    assert str(example(name)) == EXAMPLES[name][1]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_error_carries_its_exit_code(name: str) -> None:
    assert example(name).exit_code is EXAMPLES[name][2]


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_an_error_survives_the_way_back_from_a_worker(
    copied: Callable[[FitspecError], FitspecError], name: str
) -> None:
    original = example(name)
    arrived = copied(original)
    assert type(arrived) is type(original)
    assert repr(arrived.args) == repr(original.args) == repr(EXAMPLES[name][0])
    assert repr(vars(arrived)) == repr(vars(original))
    assert str(arrived) == str(original)
    assert arrived.exit_code is original.exit_code


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(FitspecError("wrong"), "wrong", id="no remedy"),
        pytest.param(SpecError("wrong", "a.toml"), "a.toml: wrong", id="no line and no key"),
        pytest.param(SpecError("wrong", "a.toml", 3), "a.toml:3: wrong", id="no key"),
        pytest.param(SpecError("wrong", "a.csv", None, "x"), "a.csv: x: wrong", id="no line"),
        pytest.param(tree.PatchError("wrong", "p"), "patch 'p': wrong", id="no operation"),
    ],
)
def test_what_is_not_known_is_left_out(error: FitspecError, text: str) -> None:
    assert str(error) == text


def test_exit_codes_are_those_of_pytest() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "OK": pytest.ExitCode.OK,
        "CHECKS_FAILED": pytest.ExitCode.TESTS_FAILED,
        "INTERRUPTED": pytest.ExitCode.INTERRUPTED,
        "INTERNAL_ERROR": pytest.ExitCode.INTERNAL_ERROR,
        "USAGE_ERROR": pytest.ExitCode.USAGE_ERROR,
        "NOTHING_COLLECTED": pytest.ExitCode.NO_TESTS_COLLECTED,
    }


@pytest.mark.parametrize(
    ("bad", "guess"),
    [
        pytest.param("selct", "did you mean 'select'?", id="near"),
        pytest.param("zzz", "", id="far"),
    ],
)
def test_the_nearest_good_value_is_suggested(bad: str, guess: str) -> None:
    assert nearest(bad, ["files", "select"]) == guess


def test_a_suggestion_fits_its_template() -> None:
    assert nearest("b.toml", ["a.toml"], "{x}/{}") == "did you mean '{x}/a.toml'?"
