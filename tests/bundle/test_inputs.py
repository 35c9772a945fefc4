"""What a bundle takes along, where it puts it, and that a run there reads the same."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from fitspec.bundle import Inputs, bundled_inputs
from fitspec.collect import collect
from fitspec.errors import SpecError
from fitspec.sources import Access
from fitspec.spec import SpecFile, load_spec

URL = "https://doi.org/10.17182/hepdata.1.v1/r2"


def inputs_of(path: Path, mirror: Path | None = None) -> tuple[SpecFile, Inputs]:
    spec = load_spec(path)
    return spec, bundled_inputs(spec, Access(path.parent / "cache", mirror, offline=True))


def edited(analysis: Path, *changes: tuple[str, str], name: str = "small.toml") -> Path:
    path = analysis / name
    text = (analysis / "small.toml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


def staged(inputs: Inputs, tmp_path: Path) -> list[str]:
    """Points of the specification where nothing but its bundle is in reach."""
    folder = tmp_path / "staged"
    spec = inputs.staged(folder.resolve(), "paper.zip")
    return [point.id for point in collect([spec], Access(tmp_path / "empty")).points]


FOUR = ["signal_100_1", "signal_100_2", "signal_200_1", "signal_200_2"]


def test_of_a_folder_what_the_specification_may_read(analysis: Path, tmp_path: Path) -> None:
    (analysis / "secret.txt").write_text("not for others")
    (analysis / "patch.signal_300.json").write_text("[]")
    path = edited(analysis, ('json"\n\n[patches]', 'json"\n\n[patches]\nselect = { mass = 100 }'))

    _, inputs = inputs_of(path)

    assert {name: file.role for name, file in inputs.files.items()} == {
        "specification/background.json": "workspace",
        **{f"specification/patch.{name}.json": "signal patch" for name in FOUR},
        "specification/small.toml": "specification",
    }
    for name, file in inputs.files.items():
        assert file.content == (analysis / Path(name).name).read_bytes()
    assert staged(inputs, tmp_path) == FOUR[:2]


def test_tables_and_the_lock_go_along(analysis: Path, tmp_path: Path) -> None:
    (analysis / "tables").mkdir()
    (analysis / "tables" / "limits 100%.csv").write_text("mass,width,CLs_obs\n100,1,0.1\n")
    (analysis / "tables" / "xsec.csv").write_text("mass,xsec_pb\n100,1\n200,0.1\n")
    path = edited(analysis)
    path.write_text(
        path.read_text()
        + "[poi]\ntest = 1.0\nupper_limit = 0.95\n"
        + '[cross_section]\ntable = "tables/xsec.csv"\non = "mass"\n'
        + '[[expect]]\ntable = "tables/limits 100%.csv"\n'
    )
    path.with_name("small.toml.lock").write_text("lock = 1\n")

    _, inputs = inputs_of(path)

    roles = {name: file.role for name, file in inputs.files.items()}
    assert roles["specification/tables/xsec.csv"] == "theory cross-sections"
    assert roles["specification/tables/limits 100%.csv"] == "expected values"
    assert roles["specification/small.toml.lock"] == "lock of the inputs"
    assert staged(inputs, tmp_path) == FOUR


def test_paths_that_lead_upward_stay_within_the_bundle(analysis: Path, tmp_path: Path) -> None:
    """The specification is not changed: it is put as deep as its paths go up."""
    folder = analysis / "deep" / "specs"
    folder.mkdir(parents=True)
    with tarfile.open(analysis / "all.tar.gz", "w:gz") as tar:
        for file in [analysis / "background.json", *analysis.glob("patch.*.json")]:
            tar.add(file, file.name)
    path = folder / "small.toml"
    text = (analysis / "small.toml").read_text()
    path.write_text(text.replace("path =", 'archive = "../../all.tar.gz"\npath ='))

    spec, inputs = inputs_of(path)

    assert list(inputs.files) == ["specification/all.tar.gz", inputs.spec]
    assert inputs.spec == "specification/deep/specs/small.toml"
    assert inputs.files[inputs.spec].content.decode() == spec.text
    archive = inputs.files["specification/all.tar.gz"].content
    assert archive == (analysis / "all.tar.gz").read_bytes()
    assert staged(inputs, tmp_path) == FOUR


@pytest.mark.parametrize("packed", [True, False], ids=["archive", "folder"])
def test_a_remote_source_is_served_by_a_mirror_of_the_bundle(
    packed: bool, analysis: Path, tmp_path: Path
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    if packed:
        with tarfile.open(mirror / "any", "w:xz") as tar:
            for file in [analysis / "background.json", *analysis.glob("patch.*.json")]:
                tar.add(file, file.name)
    else:
        shutil.copytree(analysis, mirror / "any")
    (mirror / "mirror.toml").write_text(f'"{URL}" = "any"\n')
    path = edited(analysis, ("path =", 'archive = "doi:10.17182/hepdata.1.v1/r2"\npath ='))

    _, inputs = inputs_of(path, mirror)

    assert inputs.files["sources/mirror.toml"].content.decode().count(URL) == 1
    urls = {name: file.url for name, file in inputs.files.items() if file.url is not None}
    assert set(urls.values()) == {URL}
    if packed:
        digest = hashlib.sha256((mirror / "any").read_bytes()).hexdigest()
        assert list(urls) == [f"sources/{digest[:12]}-r2.tar.xz"]
    else:
        assert len(urls) == 5
    assert not any(name.startswith("specification/patch") for name in inputs.files)
    assert staged(inputs, tmp_path) == FOUR
    unpacked = load_spec(tmp_path / "staged" / inputs.spec)
    access = Access(tmp_path / "empty", tmp_path / "staged" / "sources", offline=True)
    assert [point.id for point in collect([unpacked], access).points] == FOUR


def test_every_case_has_its_files(analysis: Path, tmp_path: Path) -> None:
    for region in "AB":
        (analysis / region).mkdir()
        for file in ("background.json", "patch.signal_100_1.json"):
            shutil.copy(analysis / file, analysis / region / file)
    path = edited(
        analysis,
        (
            "[workspace]\n",
            '[parametrize]\nregion = ["A", "B"]\n[workspace]\narchive = "{region}"\n',
        ),
    )

    _, inputs = inputs_of(path)

    assert [name.removeprefix("specification/") for name in inputs.files] == [
        "A/background.json", "A/patch.signal_100_1.json",
        "B/background.json", "B/patch.signal_100_1.json", "small.toml",
    ]  # fmt: skip
    assert staged(inputs, tmp_path) == ["A::signal_100_1", "B::signal_100_1"]


def test_signals_by_their_yields_need_their_table_alone(analysis: Path, tmp_path: Path) -> None:
    (analysis / "signal.csv").write_text("mass,SR[0],SR[1]\n100,5,8\n")
    files = 'files = "patch.signal_{mass}_{width}.json"'
    path = edited(analysis, (files, 'yields = "signal.csv"\nlabels = ["mass"]'))

    _, inputs = inputs_of(path)

    assert [name.removeprefix("specification/") for name in inputs.files] == [
        "background.json", "signal.csv", "small.toml",
    ]  # fmt: skip
    assert staged(inputs, tmp_path) == ["signal_100"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("path =", 'archive = "/data/all.tar"\npath =', "small.toml:7: workspace.archive: "
         "'/data/all.tar' is an absolute path, which means nothing elsewhere; "
         "make it relative to the specification"),
        ("path =", 'archive = "absent.tar"\npath =', "small.toml:7: workspace.archive: "
         "'absent.tar' does not exist beside the specification; check the path"),
        ("background.json", "backgrund.json", "small.toml:7: workspace.path: "),
    ],
)  # fmt: skip
def test_what_cannot_be_bundled_is_told_at_its_key(
    old: str, new: str, message: str, analysis: Path
) -> None:
    path = edited(analysis, (old, new))
    with pytest.raises(SpecError) as caught:
        inputs_of(path.relative_to(analysis))
    assert message in str(caught.value)


def test_a_path_beyond_the_root_folder_is_told(analysis: Path) -> None:
    """Though the machine finds it: above the root is the root."""
    source = 60 * "../" + str(analysis).lstrip("/")
    path = edited(analysis, ("path =", f'archive = "{source}"\npath ='))
    with pytest.raises(SpecError, match="leads out of all folders; correct the path"):
        inputs_of(path)


def test_a_url_is_written_into_the_mirror_as_toml_has_it(analysis: Path, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    with tarfile.open(mirror / 'a".tar', "w") as tar:
        for file in [analysis / "background.json", *analysis.glob("patch.*.json")]:
            tar.add(file, file.name)
    url = 'https://archive.example/\\x/a".tar?b="c"'
    path = edited(analysis, ("path =", f"archive = {json.dumps(url)}\npath ="))

    _, inputs = inputs_of(path, mirror)

    [archive] = [name for name, file in inputs.files.items() if file.url == url]
    assert archive.endswith("-a_.tar")
    assert staged(inputs, tmp_path) == FOUR
