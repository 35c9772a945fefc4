from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from fitspec.errors import (
    InvalidSpecsError,
    NothingCollectedError,
    NotYetError,
    SourceError,
    SpecError,
    UsageError,
)
from fitspec.spec import SpecFile, find_specs, load_spec
from fitspec.spec.files import library

CURATED = sorted(path.stem for path in library().glob("*.toml"))

RICH: dict[str, Any] = {
    "fitspec": 1,
    "analysis": {"name": "rich", "references": {"arxiv": "1908.03122", "inspire": 1748602}},
    "parametrize": {"region": ["A", "B", 3, 0.5]},
    "workspace": {"path": "Region{region}/b.json", "digest": [f"sha256:{'0' * 64}"]},
    "patches": {
        "files": "patch.{m_C1}_{m_N1}.json",
        "select": {"m_C1": [100, 200], "m_N1": {"ge": 10, "lt": 20.5}},
    },
    "poi": {"scan": {"start": 0, "stop": 2.5, "num": 6}, "upper_limit": 0.95},
    "cross_section": {"table": "xsec.csv", "on": "m_C1"},
    "inference": {
        "calculator": "toys",
        "toys": {"max": 10_000, "precision": 0.02},
        "seed": 1,
        "interpcodes": {"normsys": "code4", "histosys": "code4p"},
    },
    "backend": {"name": "pyhf", "tensor": "numpy"},
    "endpoint": {"kind": "dask", "workers": 4, "address": "tcp://10.0.0.1:8786"},
    "combine": {"best_expected": "region"},
    "expect": [
        {"point": "A::100_10", "CLs_exp": [0.1, 0.2, 0.3, 0.4, 0.5], "excluded": True},
        {"table": "published.csv", "rtol": 0.3, "xfail": "one digit"},
    ],
}


@pytest.fixture
def small(analysis: Path) -> SpecFile:
    return load_spec(Path("small.toml"))


def error_of(*arguments: str) -> str:
    with pytest.raises((SpecError, InvalidSpecsError, UsageError)) as caught:
        find_specs(arguments)
    return str(caught.value)


def test_a_specification_knows_its_name_text_and_digest(analysis: Path, small: SpecFile) -> None:
    content = (analysis / "small.toml").read_bytes()
    assert small.name == "small.toml"
    assert small.text == content.decode()
    assert small.sha256 == hashlib.sha256(content).hexdigest()
    assert small.spec.analysis.name == "small"


