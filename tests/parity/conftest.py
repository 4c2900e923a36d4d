"""This client beside the official one: collected only where that is installed; it is a tool of development."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import List

import pytest

_HERE = Path(__file__).parent

collect_ignore_glob = [] if find_spec("langgraph_sdk") else ["test_*.py"]


def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker("full")
