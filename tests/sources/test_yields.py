"""Signals from tables of expected events: names, what every column is, and the numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyhf
import pytest
from answers import compute
from build import (
    LUMI,
    background,
    lumi,
    normfactor,
    normsys,
    region,
    sample,
    shapesys,
    workspace,
)

from fitspec.errors import PatchError, SourceError
from fitspec.outcome import Outcome
from fitspec.sources import (
    Background,
    Yields,
    inline_table,
    load_background,
    luminosity_modifiers,
    open_archive,
    read_full_table,
    systematic_modifiers,
)
from fitspec.worker import PointOrder

pytestmark = pytest.mark.filterwarnings(
    "ignore:jsonschema.RefResolver is deprecated:DeprecationWarning"  # by pyhf
)

CONTENT = workspace(
    region([5.0, 9.0], background([5.0, 6.0], lumi(), normsys("scale", 0.9, 1.1)), name="SR"),
    region([14.0], background([12.0], lumi(), normsys("scale", 0.92, 1.08)), name="SR2"),
    region([95.0], background([88.0], normfactor("mu_bkg")), name="CR"),
    parameters=[LUMI],
)


@pytest.fixture
def small() -> Background:
    """Two signal regions, one of two bins, and a control region."""
    return load_background(json.dumps(CONTENT).encode(), "bkg.json", None)


@pytest.fixture
def opened(small, tmp_path):
    """The signals of a CSV file of this text."""

    def opened(text: str, *labels: str, **more: Any) -> Yields:
        (tmp_path / "signal.csv").write_text(text)
        table = read_full_table(tmp_path / "signal.csv")
        return Yields(small, "mu", table, labels, **more)

    return opened


def outcome(found: Background, patch: bytes, **more: Any) -> Outcome:
    """What a worker makes of a patch."""
    question = {
        "measurement": found.measurement(None)["name"], "mus": (1.0,), "test_statistic": "qtilde",
        "normsys": "code4", "histosys": "code4p", "backend": "native", "tensor": "numpy",
        "optimizer": "scipy",
    }  # fmt: skip
    order = PointOrder(patch_name="signal", patch=patch, question=question | more)
    return compute(found.raw, [order])[0]


def test_a_signal_is_called_after_its_labels(opened):
    found = opened("m_1,model,CR,SR2\n900,a b,0,1\n850.0,x,0,2\n0.5,x,0,2\n", "m_1", "model")

    assert found.labels == {
        "signal_900_a b": {"m_1": 900, "model": "a b"},
        "signal_850_x": {"m_1": 850, "model": "x"},
        "signal_0.5_x": {"m_1": 0.5, "model": "x"},
    }


def test_one_signal_needs_no_label(opened):
    assert opened("SR2\n1.5\n").labels == {"signal": {}}


def test_only_what_is_asked_for_is_written(opened):
    found = opened("m,SR2\n1,2\n2,3\n", "m")
    [(name, patch)] = found.read(["signal_2"]).items()
    assert name == "signal_2"
    assert [op["value"]["data"] for op in json.loads(patch)] == [[3.0]]


def test_what_a_table_leaves_out_is_said_in_one_line(opened):
    assert opened("SR[0],SR[1],SR2,CR\n1,1,1,0\n").gaps is None
    assert opened("SR[0],SR[1],SR2\n1,1,1\n").gaps == "bkg.json: no signal in 1 of 3 channels: CR"
    assert opened("SR[1],SR2[0]\n1,1\n").gaps == (
        "bkg.json: no signal in 1 of 3 channels and 1 more bin: CR, SR[0]"
    )
    assert opened("SR[1],SR2,CR\n1,1,1\n").gaps == "bkg.json: no signal in 1 bin: SR[0]"


def test_a_name_that_would_garble_the_terminal_is_escaped():
    content = workspace(
        region([5.0], background([5.0])), region([5.0], background([5.0]), name="\x1b[2J")
    )
    odd = load_background(json.dumps(content).encode(), "bkg.json", None)

    found = Yields(odd, "mu", inline_table([{"SR": 1}]))

    assert found.gaps == "bkg.json: no signal in 1 of 2 channels: '\\x1b[2J'"
    with pytest.raises(SourceError, match=r"channels are SR, '\\x1b\[2J'; patches\.labels"):
        Yields(odd, "mu", inline_table([{"zzzzz": 1}]))


CHANNELS = "channels are SR, SR2, CR; patches.labels lists the labels"
NO_BIN = "is neither a bin of the workspace nor a label"
BAD = {
    "a misspelt bin": (
        "m,SR[0],SR[2]\n1,1,1\n", f"1: column 'SR[2]' {NO_BIN}; did you mean 'SR[1]'?",
    ),
    "a misspelt channel": (
        "# x\nm,SR3\n1,1\n", f"2: column 'SR3' {NO_BIN}; did you mean 'SR2'?",
    ),
    "a misspelt channel where labels stand": (
        "SR_2,m,SR[0]\n1,1,1\n", f"1: column 'SR_2' {NO_BIN}; did you mean 'SR2'?",
    ),
    "a label that is not listed": (
        "m,width,SR2\n1,1,1\n", f"1: column 'width' {NO_BIN}; {CHANNELS}",
    ),
    "a column without a name": ("m,SR2,\n1,1,1\n", f"1: column '' {NO_BIN}; {CHANNELS}"),
    "a control character": (
        "m,SR2,\x1b[2J\n1,1,1\n", f"1: column '\\x1b[2J' {NO_BIN}; {CHANNELS}",
    ),
    "a channel of two bins": (
        "m,SR\n1,1\n", "1: 'SR': channel 'SR' has 2 bins; name one of SR[0] to SR[1]",
    ),
    "a bin by two names": (
        "m,SR2,SR2[0]\n1,1,1\n", "1: 'SR2' and 'SR2[0]' are the same; remove one of them",
    ),
    "a misspelt uncertainty": (
        "m,SR2,SRR2:unc\n1,1,1\n", f"1: column 'SRR2:unc' {NO_BIN}; did you mean 'SR2:unc'?",
    ),
    "an uncertainty of nothing": (
        "m,SR2,CR:unc\n1,1,0\n",
        "1: 'CR:unc' is the uncertainty of a column that is absent; add 'CR'",
    ),
    "no events": ("m\n1\n", f"1: no column gives signal events; {CHANNELS}"),
    "no label": ("M,SR2\n1,1\n", "1: there is no column 'm'; patches.labels lists label columns"),
    "text": ("m,SR2\n1,1\n2,x\n", "3: 'SR2' = 'x' is no number; write a finite one"),
    "nan": ("m,SR2\n1,nan\n", "2: 'SR2' = 'nan' is no number; write a finite one"),
    "infinity": ("m,SR2\n1,1e999\n", "2: 'SR2' = '1e999' is no number; write a finite one"),
    "less than nothing": ("m,SR2\n1,-0.5\n", "2: 'SR2' = -0.5 is negative; write 0 or more"),
    "a negative uncertainty": (
        "m,SR2,SR2:unc\n1,1,-0.1\n", "2: 'SR2:unc' = -0.1 is negative; write 0 or more",
    ),
    "per cent": (
        "m,SR2,SR2:unc\n1,1,10\n",
        "2: 'SR2:unc' = 10 is more than 100%; uncertainties are relative: 0.1 is 10%",
    ),
    "an empty cell": ("m,SR2\n1,\n", "2: 'SR2' is empty; write 0 for no events"),
    "a label twice": (
        "m,SR2\n1,1\n2,1\n1.0,3\n",
        "4: 'signal_1' is the signal of signal.csv:2, too; "
        "labels tell signals apart; patches.labels lists them",
    ),
    "a label that garbles the terminal": (
        "m,SR2\n\x1b[31m,1\n", "2: m = '\\x1b[31m' is not printable; write plain text",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), BAD.values(), ids=BAD)
def test_a_table_that_makes_no_sense_says_where_and_why(opened, text, problem):
    with pytest.raises(SourceError) as caught:
        opened(text, "m")
    assert str(caught.value) == f"signal.csv:{problem}"


def test_a_label_may_not_be_a_channel(opened):
    with pytest.raises(SourceError, match="'SR2' is a channel, too; rename the label"):
        opened("SR2,CR\n1,1\n", "SR2")


def test_what_could_be_two_things_is_refused():
    content = workspace(
        region([5.0], background([5.0]), name="SR"),
        region([5.0], background([5.0]), name="SR:unc"),
    )
    odd = load_background(json.dumps(content).encode(), "bkg.json", None)
    with pytest.raises(SourceError) as caught:
        Yields(odd, "mu", inline_table([{"SR": 1, "SR:unc": 0.1}]))
    assert str(caught.value) == (
        "row 1: 'SR:unc' is a channel, and the uncertainty of 'SR'; "
        "write 'SR:unc[0]' or 'SR[0]:unc'"
    )
    clear = inline_table([{"SR": 1, "SR:unc[0]": 2, "SR[0]:unc": 0.1}])
    first, second = json.loads(Yields(odd, "mu", clear).read(["signal"])["signal"])
    assert (first["value"]["data"], second["value"]["data"]) == ([1.0], [2.0])
    assert first["value"]["modifiers"][-1]["data"] == [0.1]


def test_an_integer_beyond_all_numbers_is_none(small):
    with pytest.raises(SourceError, match=r"^row 1: 'SR2' = 1000+ is no number"):
        Yields(small, "mu", inline_table([{"SR2": 10**400}]))


def test_a_signal_without_events_is_an_error_of_its_point(opened, small):
    found = opened("m,SR2,CR\n1,0,0\n2,4,0\n", "m").read(["signal_1", "signal_2"])

    empty, other = (outcome(small, patch) for patch in found.values())

    assert (empty.status, other.status) == ("error", "ok")
    problem = "makes the workspace unsound: the samples that carry the POI 'mu' expect no events"
    assert empty.error == f"PatchError: {PatchError(problem, 'signal')}"


def by_pyhf(content: Mapping[str, Any]) -> list[float]:
    """Observed CLs and expected band at mu = 1."""
    theirs = pyhf.Workspace(content)
    model = theirs.model()
    observed, band = pyhf.infer.hypotest(
        1.0, theirs.data(model), model, test_stat="qtilde", return_expected_set=True
    )
    return [float(observed), *map(float, band)]


@pytest.mark.parametrize("backend", ["native", "pyhf"])
def test_the_numbers_are_those_of_a_signal_put_in_by_hand(opened, small, backend):
    by_hand = json.loads(json.dumps(CONTENT))
    common = [normfactor("mu"), lumi(), normsys("scale", 0.95, 1.05), normsys("pdf", 0.8, 1.2)]
    for channel, data, spread in ((0, [1.5, 3.5], [0.0, 0.7]), (1, [4.0], [1.2]), (2, [0.3], [])):
        own = [shapesys(f"stat{channel}", spread)] if spread else []
        by_hand["channels"][channel]["samples"].append(sample("new", data, *common, *own))
    modifiers = luminosity_modifiers(small, None) + systematic_modifiers(
        small, "mu", {"scale": 0.05, "pdf": 0.2}
    )

    found = opened(
        "SR2,SR2:unc,SR[0],SR[1],SR[1]:unc,CR\n4,0.3,1.5,3.5,0.2,0.3\n", modifiers=modifiers
    )
    [test] = outcome(small, found.read(["signal"])["signal"], backend=backend).tests

    assert [test.CLs_obs, *test.CLs_exp] == pytest.approx(by_pyhf(by_hand), rel=2e-4)


@pytest.mark.data
def test_published_yields_alone_give_what_pyhf_finds(mirror: Path):
    """CLs of pyhf 0.7.6, minuit at tolerance 1e-3, for the nominal signal scaled by mu and lumi."""
    archive = open_archive(mirror / "1Lbb-likelihoods.tar.gz")
    names = [name for name in archive.names("*.json") if "BkgOnly" in name or "patchset" in name]
    content = archive.read(names)
    raw, patches = (content[name] for name in sorted(names))
    found = load_background(raw, "BkgOnly.json", None)
    [patch] = (
        p["patch"]
        for p in json.loads(patches)["patches"]
        if p["metadata"]["name"] == "C1N2_Wh_hbb_900_250"
    )
    row = {}
    for operation in patch:
        channel = found.content["channels"][int(operation["path"].split("/")[2])]["name"]
        row |= {f"{channel}[{i}]": events for i, events in enumerate(operation["value"]["data"])}
    signal = Yields(found, "mu_SIG", inline_table([row]), (), luminosity_modifiers(found, True))

    [test] = outcome(found, signal.read(["signal"])["signal"]).tests

    assert signal.gaps is None
    assert test.CLs_obs == pytest.approx(0.46970474, rel=1e-4)
    assert test.CLs_exp == pytest.approx(
        [0.01792362, 0.05956757, 0.17782904, 0.43278249, 0.76026663], rel=2e-4
    )