def test_a_file_beside_a_specification_is_called_as_from_where_that_was_named(
    analysis: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_spec(Path("small.toml")).called("tables/a.csv") == "tables/a.csv"
    monkeypatch.chdir(analysis.parent)
    assert load_spec(Path("analysis/small.toml")).called("a.csv") == "analysis/a.csv"
    [curated] = find_specs(["@sbottom"])
    assert Path(curated.called("published/sbottom-hypotest.csv")).is_file()


def test_an_error_points_to_its_key(small: SpecFile) -> None:
    error = small.error(("patches", "files"), "no file matches", "see the archive", NotYetError)
    assert type(error) is NotYetError
    assert str(error) == "small.toml:10: patches.files: no file matches; see the archive"


@pytest.mark.parametrize(
    ("key", "line"),
    [
        pytest.param(("workspace", "archive"), 6, id="its table"),
        pytest.param(("inference", "calculator"), 1, id="the document"),
    ],
)
def test_an_error_about_a_key_that_is_not_written_points_to_what_is_around_it(
    small: SpecFile, key: tuple[str, ...], line: int
) -> None:
    assert small.error(key, "x").line == line


def test_a_source_error_is_told_at_the_key_that_names_the_source(small: SpecFile) -> None:
    with pytest.raises(SpecError) as caught, small.at("workspace", "path"):
        raise SourceError("not there", "fetch it")
    assert str(caught.value) == "small.toml:7: workspace.path: not there; fetch it"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            '[analysis]\nname = "x"',
            "1: fitspec: required key is missing; add fitspec = 1",
            id="no version",
        ),
        *(
            pytest.param(
                f"# first\nfitspec = {version}",
                f"2: fitspec: version {shown} of the specification language is unknown;"
                " this fitspec reads version 1; another release may read yours",
                id=f"version {version}",
            )
            for version, shown in [("2", "2"), ("true", "True"), ("1.0", "1.0"), ('"1"', "'1'")]
        ),
        pytest.param(
            "fitspec = 1\nanalysis = \n", "2: not valid TOML: Invalid value", id="malformed"
        ),
        pytest.param(
            "fitspec = 1\n\nfitspec = 1",
            "3: not valid TOML: Cannot overwrite a value",
            id="a key given twice",
        ),
    ],
)
def test_what_is_no_specification_of_version_one_is_told_with_its_line(
    analysis: Path, text: str, message: str
) -> None:
    Path("bad.toml").write_text(text)
    assert error_of("bad.toml") == f"bad.toml:{message}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("name = 'größe'".encode("latin-1"), "not UTF-8 text; TOML", id="latin-1"),
        pytest.param(b"a = " + b"[" * 100_000, "not valid TOML: maximum recursion", id="nesting"),
        pytest.param(b"a = " + b"9" * 5000, "not valid TOML: Exceeds the limit", id="digits"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_without_a_line(
    analysis: Path, content: bytes, message: str
) -> None:
    Path("bad.toml").write_bytes(content)
    assert error_of("bad.toml").startswith(f"bad.toml: {message}")


def test_the_ends_of_lines_make_no_difference(analysis: Path) -> None:
    text = Path("small.toml").read_text() + "\n[poi]\ntests = 1\n"
    Path("small.toml").write_text(text, newline="\r\n")
    assert error_of("small.toml") == "small.toml:13: poi.tests: unknown key; did you mean 'test'?"


def test_problems_of_several_files_are_reported_together(analysis: Path) -> None:
    Path("a.toml").write_text("fitspec = 2")
    Path("b.toml").write_text("fitspec = 1\n[analysis]\n[workspace]\npath = 1")
    assert [line.partition("; ")[0] for line in error_of("a.toml", "b.toml").splitlines()] == [
        "a.toml:1: fitspec: version 2 of the specification language is unknown",
        "b.toml:2: analysis.name: required key is missing",
        "b.toml:4: workspace.path: input should be a valid string, found 1",
    ]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        pytest.param(
            "smal.toml",
            "smal.toml: no such file or folder; did you mean 'small.toml'?",
            id="a file nearby",
        ),
        pytest.param("zzz", "zzz: no such file or folder", id="nothing nearby"),
        pytest.param(
            "{x}/smal.toml",
            "{x}/smal.toml: no such file or folder; did you mean '{x}/small.toml'?",
            id="a folder with braces",
        ),
        pytest.param("no/such", "no/such: no such file or folder", id="a folder that is not there"),
        pytest.param(
            "@sbotom",
            "@sbotom: no such curated specification; did you mean '@sbottom'?",
            id="a curated name nearby",
        ),
        pytest.param(
            "@zzz",
            f"@zzz: no such curated specification; there are @{', @'.join(CURATED)}",
            id="no curated name nearby",
        ),
    ],
)
def test_a_name_of_nothing_suggests_the_nearest_one(
    analysis: Path, argument: str, message: str
) -> None:
    Path("{x}").mkdir()
    Path("{x}/small.toml").touch()
    assert error_of(argument) == message


def test_a_folder_is_searched_for_specifications_only(analysis: Path) -> None:
    text = Path("small.toml").read_text()
    Path("nested/deep").mkdir(parents=True)
    Path("nested/deep/quoted.toml").write_text(text.replace("fitspec", '"fitspec"'))
    Path("nested/small.txt").write_text(text)
    Path("nested/pyproject.toml").write_text("[tool]\nfitspec = 1")
    Path("nested/broken.toml").write_text("[tool")
    Path("nested/latin.toml").write_bytes("name = 'größe'".encode("latin-1"))
    Path("nested/folder.toml").mkdir()
    assert [found.name for found in find_specs(["."])] == [
        "nested/deep/quoted.toml",
        "small.toml",
    ]


def test_a_broken_specification_in_a_folder_is_reported(analysis: Path) -> None:
    Path("broken.toml").write_text("fitspec = 1\n[analysis")
    assert (
        error_of(".")
        == "broken.toml:2: not valid TOML: Expected ']' at the end of a table declaration"
    )


def test_a_folder_without_specifications_has_none(tmp_path: Path) -> None:
    with pytest.raises(NothingCollectedError, match="no specification; a specification is a TOML"):
        find_specs([str(tmp_path)])


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(UsageError, match="an empty path names nothing"):
        find_specs([""])


def test_a_bundle_is_opened_by_whoever_can(analysis: Path, tmp_path: Path) -> None:
    Path("paper.zip").touch()
    opened: list[Path] = []

    def unpack(path: Path) -> tuple[Path, Path]:
        opened.append(path)
        return tmp_path, analysis / "small.toml"

    [found] = find_specs(["paper.zip"], unpack)

    assert opened == [Path("paper.zip")]
    assert (found.name, found.path, found.bundle) == (
        "paper.zip", analysis / "small.toml", tmp_path,
    )  # fmt: skip
    assert found.beside("../x/./y.csv") == tmp_path / "x" / "y.csv"
    for outside in ("../../y.csv", "/y.csv", f"../../{tmp_path.name}-2/y.csv"):
        with pytest.raises(SourceError, match="is outside of the bundle"):
            found.beside(outside)
    with pytest.raises(UsageError, match=r"paper\.zip: a bundle is not changed; unpack it"):
        find_specs(["paper.zip"])


