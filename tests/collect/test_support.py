"""What a backend cannot do is refused at its key, before anything is fetched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fitspec.collect import collect
from fitspec.errors import ExitCode, NotYetError
from fitspec.sources import Access
from fitspec.spec import load_spec
from fitspec.spec.models import Backend

FIT = 'path = "nowhere.json"\n[fit]\n'


@pytest.fixture
def asking_for_a_fit(analysis):
    """The small specification, whose sources are gone, with [fit]."""
    path = analysis / "small.toml"
    path.write_text(path.read_text().replace('path = "background.json"', FIT))
    return load_spec(path, "small.toml")


def test_a_fit_for_its_own_sake_is_refused_with_pyhf(asking_for_a_fit, tmp_path):
    """Whether the specification or the command line asks for it."""
    pyhf = asking_for_a_fit.spec.model_copy(update={"backend": Backend(name="pyhf")})

    with pytest.raises(NotYetError) as caught:
        collect([replace(asking_for_a_fit, spec=pyhf)], Access(tmp_path))

    message = "small.toml:8: fit: not yet: the pyhf backend cannot do it"
    assert str(caught.value) == f'{message}; use backend.name = "native"'
    assert caught.value.exit_code == ExitCode.USAGE_ERROR
