"""``fitspec run --lf``: what failed in the last run, once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fitspec.errors import counted

if TYPE_CHECKING:
    from fitspec.report.last_failed import LastFailed
    from fitspec.session import Settings


def failed_again(
    specs: Sequence[str], settings: Settings, memory: LastFailed
) -> tuple[Settings, str]:
    """Settings of a run of what failed, and what to say about it.

    Where nothing failed, or nothing of that is selected, all that is selected is run: as in pytest.

    Args:
        specs: files, folders, or ``@name``.
        settings: of the run without ``--lf``.
        memory: of the last runs.

    Raises:
        FitspecError: invalid specifications, sources or selections.
    """
    from fitspec.collect import collect
    from fitspec.spec import find_specs

    found = collect(find_specs(specs), settings.access, settings.keywords)
    known = memory.of(spec.name for spec in found.specs)
    chosen = known & {*found.node_ids, *(point.node_id for point in found.points)}
    if chosen:
        told = f"--lf: {counted(len(chosen), 'failure')} of the last run again"
        return replace(settings, only=frozenset(chosen)), told
    if known:
        failures = counted(len(known), "known failure")
        return settings, f"--lf: {failures}, none of them selected here; all that is selected runs"
    return settings, "--lf: nothing failed in the last run; all that is selected runs"
