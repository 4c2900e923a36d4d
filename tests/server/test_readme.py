"""The README's recipes run as they are pasted, one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"


def recipes() -> List[str]:
    return re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_every_recipe_runs(
    server_url: str, transport: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("builtins.input", lambda prompt: "yes")
    url = f'"{server_url}", transport="{transport}"'
    names: Dict[str, Any] = {}
    said = []
    for recipe in recipes():
        code = recipe.replace('"http://localhost:2024", transport="websocket"', url)
        code = code.replace('"http://localhost:2024"', url).replace('"ask"', '"hitl"')
        exec(compile(code, str(README), "exec"), names)
        said.append(capsys.readouterr().out)
    names["client"].close()
    answer = "tok0 tok1 tok2 tok3 tok4 tok5 "
    first, messages, raw, text, completed, asked, _ = said
    assert first == text == answer
    assert "→ search({'query': 'weather in city0'})" in messages
    assert "← It is 54F" in messages
    assert messages.endswith(answer)
    assert "Receiving new event of type: messages/partial..." in raw
    assert f"ai {answer}" in completed
    assert names["answer"].text == answer
    assert asked == "draft0 draft1 draft2 final0 final1 final2 "
