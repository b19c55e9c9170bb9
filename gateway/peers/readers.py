"""The other gateways from which letters have come: what each wants to be told, and how many letters it has sent."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct, field

from turnwire.gateway.peers.letters import EVERYBODY, Letter, Wants

_SILENT_SECONDS = 3.0
"""A gateway from which no letter has come for this long is forgotten."""


class _Reader(Struct):
    heard_at: float
    numbers: dict[str, int] = field(default_factory=dict)
    """The number of the last letter to each topic."""
    watched: set[str] = field(default_factory=set)
    feed: bool = False
    summaries: bool = False


class Readers:
    """The other gateways, by name. If this is lost, the next letters restore it."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        """`name` is the name of this gateway; `clock` is the loop's clock."""
        self.watching: dict[str, dict[str, None]] = {}
        """sessionId → the gateways that watch it."""
        self._name = name
        self._clock = clock
        self._readers: dict[str, _Reader] = {}

    @property
    def names(self) -> list[str]:
        """The gateways from which letters have come recently."""
        return list(self._readers)

    def feeds(self, *, summaries: bool = False) -> list[str]:
        """Return the gateways that want the feed; with `summaries`, those that want summaries with it."""
        return [name for name, each in self._readers.items() if each.feed and (each.summaries or not summaries)]

    def wants_summaries(self, name: str) -> bool:
        reader = self._readers.get(name)
        return reader is not None and reader.summaries

    def count(self, letter: Letter) -> bool:
        """Record that this letter has arrived. Return whether its sender is new, or earlier letters are missing."""
        reader = self._readers.get(letter.sender)
        new = reader is None
        if reader is None:
            reader = self._readers[letter.sender] = _Reader(self._clock())
        reader.heard_at = self._clock()
        missing = self._is_missing(reader, letter.topic, letter.number - 1)
        reader.numbers[letter.topic] = max(letter.number, reader.numbers.get(letter.topic, 0))
        for topic in (EVERYBODY, self._name):
            last = (letter.beat or {}).get(topic, 0)
            missing |= self._is_missing(reader, topic, last)
            reader.numbers[topic] = max(last, reader.numbers.get(topic, 0))
        return new or missing

    def _is_missing(self, reader: _Reader, topic: str, number: int) -> bool:
        """Return whether the letter with this number has not arrived."""
        return number > reader.numbers.get(topic, 0)

    def learn(self, name: str, wants: Wants) -> list[str]:
        """Note what a gateway wants. Return the sessions that it did not watch before."""
        reader = self._readers[name]
        watched = set(wants.watched)
        new = [session_id for session_id in wants.watched if session_id not in reader.watched]
        for session_id in reader.watched - watched if wants.whole else reader.watched.intersection(wants.left):
            self._leave(name, reader, session_id)
        for session_id in new:
            reader.watched.add(session_id)
            self.watching.setdefault(session_id, {})[name] = None
        reader.feed, reader.summaries = wants.feed, wants.summaries
        return new

    def _leave(self, name: str, reader: _Reader, session_id: str) -> None:
        reader.watched.discard(session_id)
        watching = self.watching.get(session_id, {})
        watching.pop(name, None)
        if not watching:
            self.watching.pop(session_id, None)

    def forget(self, name: str) -> None:
        """Remove a gateway."""
        reader = self._readers.pop(name, None)
        if reader is not None:
            for session_id in tuple(reader.watched):
                self._leave(name, reader, session_id)

    def forget_silent(self) -> bool:
        """Remove the gateways from which no letter has come for a while. Return whether there were any."""
        earliest = self._clock() - _SILENT_SECONDS
        silent = [name for name, each in self._readers.items() if each.heard_at < earliest]
        for name in silent:
            self.forget(name)
        return bool(silent)
