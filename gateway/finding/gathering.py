"""Gathers what is said in sessions, on the path of their events, until it is written for the search."""

from __future__ import annotations

from msgspec.structs import replace

from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.messages import EventType, JsonObject
from turnwire.store.search.catalog import Said
from turnwire.store.sessions import SessionRecord

MAX_CHARS = 8 * 1024 * 1024
"""The most characters of waiting texts. Sessions whose texts do not fit are read from the log later."""


class _Texts:
    __slots__ = ("first", "last", "texts")

    def __init__(self, first: int) -> None:
        self.first = first
        self.last = first - 1
        self.texts: list[str] = []


def text_in(type: EventType, payload: JsonObject) -> str | None:
    """Return the text of an event; None if it has none or only an interim one."""
    if type == "system" or payload.get("final") is False:
        return None
    text = payload.get("text")
    return text if isinstance(text, str) else None


class Gathering:
    """The changes and texts of sessions that wait to be written. An event costs a few dictionary lookups and no
    copies."""

    def __init__(self) -> None:
        self._said: dict[str, _Texts] = {}
        self._changed: dict[SessionState, None] = {}
        self._chars = 0
        self.missed: dict[str, None] = {}
        """Sessions with texts that were left out. They are read from the log later."""

    def changed(self, state: SessionState) -> None:
        """Note that fields of the session have changed."""
        self._changed[state] = None

    def advanced(self, state: SessionState, durable: Durable) -> None:
        """Gather the texts of events that have become durable."""
        session_id, first = state.session_id, durable.events[0][0]
        if self._chars > MAX_CHARS:
            self.missed[session_id] = None
            return
        kept = self._said.get(session_id)
        if kept is None:
            kept = self._said[session_id] = _Texts(first)
        elif first != kept.last + 1:
            self.missed[session_id] = None
            return
        texts = [text for _, event in durable.events if (text := text_in(event.type, event.payload)) is not None]
        kept.texts += texts
        kept.last = durable.last[0]
        self._chars += sum(map(len, texts))

    def erased(self, session_id: str) -> None:
        """Discard what is waiting for an erased session."""
        said = self._said.pop(session_id, None)
        if said is not None:
            self._chars -= sum(map(len, said.texts))
        self._changed = {state: None for state in self._changed if state.session_id != session_id}
        self.missed[session_id] = None

    def take(self) -> tuple[list[SessionRecord], list[Said]]:
        """Remove and return everything that waits: the changed sessions in their current state, and the texts."""
        records = [replace(state.record) for state in self._changed]
        said = [Said(key, each.first, each.last, "\n".join(each.texts)) for key, each in self._said.items()]
        self._changed, self._said, self._chars = {}, {}, 0
        return records, said

    def take_missed(self) -> list[str]:
        missed, self.missed = self.missed, {}
        return list(missed)
