"""The reference has every public name, and nothing that is not there."""

from __future__ import annotations

import importlib
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Dict, Iterator, Set

import pytest

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"

PUBLIC = (
    "lgsync",
    "lgsync.accumulate",
    "lgsync.dev_server",
    "lgsync.errors",
    pytest.param("lgsync.flask", marks=pytest.mark.skipif(find_spec("flask") is None, reason="Flask is not here")),
    "lgsync.models",
    "lgsync.recording",
    "lgsync.resources.assistants",
    "lgsync.resources.crons",
    "lgsync.resources.http",
    "lgsync.resources.runs",
    "lgsync.resources.store",
    "lgsync.resources.threads",
    "lgsync.schema",
    "lgsync.testing",
    "lgsync.transport",
    "lgsync.transports",
    "lgsync.wsgi",
)


def named() -> Set[str]:
    """What the pages of the reference ask for."""
    pages = "\n".join(page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.md"))
    return set(re.findall(r"^::: ([\w.]+)$", pages, re.MULTILINE))


def shown() -> Iterator[Any]:
    """Each object in the reference: one that is named, or all that a named module has in ``__all__``."""
    for path in named():
        try:
            module = importlib.import_module(path)
        except ModuleNotFoundError as missing:
            if not str(missing.name).startswith("lgsync"):
                continue  # an extra that is not installed here
            above, _, name = path.rpartition(".")
            yield getattr(importlib.import_module(above), name)
        else:
            yield from (getattr(module, name) for name in module.__all__)


@pytest.mark.parametrize("module", PUBLIC)
def test_the_reference_has_every_public_name_of(module: str) -> None:
    held = list(shown())
    public: Dict[str, Any] = {name: getattr(importlib.import_module(module), name) for name in _all(module)}
    assert [name for name, value in public.items() if not any(value is one for one in held)] == []


def _all(module: str) -> Any:
    return importlib.import_module(module).__all__


def test_every_name_in_the_reference_is_there() -> None:
    assert list(shown())
