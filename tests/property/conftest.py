"""Laws, held by random cases: what they are about differs on no Python, so they run where the whole suite runs.

Those that compare with langchain-core are collected only where it is installed; it is a tool of development.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import List

import pytest

_HERE = Path(__file__).parent

collect_ignore_glob = [] if find_spec("langchain_core") else ["*_against_langchain.py"]


def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker("full")
