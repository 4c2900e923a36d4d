"""The programs of docs/wsgi.md run as they are pasted."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict

from lgsync import Client

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "wsgi.md"
TOKENS = [f"tok{number} " for number in range(6)]


def pasted(server_url: str) -> Dict[str, Any]:
    names: Dict[str, Any] = {}
    programs = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    for program in programs:
        exec(compile(program.replace("http://localhost:2024", server_url), str(GUIDE), "exec"), names)
    return names


def test_every_program_of_the_guide_runs(server_url: str, client: Client) -> None:
    names = pasted(server_url)
    browser = names["app"].test_client()
    told = browser.post("/chat").text
    ids = re.findall(r"^id: (\S+)$", told, re.MULTILINE)
    rest = browser.get("/runs/any/events", headers={"Last-Event-ID": ids[-3]}).text
    question = {"messages": [{"role": "user", "content": "hello"}]}

    def started() -> Any:
        return client.runs.stream(client.threads.create().thread_id, "agent", input=question)

    async def read() -> bytes:
        return b"".join([piece async for piece in names["pieces"](started())])

    # In a thread without an event loop: playwright keeps one in this one.
    with ThreadPoolExecutor(1) as elsewhere:
        under_asgi = elsewhere.submit(lambda: asyncio.run(read())).result().decode()

    def given_in(page: str) -> Any:
        return [token for token in TOKENS if f'"delta":{{"text":"{token}"}}' in page]

    assert given_in(told) == TOKENS
    assert 0 < len(rest) < len(told)
    assert given_in(under_asgi) == TOKENS
    relayed = list(names["handed_on"](started()))
    assert {name for kinds, _ in relayed for name in kinds} == {"messages", "updates"}
    assert all(cursor.startswith("lgsync1.") for _, cursor in relayed)
    names["client"].close()
