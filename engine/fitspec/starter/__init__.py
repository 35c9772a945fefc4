"""A first specification of an archive that nobody has written one for."""

from fitspec.starter.start import Draft, default_name, draft

__all__ = ["Draft", "default_name", "draft"]
