"""The store: documents that outlive threads."""

from __future__ import annotations

from ..rest import Rest

__all__ = ["StoreClient"]


class StoreClient:
    """``client.store``. Every method raises the errors of :mod:`lgsync.errors`."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
