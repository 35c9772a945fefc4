"""What the arguments of an inspection mean: files, members of archives, or specifications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fitspec.collect import Point
from fitspec.collect.cases import Opener, open_case
from fitspec.collect.points import points_of
from fitspec.errors import SourceError, UsageError, WorkspaceError, nearest
from fitspec.inspection.inspection import Subject
from fitspec.sources import Access, Archive, Background, load_background, open_archive, open_patches
from fitspec.sources import resolve as resolve_source
from fitspec.sources.access import remote_url
from fitspec.sources.contents import contents_of, kind_of
from fitspec.sources.patches import patch_name
from fitspec.spec import SpecFile, find_specs

LISTED = 5
"""Names in an error message."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive; a file by itself is one of its folder."""

    archive: Archive
    name: str
    content: bytes


def subjects_of(
    workspace: str, patch: str | None, access: Access, *, name: str | None = None
) -> list[Subject]:
    """What to inspect.

    Args:
        workspace: a JSON file, ``ARCHIVE:member``, or a specification.
        patch: a JSON file, a member of an archive, or for a specification a point's id.
        access: how sources may be reached.
        name: which patch of a PatchSet.

    Returns:
        one subject; of a specification without a patch, all its workspaces.

    Raises:
        FitspecError: there is no such thing, or it is something else.
    """
    if workspace.startswith("@") or workspace.endswith(".toml"):
        if name is not None:
            raise UsageError("--patch chooses from a PatchSet", "name the point instead")
        [spec] = find_specs([workspace])
        return _of_spec(spec, patch, Opener(access))
    member = _workspace_member(workspace, access)
    background = load_background(member.content, member.name, None)
    if patch is None:
        if name is not None:
            raise UsageError(f"--patch {name}: there is no PatchSet", "name its file, too")
        return [Subject(background)]
    return [_patched(background, _patch_member(patch, member, access), name)]


def _of_spec(spec: SpecFile, patch: str | None, opener: Opener) -> list[Subject]:
    if patch is not None:
        return [_of_point(_point(spec, patch, opener))]
    cases = [open_case(spec, values, opener) for values in spec.spec.cases]
    asked = {(case.background.digest, case.measurement, case.poi): case for case in cases}
    return [Subject(case.background, case.measurement, case.poi) for case in asked.values()]


def _of_point(point: Point) -> Subject:
    case = point.case
    operations = case.patches.read([point.patch])[point.patch]
    return Subject(
        case.background, case.measurement, case.poi, point.patch, operations, point.labels
    )


def _point(spec: SpecFile, name: str, opener: Opener) -> Point:
    points = points_of(spec, opener)
    found = [point for point in points if point.id == name]
    found = found or [point for point in points if point.patch == name]
    if len(found) == 1:
        return found[0]
    if found:
        problem = f"{spec.name}: {len(found)} points have the patch {name!r}"
        raise UsageError(problem, f"name one: {_listed([point.id for point in found])}")
    remedy = nearest(name, [point.id for point in points]) or "`fitspec collect` lists all"
    raise UsageError(f"{spec.name}: there is no point {name!r}", remedy)


def _workspace_member(argument: str, access: Access) -> Member:
    member = _member(argument, access)
    if isinstance(member, Member):
        return member
    names = list(contents_of(member).workspaces)
    if len(names) == 1:
        return Member(member, names[0], member.read(names)[names[0]])
    if not names:
        raise WorkspaceError(f"{argument} holds no workspace", "name the file that is one")
    problem = f"{argument} holds {len(names)} workspaces"
    raise UsageError(problem, f"name one: {_listed([f'{argument}:{name}' for name in names])}")


def _patch_member(argument: str, beside: Member, access: Access) -> Member:
    """A file, a member of an archive, or of the one that the workspace is in."""
    path = Path(argument)
    if not path.exists() and argument in beside.archive.names(_literal(argument)):
        return Member(beside.archive, argument, beside.archive.read([argument])[argument])
    member = _member(argument, access)
    if isinstance(member, Member):
        return member
    raise UsageError(f"{argument}: which of its files is the patch?", f"name it: {argument}:FILE")


def _member(argument: str, access: Access) -> Member | Archive:
    """A file with the archive that it is in; the archive itself where no file is named."""
    path = Path(argument)
    if path.is_file() and path.suffix.lower() == ".json":
        path = path.resolve()  # a link's sources are beside the file it leads to
        return Member(open_archive(path.parent), path.name, path.read_bytes())
    if path.exists():
        return open_archive(path)
    source, colon, name = argument.rpartition(":")
    if not colon or name.startswith("//") or _is_doi(argument, source):
        return open_archive(_resolved(argument, access))
    archive = open_archive(_resolved(source, access))
    return Member(archive, name, archive.read([name])[name])


def _is_doi(argument: str, source: str) -> bool:
    """``doi:10.17182/...`` has a colon without a member."""
    return source.lower() == "doi" and remote_url(argument) is not None


def _resolved(source: str, access: Access) -> Path:
    if remote_url(source) is None and not Path(source).exists():
        folder = Path(source).parent
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        remedy = nearest(Path(source).name, names, str(folder / "{}"))
        raise SourceError(f"{source}: no such file or folder", remedy)
    return resolve_source(source, Path.cwd(), access)


def _patched(background: Background, member: Member, name: str | None) -> Subject:
    kind = kind_of(member.content)
    if kind == "patchset":
        return _from_patchset(background, member, name)
    if name is not None:
        raise UsageError(f"--patch {name}: {member.name} is no PatchSet", "leave --patch out")
    if kind == "workspace":
        raise WorkspaceError(f"{member.name} is a workspace and no patch", "name a patch")
    return Subject(background, patch=patch_name(member.name), operations=member.content)


def _from_patchset(background: Background, member: Member, name: str | None) -> Subject:
    patches = open_patches(member.archive, background, patchset=member.name)
    names = list(patches.labels)
    if name is None:
        problem = f"{member.name} holds {len(names)} patches"
        raise UsageError(problem, f"choose one with --patch: {_listed(names)}")
    if name not in names:
        remedy = nearest(name, names) or f"there are {_listed(names)}"
        raise UsageError(f"--patch {name}: {member.name} has no patch of this name", remedy)
    operations = patches.read([name])[name]
    return Subject(background, patch=name, operations=operations, labels=patches.labels[name])


def _literal(name: str) -> str:
    """A glob that matches a name and nothing else."""
    return name.translate({ord(mark): f"[{mark}]" for mark in "*?["})


def _listed(names: Sequence[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > LISTED else ""
    return f"{', '.join(names[:LISTED])}{more}"
