"""What the programs of the README print, over both transports. That all pages run: test_pages.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List

import pytest

ROOT = Path(__file__).resolve().parents[2]
ANSWER = "tok0 tok1 tok2 tok3 tok4 tok5 "


def programs(page: str) -> List[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


class Pasted:
    """An interpreter that the programs are pasted into; the server's address stands in for the one they name."""

    def __init__(self, url: str, transport: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.names: Dict[str, Any] = {}
        self._client = f'"{url}", transport="{transport}"'
        self._capsys = capsys

    def said_by(self, program: str) -> str:
        """What the program prints."""
        code = program.replace('"http://localhost:2024", transport="websocket"', self._client)
        code = code.replace('"http://localhost:2024"', self._client).replace('"ask"', '"hitl"')
        before = self.names.get("client")
        exec(compile(code, "<pasted>", "exec"), self.names)
        if before is not None and before is not self.names["client"]:
            before.close()
        return self._capsys.readouterr().out


@pytest.fixture(params=["sse", "websocket"])
def pasted(request: pytest.FixtureRequest, server_url: str, capsys: pytest.CaptureFixture[str]) -> Pasted:
    return Pasted(server_url, request.param, capsys)


def test_every_recipe_of_the_readme_runs(pasted: Pasted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda prompt: "yes")
    said = [pasted.said_by(program) for program in programs("README.md")]
    first, messages, raw, text, _, completed, asked, _, listed, parsed, resumed = said
    assert first == text == ANSWER
    assert "→ search({'query': 'weather in city0'})" in messages
    assert "← It is 54F" in messages
    assert messages.endswith(ANSWER)
    assert "Receiving new event of type: messages/partial..." in raw
    assert f"ai {ANSWER}" in completed
    assert pasted.names["answer"].text == ANSWER
    assert asked == "draft0 draft1 draft2 final0 final1 final2 "
    page = pasted.names["app"].test_client().post("/chat").text
    assert [f'"delta":{{"text":"tok{number} "}}' in page for number in range(6)] == [True] * 6
    assert pasted.names["thread"].thread_id in listed
    assert int(parsed) == len(pasted.names["conversation"].messages) > 0
    assert "tok0 " + resumed == ANSWER
    pasted.names["client"].close()
