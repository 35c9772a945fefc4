"""A commented specification, as text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fitspec.errors import counted
from fitspec.results import Label
from fitspec.sources.bins import printable
from fitspec.starter.choose import Choice
from fitspec.starter.survey import listed

_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the archive is, and what is known of it.

    Attributes:
        analysis: a name for the analysis.
        archive: as the specification names it; None for its own folder.
        sha256: of its bytes; None for a folder.
        hepdata: DOI of the HEPData record; None where the source does not tell.
    """

    analysis: str
    archive: str | None
    sha256: str | None
    hepdata: str | None


def compose(choice: Choice, origin: Origin) -> str:
    """The text of a specification that runs as it is; what is not known stands in comments."""
    parts = [
        _head(choice, origin),
        _parametrize(choice),
        _workspace(choice, origin),
        _patches(choice),
        _question(choice),
        _expect(choice),
    ]
    return "\n".join("".join(f"{line}\n" for line in part) for part in map(list, parts) if part)


def _head(choice: Choice, origin: Origin) -> Iterator[str]:
    points = counted(len(choice.points), "point")
    yield f"# Written by `fitspec init`: {points}. It runs as it is. Look at what was found,"
    yield "# and complete what only you can know."
    for note in choice.notes:
        yield f"# Note: {_plain(note)}"
    yield "fitspec = 1"
    yield ""
    yield "[analysis]"
    yield f"name = {_text(origin.analysis)}  # the analysis' own identifier is better"
    yield '# title = ""'
    if origin.hepdata is None:
        yield '# references = { arxiv = "", hepdata = "" }'
    else:
        yield f"references = {{ hepdata = {_text(origin.hepdata)} }}  # and arxiv, inspire, doi"


def _parametrize(choice: Choice) -> list[str]:
    """One list, or keys that go together."""
    if not choice.keys:
        return []
    rows = [[_value(value) for value in row] for row in zip(*choice.keys.values(), strict=True)]
    values = _list(row[0] if len(row) == 1 else _list(row) for row in rows)
    return ["[parametrize]", f"{_key(', '.join(choice.keys))} = {values}"]


def _workspace(choice: Choice, origin: Origin) -> Iterator[str]:
    yield "[workspace]"
    if origin.archive is not None:
        yield f"archive = {_text(origin.archive)}"
    if origin.sha256 is not None:
        yield f'# sha256 = "{origin.sha256}"  # of the archive as it was read'
    yield f"path = {_text(choice.path)}"
    if len(choice.offers) == 1:
        yield f'digest = "{choice.offers[0].background.digest}"'
    else:
        yield "digest = ["
        for offer in choice.offers:
            yield f'  "{offer.background.digest}",  # {_plain(offer.name)}'
        yield "]"
    yield from _measurements(choice)


def _measurements(choice: Choice) -> Iterator[str]:
    """The first is used; all are named, as far as the first workspace has them."""
    measurements = choice.offers[0].background.content["measurements"]
    for index, measurement in enumerate(measurements):
        remark = f"POI {measurement['config']['poi']!r}"
        if index == 0:
            remark += ", the default" if len(measurements) > 1 else ", the only one"
        yield f"# measurement = {_text(measurement['name'])}  # {_plain(remark)}"


def _patches(choice: Choice) -> Iterator[str]:
    if choice.kind == "own":
        yield "# The workspace holds its signal, so there are no [patches]."
    elif choice.kind == "none":
        yield "# No signal was found, so the background is fitted. To test signals, remove [fit]"
        yield "# and give their events,"
        yield "# [patches]"
        yield '# yields = "signal.csv"  # label columns, and one a bin: CHANNEL[0], CHANNEL[1]'
        yield '# labels = ["mass"]'
        yield "# or one event in each of some channels or bins, for model-independent limits:"
        names = [channel["name"] for channel in choice.offers[0].background.content["channels"]]
        yield f"# discovery = {_list(map(_text, names))}"
    elif choice.kind == "patchset":
        yield "[patches]"
        yield f"patchset = {_text(choice.patches or '')}"
        yield from _labels(choice)
        originals = _list(map(_text, choice.labels))
        yield f"# labels = {originals}  # other names for them, in this order"
        yield from _select(choice)
    else:
        yield "[patches]"
        if choice.labels:
            yield "# The names of the labels are made up; put better ones into the braces."
        yield f"files = {_text(choice.patches or '')}"
        yield from _labels(choice)
        yield from _select(choice)


def _labels(choice: Choice) -> Iterator[str]:
    width = max(map(len, choice.labels), default=0)
    for label, values in choice.labels.items():
        yield f"#   {_plain(label).ljust(width)}  {_spread(values)}"


def _spread(values: Sequence[Label]) -> str:
    distinct = list(dict.fromkeys(values))
    numbers = [value for value in distinct if not isinstance(value, str)]
    count = counted(len(distinct), "value")
    if len(numbers) == len(distinct) and len(numbers) > 1:
        return f"{count} from {min(numbers)} to {max(numbers)}"
    return f"{count}: {_plain(listed([str(value) for value in distinct]))}"


def _select(choice: Choice) -> Iterator[str]:
    for label, values in choice.labels.items():
        numbers = sorted({value for value in values if not isinstance(value, str)})
        if len(numbers) > 1:
            middle = numbers[len(numbers) // 2]
            what = "values, lists, ge, gt, le, lt"
            yield f"# select = {{ {_key(label)} = {{ ge = {middle} }} }}  # {what}"
            return


def _question(choice: Choice) -> Iterator[str]:
    if choice.kind == "none":
        yield "[fit]"
        yield "# yields = true  # events after the fit"
        return
    yield "[poi]"
    yield "test = 1.0"
    yield "# upper_limit = 0.95  # limits on the signal strength, observed and expected"
    regions = len(choice.offers) > 1 and choice.kind in {"files", "patchset"}
    if regions and len(choice.keys) == 1:
        yield ""
        yield "# [combine]  # of each signal, the case with the lowest median expected CLs"
        yield f"# best_expected = {_text(next(iter(choice.keys)))}"
    numeric = [
        label
        for label, values in choice.labels.items()
        if not any(isinstance(value, str) for value in values)
    ]
    if numeric:
        yield ""
        yield "# [cross_section]  # with upper_limit: limits in pb, too"
        yield f'# table = "xsec.csv"  # columns {_plain(numeric[0])} and xsec_pb'
        yield f"# on = {_text(numeric[0])}"


def _expect(choice: Choice) -> Iterator[str]:
    """An example of the first point."""
    yield "# [[expect]]"
    yield f"# point = {_text(choice.points[0])}"
    yield "# mu_hat = 1.0" if choice.kind == "none" else "# CLs_obs = 0.05"
    yield "# rtol = 1e-3"
    yield '# source = "where the value was published"'


def _value(value: Label) -> str:
    return _text(value) if isinstance(value, str) else str(value)


def _text(text: str) -> str:
    """A TOML string; what JSON escapes, TOML escapes in the same way, but for one character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    """A TOML key, quoted where it must be."""
    return name if _BARE.fullmatch(name) else _text(name)


def _plain(text: str) -> str:
    """A comment is one line."""
    return printable(text)


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(values)}]"
