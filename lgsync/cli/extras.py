"""How to get what the command line needs and a plain installation does not bring."""

from __future__ import annotations

__all__ = ["INSTALL"]

INSTALL = "pip install 'lgsync[cli]' (in a checkout of lgsync: pip install '.[cli]')"
