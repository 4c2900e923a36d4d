"""The version of the installed package, looked up when asked for."""

from __future__ import annotations

from functools import lru_cache

__all__ = ["version"]


@lru_cache(maxsize=1)
def version() -> str:
    """The version, as the installed distribution's metadata has it."""
    from importlib.metadata import version as installed

    return installed("lgsync")
