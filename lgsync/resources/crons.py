"""Crons: runs on a schedule."""

from __future__ import annotations

from ..rest import Rest

__all__ = ["CronsClient"]


class CronsClient:
    """``client.crons``. Every method raises the errors of :mod:`lgsync.errors`."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
