"""Replies to commands that went well, recognized by their bytes."""

from __future__ import annotations

from typing import Any, Final

from bson.timestamp import Timestamp

Document = dict[str, Any]

_PLAIN: Final = frozenset({"n", "ok", "electionId", "opTime", "operationTime", "$clusterTime"})
"""The fields of a reply that says nothing but that all is well."""
_TIMES: Final = {
    b"\x11clusterTime\0": ("$clusterTime", "clusterTime"),
    b"\x11operationTime\0": ("operationTime",),
    b"\x11ts\0": ("opTime", "ts"),
}
"""How fields with a time of the cluster begin, and where they are. A counter of four bytes follows, and then the
seconds."""
_BEGIN: Final = bytes(5)
"""No flags, and a section that is a document."""
_COUNTER: Final = bytes(4)
_LARGEST: Final = 1024
"""Bytes. A longer reply is not a plain one."""
_MOST: Final = 64
"""The replies that are kept at most."""


class PlainReplies:
    """Replies that have been read and say that all is well, by their bytes without the counters of cluster times.

    Most replies to small inserts differ in nothing else. To read one takes seven times as long as to recognize it. So
    the driver learns of a newer cluster time only once its seconds differ: it is a courtesy to the database, which the
    driver repeats.
    """

    __slots__ = ("_at", "_known")

    def __init__(self) -> None:
        self._known: dict[bytes, Document] = {}
        self._at: tuple[int, ...] = ()
        """Where the counters of the known replies are."""

    def find(self, reply: bytearray) -> Document | None:
        """Return the document of a reply that is known, not to be changed; else None. `reply`: the message after its
        head."""
        return self._known.get(_without(self._at, reply)) if len(reply) <= _LARGEST else None

    def keep(self, reply: bytearray, document: Document) -> None:
        """Recognize such a reply from now on, if it is plain."""
        if len(reply) > _LARGEST or not reply.startswith(_BEGIN) or not document.keys() <= _PLAIN:
            return
        at = _counters(reply, document)
        if at is None:
            return
        if at != self._at or len(self._known) >= _MOST:
            self._known.clear()
            self._at = at
        self._known[_without(at, reply)] = document


def _counters(reply: bytearray, document: Document) -> tuple[int, ...] | None:
    """Return where the counters are. None if bytes that are no time look like one: they must not be ignored."""
    at = []
    for name, path in _TIMES.items():
        value: Any = document
        for field in path:
            value = value.get(field) if isinstance(value, dict) else None
        if reply.count(name) != isinstance(value, Timestamp):
            return None
        if isinstance(value, Timestamp):
            at.append(reply.index(name) + len(name))
    return tuple(at)


def _without(at: tuple[int, ...], reply: bytearray) -> bytes:
    blank = bytearray(reply)
    for begin in at:
        blank[begin : begin + len(_COUNTER)] = _COUNTER
    return bytes(blank)
