"""Every block of the README and of docs/ runs, against a real server, as :mod:`pages` says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from pages import LEFT_OUT, PAGES, ROOT, SHOWN, Block, blocks, page_named

Ran = subprocess.CompletedProcess

#: A page may start servers of its own, and others may wait their turn.
SECONDS = 300

RUNNER = ROOT / "tests" / "support" / "run_page.py"

#: That of a reader's shell: no key and no proxy of the machine's own, and the commands of this environment.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.lower().endswith(("_api_key", "_proxy"))},
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    "PYTHONIOENCODING": "utf-8",
}

#: How many blocks of a page say that they do not run. Each says why; a new one has to be entered here.
NOT_RUN: Dict[str, int] = {"docs/command-line.md": 4}

EVERY = [block for page in PAGES for block in blocks(page)]
RUNNING = [page for page in PAGES if any(block.kind != "shown" for block in blocks(page))]


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, demo_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dict[Path, Future[Ran]]]:
    """The pages that are asked for, a few at a time: mostly they wait for the server."""
    items = [item for item in request.session.items if item.path == request.path and "page" in _parameters(item)]
    asked = [item.callspec.params["page"] for item in items]
    with ThreadPoolExecutor(max_workers=3) as pool:
        yield {page: pool.submit(_run, page, demo_url, tmp_path_factory.mktemp(page.stem)) for page in asked}


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("page", RUNNING, ids=page_named)
def test_every_block_of_the_page_runs_and_prints_what_the_page_says(page: Path, runs: Dict[Path, Future[Ran]]) -> None:
    ran = runs[page].result()
    assert ran.returncode == 0, ran.stderr


def _run(page: Path, url: str, folder: Path) -> Ran:
    steps = [_step(block) for block in blocks(page) if block.kind != "shown"]
    address = url.partition("://")[2]
    file = folder / "steps.json"
    file.write_text(json.dumps(steps, ensure_ascii=False).replace("localhost:2024", address), encoding="utf-8")
    reader = folder / "reader"
    reader.mkdir()
    return subprocess.run(
        [sys.executable, str(RUNNER), str(file)],
        cwd=reader,
        env={**ENVIRONMENT, "LANGGRAPH_URL": url},
        input="yes\n" * 20,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS - 10,
    )


def _parameters(item: pytest.Item) -> Any:
    return item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()


def _step(block: Block) -> Dict[str, Any]:
    code = "\n".join(block.commands) if block.kind == "bash" else block.code
    fields = {name: getattr(block, name) for name in ("kind", "page", "line", "title", "prints")}
    return {**fields, "code": code}


def test_blocks_are_in_a_language_that_is_known_to_run_or_not_to() -> None:
    unknown = [f"{block.page}:{block.line}: {block.language}" for block in EVERY if _unknown(block.language)]
    assert unknown == []


def _unknown(language: str) -> bool:
    return language not in {"python", "given", "bash", "console", *SHOWN}


def test_no_more_blocks_than_are_listed_do_not_run() -> None:
    assert Counter(block.page for block in EVERY if block.not_run) == NOT_RUN


def test_every_command_that_is_left_out_is_shown_on_some_page() -> None:
    commands = [line for block in EVERY if block.language == "bash" for line in block.code.splitlines()]
    assert [left for left in LEFT_OUT if not any(re.match(left, line) for line in commands)] == []
