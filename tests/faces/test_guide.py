"""The programs of docs/wsgi.md run as they are pasted."""

from __future__ import annotations

import asyncio
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, List
from wsgiref.simple_server import make_server

from lgsync import Client

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "wsgi.md"
TOKENS = [f"tok{number} " for number in range(6)]
QUESTION = {"messages": [{"role": "user", "content": "hello"}]}


def programs(language: str) -> List[str]:
    text = GUIDE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def pasted(server_url: str) -> Dict[str, Any]:
    names: Dict[str, Any] = {}
    for program in programs("python"):
        exec(compile(program.replace("http://localhost:2024", server_url), str(GUIDE), "exec"), names)
    return names


def test_every_program_of_the_guide_runs(server_url: str, client: Client) -> None:
    names = pasted(server_url)
    browser = names["app"].test_client()
    told = browser.post("/chat").text
    ids = re.findall(r"^id: (\S+)$", told, re.MULTILINE)
    rest = browser.get("/runs/any/events", headers={"Last-Event-ID": ids[-3]}).text

    def started() -> Any:
        return client.runs.stream(client.threads.create().thread_id, "agent", input=QUESTION)

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


def test_the_script_of_the_guide_shows_the_answer_in_a_browser_and_connects_no_more(
    server_url: str, client: Client, tab: Callable[..., Any]
) -> None:
    from flask import session

    names = pasted(server_url)
    (script,) = programs("javascript")
    show = "const shown = {}; const show = (id, text) => { shown[id] = text; };"

    @names["app"].get("/")
    def page() -> str:
        session["thread_id"] = client.threads.create().thread_id
        modes = ["messages-tuple", "updates"]
        run = client.runs.create(session["thread_id"], "agent", input=QUESTION, stream_mode=modes)
        return f"<body><script>{show} {script.replace('/runs/…/', f'/runs/{run.run_id}/')}</script>"

    server = make_server("127.0.0.1", 0, names["app"])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        opened = tab(f"http://127.0.0.1:{server.server_port}")
        opened.wait_for_function("() => source.readyState === EventSource.CLOSED")
        assert "".join(TOKENS) in opened.evaluate("Object.values(shown)")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    names["client"].close()