def test_a_specification_of_ones_own_reads_where_it_says(analysis: Path) -> None:
    [found] = find_specs(["small.toml"])
    assert found.bundle is None
    assert found.beside("../y.csv") == analysis / "../y.csv"


def test_hidden_folders_are_left_alone(analysis: Path) -> None:
    (analysis / ".venv").mkdir()
    (analysis / ".venv" / "other.toml").write_text("fitspec = 1\n")
    assert [spec.name for spec in find_specs(["."])] == ["small.toml"]


def test_a_byte_order_mark_is_named(analysis: Path) -> None:
    text = (analysis / "small.toml").read_text()
    (analysis / "small.toml").write_text(text, encoding="utf-8-sig")
    with pytest.raises(SpecError, match=r"^small.toml:1: begins with a byte order mark"):
        find_specs(["small.toml"])


def test_a_link_keeps_its_name_and_its_target_finds_its_sources(analysis: Path) -> None:
    (analysis / "links").mkdir()
    (analysis / "links" / "other.toml").symlink_to(analysis / "small.toml")
    (spec,) = find_specs(["links/other.toml"])
    assert spec.name == "links/other.toml"
    assert spec.path.parent == analysis.resolve()


def test_the_digest_is_that_of_the_files_bytes(analysis: Path) -> None:
    raw = (analysis / "small.toml").read_bytes().replace(b"\n", b"\r\n")
    (analysis / "small.toml").write_bytes(raw)
    assert load_spec(Path("small.toml")).sha256 == hashlib.sha256(raw).hexdigest()


@pytest.mark.parametrize("other", [".", "./small.toml", "link.toml", "../analysis/small.toml"])
def test_a_file_named_twice_counts_once(analysis: Path, other: str) -> None:
    Path("link.toml").symlink_to("small.toml")
    assert [found.name for found in find_specs(["small.toml", other])] == ["small.toml"]


def test_a_broken_file_named_twice_is_reported_once(analysis: Path) -> None:
    Path("small.toml").write_text("fitspec = 2")
    assert len(error_of("small.toml", ".").splitlines()) == 1


def test_a_file_outside_the_working_directory_keeps_its_path(
    analysis: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "small.toml"
    elsewhere.write_text(Path("small.toml").read_text())
    assert [found.name for found in find_specs([str(elsewhere)])] == [elsewhere.as_posix()]


@pytest.mark.parametrize("name", CURATED)
def test_a_curated_specification_is_found_by_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (curated,) = find_specs([f"@{name}"])
    assert curated.name == f"@{name}"
    assert curated.path == library() / f"{name}.toml"


def tables_and_arrays(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from tables_and_arrays(item)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """The text of a valid specification with some keys deleted, renamed, or given other values."""
    data = copy.deepcopy(RICH)
    values = st.one_of(
        st.text(max_size=8),
        st.integers(),
        st.floats(),
        st.booleans(),
        st.dates(),
        st.lists(st.integers() | st.text(max_size=3) | st.booleans(), max_size=6),
        st.dictionaries(st.text(max_size=3), st.integers() | st.floats(), max_size=2),
    )
    for _ in range(draw(st.integers(1, 3))):
        owner = draw(st.sampled_from([item for item in tables_and_arrays(data) if item]))
        key = draw(st.sampled_from(list(owner) if isinstance(owner, dict) else range(len(owner))))
        match draw(st.sampled_from(["delete", "rename", "replace"])):
            case "rename" if isinstance(owner, dict):
                owner[draw(st.text(max_size=8) | st.sampled_from([f"{key}s", key[1:]]))] = (
                    owner.pop(key)
                )
            case "replace":
                owner[key] = draw(values)
            case _:
                del owner[key]
    return tomlkit.dumps(data)


def test_the_rich_specification_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "rich.toml"
    path.write_text(tomlkit.dumps(RICH))
    assert load_spec(path).spec.analysis.name == "rich"


@settings(deadline=None)
@given(text=mutated())
def test_a_damaged_specification_is_refused_line_by_line_if_at_all(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.toml"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        load_spec(path, "damaged.toml")
    except InvalidSpecsError as several:
        errors = several.errors
    except SpecError as one:
        errors = (one,)
    else:
        return
    for error in errors:
        assert error.file == "damaged.toml"
        assert error.line is not None
        assert 1 <= error.line <= len(text.split("\n"))
        assert len(str(error).splitlines()) == 1
