"""Looking at workspaces and patches before anything is fitted."""

from fitspec.inspection.changes import Changes
from fitspec.inspection.effects import Extreme
from fitspec.inspection.findings import Finding
from fitspec.inspection.inspection import Inspection, Subject, inspect
from fitspec.inspection.summary import Channel, Parameter, Sample, Summary
from fitspec.inspection.target import subjects_of

__all__ = [
    "Changes",
    "Channel",
    "Extreme",
    "Finding",
    "Inspection",
    "Parameter",
    "Sample",
    "Subject",
    "Summary",
    "inspect",
    "subjects_of",
]
