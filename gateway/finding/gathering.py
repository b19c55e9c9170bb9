"""Gathers what is said in sessions, on the path of their events, until it is written for the search."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.messages import Event, EventIn
from turnwire.store.search.catalog import Said
from turnwire.store.sessions import SessionRecord

MAX_CHARS = 8 * 1024 * 1024
"""Maximum number of characters of waiting texts. Sessions whose texts do not fit are read from the log later."""


class _Texts(Struct, gc=False):
    """What was said in the events `first` to `last` of a session.

    Most wait with a single text, in thousands of sessions at a time. So they are kept from the garbage collector.
    """

    first: int
    last: int
    text: str | None = None
    more: list[str] | None = None
    """The texts after the first one."""

    def add(self, text: str) -> None:
        if self.text is None:
            self.text = text
        elif self.more is None:
            self.more = [text]
        else:
            self.more.append(text)

    @property
    def texts(self) -> list[str]:
        return [] if self.text is None else [self.text, *(self.more or ())]

    @property
    def chars(self) -> int:
        return sum(map(len, self.texts))


def texts_in(events: Iterable[EventIn | Event]) -> list[str]:
    """Return the texts of events, without those that are only interim."""
    return [
        text
        for event in events
        if event.type != "system"
        and event.payload.get("final") is not False
        and isinstance(text := event.payload.get("text"), str)
    ]


class Gathering:
    """The changes and texts of sessions that wait to be written. An event costs a few dictionary lookups and no
    copies."""

    def __init__(self) -> None:
        self._said: dict[str, _Texts] = {}
        self._changed: dict[str, SessionState] = {}
        self._cut_said: dict[str, _Texts] = {}
        self._cut_changed: dict[str, SessionState] = {}
        self._chars = 0
        self.missed: dict[str, None] = {}
        """Sessions with texts that were left out. They are read from the log later."""

    def changed(self, state: SessionState) -> None:
        """Note that fields of the session have changed."""
        self._changed[state.session_id] = state

    def advanced(self, state: SessionState, durable: Durable) -> None:
        """Gather the texts of events that have become durable."""
        session_id, first = state.session_id, durable.events[0][0]
        if self._chars > MAX_CHARS:
            self.missed[session_id] = None
            return
        kept = self._said.get(session_id)
        if kept is None:
            kept = self._said[session_id] = _Texts(first, first - 1)
        elif first != kept.last + 1:
            self.missed[session_id] = None
            return
        texts = texts_in([event for _, event in durable.events])
        kept.last = durable.last[0]
        if texts:
            text = "\n".join(texts)
            kept.add(text)
            self._chars += len(text)

    def erased(self, session_id: str) -> None:
        """Discard what is waiting for an erased session."""
        for texts in (self._said.pop(session_id, None), self._cut_said.pop(session_id, None)):
            self._chars -= 0 if texts is None else texts.chars
        self._changed.pop(session_id, None)
        self._cut_changed.pop(session_id, None)
        self.missed[session_id] = None

    def cut(self) -> bool:
        """Set aside what waits, for `take`. Return whether there is anything. Call this when nothing is set aside."""
        self._cut_changed, self._changed = self._changed, {}
        self._cut_said, self._said = self._said, {}
        return self.is_cut

    @property
    def is_cut(self) -> bool:
        """Whether anything is set aside."""
        return bool(self._cut_changed or self._cut_said)

    def take(self, most: int) -> tuple[list[SessionRecord], list[Said]]:
        """Remove and return what is set aside for at most this many sessions: the changed ones in their current state,
        and what was said in them. Texts of other sessions come last."""
        changed = list(islice(self._cut_changed, most))
        records = [replace(self._cut_changed.pop(session_id).record) for session_id in changed]
        ids = changed or list(islice(self._cut_said, most))
        return records, [self._take_said(each) for each in ids if each in self._cut_said]

    def _take_said(self, session_id: str) -> Said:
        kept = self._cut_said.pop(session_id)
        self._chars -= kept.chars
        return Said(session_id, kept.first, kept.last, "\n".join(kept.texts))

    def drop(self) -> list[str]:
        """Discard what is set aside, and return the ids of its sessions."""
        ids = [*self._cut_changed, *self._cut_said]
        self._chars -= sum(kept.chars for kept in self._cut_said.values())
        self._cut_changed, self._cut_said = {}, {}
        return ids

    def take_missed(self) -> list[str]:
        missed, self.missed = self.missed, {}
        return list(missed)
