"""The programs in examples/ run as they are, over both transports."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_stream_messages_prints_what_the_guide_shows(server_url: str, transport: str) -> None:
    command = [sys.executable, str(EXAMPLES / "stream_messages.py"), server_url, "--transport", transport]
    ran = subprocess.run(command, capture_output=True, timeout=60, text=True)
    assert ran.stderr == ""
    assert re.search(r"thread_id.*[0-9a-f]{8}-", ran.stdout.splitlines()[0])
    names = re.findall(r"^Receiving new event of type: (.*)\.\.\.$", ran.stdout, re.MULTILINE)
    assert names[:3] == ["metadata", "messages/metadata", "messages/partial"]
    assert names.count("messages/metadata") == 3
    assert names.count("messages/complete") >= 1
    assert names[-1].startswith("messages/")
    assert "tok0 tok1 tok2 tok3 tok4 tok5 " in ran.stdout
