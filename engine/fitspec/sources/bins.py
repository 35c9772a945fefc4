"""The bins of a workspace by the names that a user gives them: ``SR``, or ``SR[0]``."""

from __future__ import annotations

from dataclasses import dataclass

from fitspec.errors import SourceError, WorkspaceError, nearest
from fitspec.sources.workspace import Background


@dataclass(frozen=True, slots=True, order=True)
class Bin:
    """One bin: the channel's index in the workspace, and its own index in the channel."""

    channel: int
    index: int


class BinNames:
    """Names of a workspace's bins: ``channel[index]``, or a channel of one bin.

    Args:
        background: the workspace.

    Attributes:
        channels: names of the channels, in the workspace's order.
        sizes: their numbers of bins.
        observed: observed events by bin.

    Raises:
        WorkspaceError: a channel is not observed.
    """

    def __init__(self, background: Background) -> None:
        data = {o["name"]: o["data"] for o in background.content["observations"]}
        self.channels = [channel["name"] for channel in background.content["channels"]]
        self.sizes: list[int] = []
        self.observed: dict[Bin, float] = {}
        self._named: dict[str, set[Bin]] = {}
        for channel, name in enumerate(self.channels):
            if name not in data:
                raise WorkspaceError(f"{background.name}: channel {name!r} has no observation")
            self.sizes.append(len(data[name]))
            for index, events in enumerate(data[name]):
                here = Bin(channel, index)
                self.observed[here] = events
                self._named.setdefault(f"{name}[{index}]", set()).add(here)
                if len(data[name]) == 1:
                    self._named.setdefault(name, set()).add(here)

    @property
    def all(self) -> list[str]:
        """One name of every bin, the shortest."""
        return [self.name(here) for here in self.observed]

    @property
    def listed(self) -> str:
        """Which channels there are, for messages."""
        return f"channels are {', '.join(map(printable, self.channels))}"

    def name(self, here: Bin) -> str:
        """The shortest name of a bin."""
        channel = self.channels[here.channel]
        return channel if self.sizes[here.channel] == 1 else f"{channel}[{here.index}]"

    def __contains__(self, name: str) -> bool:
        return name in self._named

    def find(self, name: str) -> Bin:
        """The bin of this name.

        Raises:
            SourceError: there is none, or more than one.
        """
        found = self._named.get(name, set())
        if len(found) > 1:  # channels `SR` and `SR[0]`
            raise SourceError(f"{name!r} is the name of two bins", "write `channel[bin]`")
        if not found:
            raise self._absent(name)
        return next(iter(found))

    def _absent(self, name: str) -> SourceError:
        if name in self.channels:
            bins = self.sizes[self.channels.index(name)]
            remedy = f"name one of {name}[0] to {name}[{bins - 1}]" if bins else ""
            return SourceError(f"channel {name!r} has {bins} bins", remedy)
        remedy = nearest(name, self.all) or self.listed
        return SourceError(f"the workspace has no channel or bin {name!r}", remedy)


def printable(name: str) -> str:
    """A workspace's name as it is, or escaped where it would garble a terminal."""
    return name if name.isprintable() else repr(name)
