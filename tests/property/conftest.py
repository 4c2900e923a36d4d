"""Tests that compare with langchain-core are collected only where it is installed; it is a tool of development."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("langchain_core") else ["*_against_langchain.py"]
