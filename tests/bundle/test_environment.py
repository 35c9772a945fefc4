"""The versions that a bundle lists."""

from __future__ import annotations

from importlib.metadata import version

from fitspec.bundle import requirements

RUN = {"python": "3.12.1", "platform": "Linux-6", "fitspec": "0.1.0", "numpy": "1.26.0"}


def pins(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: found for name, _, found in (line.partition("==") for line in lines)}


def test_of_a_run_here_everything_that_fitspec_needs() -> None:
    found = pins(requirements(RUN, here=True))

    for library in ("fitspec", "numpy", "scipy", "pyhf", "pydantic", "pydantic-core", "urllib3"):
        assert found[library] == version(library)
    assert list(found) == sorted(found)
    assert not {"pytest", "mypy", "rocrate", "distributed"} & found.keys()


def test_of_a_run_elsewhere_what_its_results_say() -> None:
    text = requirements(RUN, here=False)

    assert text.startswith("# The run used Python 3.12.1 on Linux-6.\n")
    assert pins(text) == {"fitspec": "0.1.0", "numpy": "1.26.0"}
