"""What the language can say and this version cannot do is refused, at its key."""

from __future__ import annotations

import pytest

from fitspec.collect import collect
from fitspec.collect.support import require_supported
from fitspec.errors import ExitCode, NotYetError
from fitspec.sources import Access
from fitspec.spec import load_spec

FILES = 'files = "patch.signal_{mass}_{width}.json"'

NOT_YET = {
    "fit": (
        FILES, f'{FILES}\n[fit]\n[backend]\nname = "pyhf"', 11, 'use backend.name = "native"',
    ),
}  # fmt: skip


@pytest.fixture
def spec_with(analysis):
    """The small specification with some text replaced."""

    def load(old: str, new: str):
        path = analysis / "small.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return load_spec(path, "small.toml")

    return load


@pytest.mark.parametrize("key", NOT_YET)
def test_a_feature_that_is_to_come_is_refused_at_its_key(spec_with, key):
    old, new, line, instead = NOT_YET[key]
    spec = spec_with(old, new)

    with pytest.raises(NotYetError) as caught:
        require_supported(spec)

    message = "not yet: this version of fitspec cannot do it"
    assert str(caught.value) == f"small.toml:{line}: {key}: {message}; {instead}"
    assert caught.value.exit_code == ExitCode.USAGE_ERROR


@pytest.mark.parametrize(
    "table",
    [
        "[poi]\nscan = { start = 0, stop = 2, num = 3 }",
        '[inference]\ntest_statistic = "q"\ncalculator = "asymptotic"\nexpected = "post-fit"',
        '[inference]\ninterpcodes = { normsys = "code1", histosys = "code0" }',
        '[inference]\ntest_statistic = "q0"',
        '[inference]\ncalculator = "toys"\ntoys = 10',
        '[backend]\nname = "native"',
        "[fit]\nmu = 0\nyields = true",
        '[backend]\nname = "pyhf"\ntensor = "jax"\noptimizer = "minuit"',
    ],
    ids=["scan", "inference", "interpcodes", "discovery", "toys", "native", "fit", "pyhf"],
)
def test_what_can_be_done_is_let_through(spec_with, table):
    require_supported(spec_with(FILES, f"{FILES}\n{table}"))


def test_nothing_is_fetched_for_a_specification_that_cannot_be_done(spec_with, tmp_path):
    spec = spec_with(
        'path = "background.json"',
        'path = "nowhere.json"\n[inference]\ncalculator = "toys"\ntoys = 1',
    )

    with pytest.raises(NotYetError):
        collect([spec], Access(tmp_path))
