"""Writing a recording: whole or not at all, and never a specification that is not valid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fitspec.collect import collect
from fitspec.errors import UsageError
from fitspec.files import write_file
from fitspec.record.blocks import with_blocks, with_replacements, with_source
from fitspec.record.measured import RECORDED_BY, Measured
from fitspec.record.recording import Recording
from fitspec.record.tables import read_recorded, table_text
from fitspec.sources import Access
from fitspec.spec import SpecFile, load_spec


def write(
    spec: SpecFile, recording: Recording, table: str | None, source: str, access: Access
) -> list[Path]:
    """Write a recording into its specification, or into a table beside it.

    Args:
        spec: the specification, as it was run.
        recording: what to write.
        table: for additions: path of a CSV file from the specification's folder; None writes them
            into the specification.
        source: of the values.
        access: how sources may be reached, to see that the specification is still valid.

    Returns:
        the files that were written.

    Raises:
        UsageError: the specification was changed meanwhile, or the table is not a recorded one.
        SpecError: the specification would no longer be valid.
    """
    text, tables = _texts(spec, recording, table, source)
    folder = spec.path.parent
    with _restored({folder / name: content for name, content in tables.items()}):
        write_file(
            spec.path,
            text.encode(),
            lambda temporary: _require_valid(spec, temporary, access),
        )
    return [spec.path, *(folder / name for name in tables)]


def require_table(spec: SpecFile, table: str) -> None:
    """Raise :class:`UsageError` unless values can be recorded into a table of this name."""
    path = spec.path.parent / table
    if Path(table).is_absolute() or path.suffix != ".csv":
        problem = f"--table {table}: is no CSV file beside the specification"
        raise UsageError(problem, f"name one by its path from {spec.name}, recorded.csv")
    if not path.parent.is_dir():
        raise UsageError(f"--table {table}: there is no such folder", "make it first")
    if path.exists() and _block_of(spec, table) is None:
        problem = f"--table {table}: is there already, and was not recorded for {spec.name}"
        raise UsageError(problem, "choose another name")


def _block_of(spec: SpecFile, table: str) -> int | None:
    """Index of the block that a recorded table has."""
    for index, block in enumerate(spec.spec.expect):
        if block.table == table and (block.source or "").startswith(RECORDED_BY):
            return index
    return None


def _texts(
    spec: SpecFile, recording: Recording, table: str | None, source: str
) -> tuple[str, dict[str, str]]:
    """The new text of the specification, and those of its tables by name."""
    several = len(spec.spec.tested) > 1
    blocks = spec.spec.expect
    inline = [r for r in recording.replacements if blocks[r.old.block].table is None]
    text, own = with_replacements(spec, inline, source)
    rows: dict[str, list[Measured]] = {}
    for replacement in recording.replacements:
        name = blocks[replacement.old.block].table
        if name is not None:
            rows.setdefault(name, []).append(replacement.new)
    if table is None:
        own += recording.additions
    elif recording.additions:
        rows.setdefault(table, []).extend(recording.additions)
    tables = {}
    for name, found in rows.items():
        index = _block_of(spec, name)
        tables[name] = _table(spec, name, found, several=several, fresh=index is None)
        if index is not None:
            text = with_source(text, index, source)
    new = table if table in rows and _block_of(spec, table) is None else None
    text = with_blocks(text, own, new, source, several=several)
    return _like(spec.text, text), tables


def _like(before: str, text: str) -> str:
    """The text with the line ends of an editor that writes CRLF, if the old one has them."""
    if before.count("\r\n") == before.count("\n"):
        return text.replace("\r\n", "\n").replace("\n", "\r\n")
    return text


def _table(
    spec: SpecFile, name: str, found: Sequence[Measured], *, several: bool, fresh: bool
) -> str:
    comment = f"# Written by `fitspec record`; its source is in {spec.path.name}\n"
    known: list[Measured] = []
    if not fresh:
        comment, known = read_recorded(spec.path.parent / name, spec.spec.tested)
    values = {m.identity: m for m in (*known, *found)}
    return table_text(values.values(), comment, several=several)


def _require_valid(spec: SpecFile, temporary: Path, access: Access) -> None:
    if spec.path.read_bytes().decode(errors="replace") != spec.text:
        raise UsageError(f"{spec.name} was changed while it was run", "record again")
    collect([load_spec(temporary, spec.name)], access)


@contextmanager
def _restored(texts: dict[Path, str]) -> Iterator[None]:
    """New content of files; the old one again if the block fails."""
    before = {path: path.read_bytes() if path.exists() else None for path in texts}
    try:
        for path, text in texts.items():
            write_file(path, text.encode())
        yield
    except BaseException:
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)
        raise
