"""Measured values as ``[[expect]]`` blocks of a TOML document, whose comments and layout stay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fitspec.collect.expectations import AT_MU
from fitspec.record.measured import Measured
from fitspec.record.recording import Replacement
from fitspec.spec import SpecFile
from fitspec.spec.locate import key_lines

if TYPE_CHECKING:
    from tomlkit import TOMLDocument
    from tomlkit.items import Table

Group = tuple[str, float | None, float, float]
"""Point, POI value (None where there is no doubt), and tolerances."""


def grouped(found: Iterable[Measured], *, several: bool) -> dict[Group, list[Measured]]:
    """What can stand in one block, or in one row of a table.

    Args:
        found: measured values.
        several: more than one POI value is tested.
    """
    groups: dict[Group, list[Measured]] = {}
    for m in found:
        group = (m.id, m.mu if several else None, m.rtol, m.atol)
        groups.setdefault(group, []).append(m)
    return groups


def with_replacements(
    spec: SpecFile, replacements: Sequence[Replacement], source: str
) -> tuple[str, list[Measured]]:
    """The specification's text with other values in its own blocks.

    A block all of whose quantities change keeps its place; from another, which may have a source of
    its own, those that change are taken out.

    Args:
        spec: the specification.
        replacements: of expectations in blocks that name their point.
        source: of the new values.

    Returns:
        the text, and the values that need blocks of their own.
    """
    import tomlkit

    document = tomlkit.parse(spec.text)
    several = len(spec.spec.tested) > 1
    homeless: list[Measured] = []
    absent: dict[int, dict[str, Any]] = {}
    for index in dict.fromkeys(r.old.block for r in replacements):
        found = [r.new for r in replacements if r.old.block == index]
        block: Any = document["expect"][index]
        others = spec.spec.expect[index].quantities.keys() - {m.quantity for m in found}
        group, first = next(iter(grouped(found, several=several).items()))
        staying = [] if others else first
        homeless += [m for m in found if m not in staying]
        for m in found:
            if m not in staying:
                del block[m.quantity]
        if staying:
            keys = _keys(group, source)
            _fill(block, staying, {key: keys[key] for key in keys if key in block})
            absent[index] = {k: v for k, v in keys.items() if v is not None and k not in block}
        elif not others & {*AT_MU}:
            block.pop("mu", None)
    return _with_keys(tomlkit.dumps(document), absent), homeless


def _keys(group: Group, source: str) -> dict[str, Any]:
    _, mu, rtol, atol = group
    return {"mu": mu, "rtol": rtol, "atol": atol or None, "source": source}


def _with_keys(text: str, absent: Mapping[int, Mapping[str, Any]]) -> str:
    """New keys after the point of their block: at its end, comments belong to what follows."""
    import tomlkit

    document = tomlkit.parse(text)
    for index in sorted(absent, reverse=True):
        if isinstance(document["expect"], tomlkit.items.Array):
            _fill(document["expect"][index], [], absent[index])
            text = tomlkit.dumps(document)
        else:
            lines = text.splitlines(keepends=True)
            new = tomlkit.table()
            _fill(new, [], absent[index])
            lines.insert(key_lines(text)["expect", index, "point"], new.as_string())
            text = "".join(lines)
    return text


def with_blocks(
    text: str, found: Iterable[Measured], table: str | None, source: str, *, several: bool
) -> str:
    """A specification's text with new blocks at its end.

    Args:
        text: of the specification.
        found: values for blocks of their own.
        table: a table for a block of its own.
        source: of all of them.
        several: more than one POI value is tested.
    """
    import tomlkit

    blocks: list[dict[str, Any]] = [
        {"point": group[0], **{m.quantity: m.value for m in members}, **_keys(group, source)}
        for group, members in grouped(found, several=several).items()
    ]
    if table is not None:
        blocks.append({"table": table, "source": source})
    document = tomlkit.parse(text)
    if isinstance(document.get("expect"), tomlkit.items.Array):  # inline tables, in one array
        for block in blocks:
            inline = tomlkit.inline_table()
            _fill(inline, [], block)
            document["expect"].append(inline)
        return tomlkit.dumps(document)
    written = [text.rstrip("\n") + "\n"]
    for block in blocks:
        new = tomlkit.table()
        _fill(new, [], block)
        written.append(f"\n[[expect]]\n{new.as_string()}")
    return "".join(written)


def with_source(text: str, block: int, source: str) -> str:
    """A specification's text with another source of one of its blocks."""
    import tomlkit

    document: TOMLDocument = tomlkit.parse(text)
    expect: Any = document["expect"]
    expect[block]["source"] = source
    return tomlkit.dumps(document)


def _fill(block: Table | Any, members: Sequence[Measured], others: Mapping[str, Any]) -> None:
    """Set what has a value, and remove what has none."""
    for m in members:
        block[m.quantity] = list(m.value) if isinstance(m.value, tuple) else m.value
    for key, value in others.items():
        if value is None:
            block.pop(key, None)
        else:
            block[key] = list(value) if isinstance(value, tuple) else value
