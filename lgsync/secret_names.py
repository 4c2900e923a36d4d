"""What secrets are called: one list, for the log, for errors and for recordings."""

from __future__ import annotations

import re

__all__ = ["ENDINGS", "is_secret_in_answer", "is_secret_in_request", "looks_secret"]

_BROAD = re.compile(
    r"key|token|secret|passw|passphrase|passcode|pwd|signature|auth|bearer|credential|cookie|session|jwt"
    r"|(?<![a-z])(?:sig|pass|pin)(?![a-z])",
    re.IGNORECASE,
)

# In what a client says: names of keys of other kinds, numbers of tokens, and whatever else only sounds alike.
_KINDS_OF_KEYS = (
    "(?:messages?|input|output|history|memory|feedback|sort|group|order|primary|foreign|cache|partition|idempotency"
    "|object|index|map|lookup)"
)
_TOKENS_THAT_COUNT = (
    "(?:max|min|num|new|total|input|output|prompt|completion|response|generated|reasoning|cached|used|stop|thinking)"
)
_PLAIN = re.compile(
    rf"(?:[a-z]+[_-])*(?:{_KINDS_OF_KEYS}[_-]?)+keys?|keys?|key[_-]?(?:points?|words?|phrases?|facts?|findings?)"
    rf"|(?:[a-z]+[_-])*(?:{_TOKENS_THAT_COUNT}[_-]?)+tokens?|tokeni[sz][a-z_-]*"
    r"|tokens?[_-]?(?:count|limit|budget|usage|per[a-z_-]*)|session[_-]?(?:ids?|names?)"
    r"|authors?(?:[_-]?(?:ids?|names?|emails?))?|(?:thought[_-]?)?signature|key(?:words?|board)[a-z_-]*|monkey",
    re.IGNORECASE,
)

# A "token" is a secret in a request, and a piece of text in an answer; a "key" names an item of the store.
_SURE = re.compile(
    r"(?:api[_-]?keys?|authorization|cookies?|passw(?:or)?ds?|pwd|passphrase|secrets?|credentials?|jwt"
    r"|(?:secret|private|signing|secret[_-]?access)[_-]?key|(?:access|refresh|id|auth|bearer|session|csrf)[_-]?token)$",
    re.IGNORECASE,
)

#: In small letters, with what a name ends that is secret in an answer. To look for these costs little.
ENDINGS = (
    *("key", "keys", "authorization", "cookie", "cookies", "passwd", "passwds", "password", "passwords", "pwd"),
    *("passphrase", "secret", "secrets", "credential", "credentials", "jwt", "token"),
)


def looks_secret(name: str) -> bool:
    """Whether the value of a header, or of a query, of this name is not to be shown."""
    return _BROAD.search(name) is not None


def is_secret_in_request(name: str) -> bool:
    """Whether a field of JSON that a client sends is secret by its name."""
    return is_secret_in_answer(name) or (looks_secret(name) and _PLAIN.fullmatch(name) is None)


def is_secret_in_answer(name: str) -> bool:
    """Whether a field of JSON that a server sends is secret by its name, whatever a model may say there."""
    return _SURE.search(name) is not None
