"""Model-independent signals: one event in one bin, so that the POI counts signal events."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from fitspec.results import Label
from fitspec.sources.bins import Bin
from fitspec.sources.patches import require_distinct
from fitspec.sources.signals import SignalWriter
from fitspec.sources.workspace import Background

PREFIX = "discovery_"
"""Of the patches' names; a channel follows."""


class Discovery:
    """One hypothesis a bin; a :class:`~fitspec.sources.patches.PatchSource`.

    The POI is the number of signal events in the bin, so its upper limit at 95% CL is S95. Its
    range is made to fit: up to 10 + twice the sum of observed and nominal background events, or
    what the measurement gives if that is more.

    Args:
        background: the workspace, without a signal.
        measurement: one of its measurements.
        poi: name of the POI.
        names: bins, ``channel[index]``, or channels of one bin.

    Raises:
        SourceError: a name that no bin has, or one twice; a workspace with a signal.
    """

    def __init__(
        self,
        background: Background,
        measurement: Mapping[str, Any],
        poi: str,
        names: Sequence[str],
    ) -> None:
        self._writer = SignalWriter(background, poi)
        bins = self._writer.bins
        self._bins = {f"{PREFIX}{name}": bins.find(name) for name in names}
        require_distinct([f"{PREFIX}{name}" for name in names], "discovery")
        self.labels: dict[str, dict[str, Label]] = {
            f"{PREFIX}{name}": {"channel": name} for name in names
        }
        self._poi = poi
        self._parameters = measurement["config"]["parameters"]
        self._path = _config_path(background, measurement)
        low, high = background.poi_bounds(measurement, poi)
        self._bounds = {
            name: (low, max(high, 10 + 2 * (bins.observed[here] + _expected(background, here))))
            for name, here in self._bins.items()
        }

    @property
    def poi_bounds(self) -> tuple[float, float]:
        """Range of the POI in which all hypotheses can be tested."""
        return (
            max(low for low, _ in self._bounds.values()),
            min(high for _, high in self._bounds.values()),
        )

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        """JSON of the patches' operations by name."""
        return {
            name: orjson.dumps([self._bound(name), *self._writer.operations({self._bins[name]: 1})])
            for name in names
        }

    def _bound(self, name: str) -> dict[str, Any]:
        """The operation that sets the POI's range."""
        bounds = [self._bounds[name]]
        parameters = f"{self._path}/parameters"
        for index, parameter in enumerate(self._parameters):
            if parameter["name"] == self._poi:
                return {"op": "add", "path": f"{parameters}/{index}/bounds", "value": bounds}
        return {
            "op": "add",
            "path": f"{parameters}/-",
            "value": {"name": self._poi, "bounds": bounds},
        }


def _expected(background: Background, here: Bin) -> float:
    """Nominal background events in a bin."""
    samples = background.content["channels"][here.channel]["samples"]
    return float(sum(sum(sample["data"][here.index : here.index + 1]) for sample in samples))


def _config_path(background: Background, measurement: Mapping[str, Any]) -> str:
    index = list(background.content["measurements"]).index(measurement)
    return f"/measurements/{index}/config"
