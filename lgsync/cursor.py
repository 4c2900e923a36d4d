"""Where a run's stream stands, as a piece of text that any process can go on from."""

from __future__ import annotations

import base64
import zlib
from typing import NamedTuple, Optional, Tuple, Union

from . import codec
from .errors import ConfigurationError

__all__ = ["Cursor", "Place"]

_MARK = "lgsync1."

# Before the fields stands a checksum of them: one that is changed on its way must not lead to another place.
_CHECKSUM_BYTES = 4


class Place(NamedTuple):
    """Between two parts of a stream. Servers may give several parts one id, and go on after an id only.

    So the place is ``taken`` parts into the ``group`` of those with one id, which begins after the id ``before``. All
    empty is the start of the run.
    """

    before: Optional[str] = None
    group: Optional[str] = None
    taken: int = 0


class Cursor(NamedTuple):
    """Where a run's stream stands: give it, or its text, to ``client.runs.resume``.

    ``str(cursor)`` is text for a URL, a cookie or a database: letters, digits, ``.``, ``-`` and ``_``. It holds ids and
    stream modes, nothing secret. ``transport`` is the name of the one whose positions these are.
    """

    thread_id: str
    run_id: str
    place: Place = Place()
    transport: str = "sse"
    modes: Tuple[str, ...] = ()
    narrowed: bool = False
    stream_subgraphs: bool = False
    messages_key: str = "messages"

    def __str__(self) -> str:
        fields = [
            *self[:2],
            list(self.place),
            self.transport,
            list(self.modes),
            *map(int, self[5:7]),
            self.messages_key,
        ]
        body = codec.encode(fields)
        return _MARK + base64.urlsafe_b64encode(_checksum(body) + body).rstrip(b"=").decode()

    @classmethod
    def parse(cls, text: Union[str, Cursor]) -> Cursor:
        """The cursor that this is the text of; raises ConfigurationError if it is none."""
        if isinstance(text, Cursor):
            return text
        if not isinstance(text, str) or not text.strip().startswith(_MARK):
            raise ConfigurationError(
                f"cursor must be the text of a run's cursor (it begins with {_MARK}), not {text!r}"
            )
        try:
            cursor = _decoded(text.strip()[len(_MARK) :])
        except (ValueError, TypeError, RecursionError) as exc:
            raise _damaged(text) from exc
        # Whatever reads alike but was written otherwise, is none of ours.
        if str(cursor) != text.strip():
            raise _damaged(text)
        return cursor


def _damaged(text: str) -> ConfigurationError:
    return ConfigurationError(f"The cursor {text!r} is damaged: was it cut off or changed on its way?")


def _checksum(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "big")


def _decoded(encoded: str) -> Cursor:
    checked = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    checksum, body = checked[:_CHECKSUM_BYTES], checked[_CHECKSUM_BYTES:]
    if checksum != _checksum(body):
        raise ValueError("its checksum is another one")
    return _checked(*codec.decode(body))


def _checked(
    thread_id: str,
    run_id: str,
    place: Tuple[Optional[str], Optional[str], int],
    transport: str,
    modes: Tuple[str, ...],
    narrowed: int,
    stream_subgraphs: int,
    messages_key: str,
) -> Cursor:
    before, group, taken = place
    texts = (thread_id, run_id, transport, messages_key, *modes, *(() if before is None else (before,)))
    if not all(isinstance(each, str) for each in texts) or type(taken) is not int or taken < 0:
        raise ValueError("a field is of a wrong type")
    if not (thread_id and run_id):
        raise ValueError("an id is empty")
    if (group is None) != (taken == 0) or not isinstance(group or "", str):
        raise ValueError("its place is impossible")
    return Cursor(
        thread_id,
        run_id,
        Place(before, group, taken),
        transport,
        tuple(modes),
        bool(narrowed),
        bool(stream_subgraphs),
        messages_key,
    )
