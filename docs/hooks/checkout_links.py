"""Links out of docs/ lead somewhere in a checkout only: on the site they are the names of the files."""

from __future__ import annotations

import re
from typing import Any

_OUTSIDE = re.compile(
    r"\[([^\]]+)\]\(\.\./((?:benchmarks|examples|lgsync|tests|transports)/[^)\s]+|(?:README|CHANGELOG)\.md)\)"
)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with ``[a chat](../examples/chat.py)`` as “a chat (examples/chat.py)”."""
    return _OUTSIDE.sub(lambda link: link[1] if link[1] in link[2] else f"{link[1]} (`{link[2]}`)", markdown)
