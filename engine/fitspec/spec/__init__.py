"""The specification language: TOML in, validated and immutable models out."""

from fitspec.spec.files import SpecFile, find_specs, load_spec
from fitspec.spec.models import SCHEMA_VERSION, Spec, json_schema

__all__ = ["SCHEMA_VERSION", "Spec", "SpecFile", "find_specs", "json_schema", "load_spec"]
