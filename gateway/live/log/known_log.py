"""What a live session remembers of its log: the eventIds, and the times of events after the last full page."""

from __future__ import annotations

from array import array

from turnwire.gateway.live.log.durable import Durable
from turnwire.protocol.rules import DIGEST_PAGE, Ledger
from turnwire.store.digests import LogTail, pack_times


class KnownLog:
    """The ledger of one session, once it has been read, and its full pages that are not stored yet.

    Owned by the session's task.
    """

    __slots__ = ("_times", "as_of", "disordered_as_of", "full_pages", "ledger")

    def __init__(self) -> None:
        self.ledger: Ledger | None = None
        """None until an append needs it: most sessions that are opened are only read."""
        self.as_of = 0
        """The count of the storage's troubles when the head was last known to be in the log. Reading the ledger proves
        nothing about it, because its full pages are stored beside the log."""
        self.disordered_as_of = 0
        """The count of troubles when the store last noted that times do not rise with seq, if they do not."""
        self._times = array("q")
        self.full_pages: list[tuple[int, bytes, bytes]] = []
        """Full pages that are not stored yet, as (page, ids, times)."""

    def forget(self) -> None:
        """Drop the ledger. It is read again when an append needs it."""
        self.ledger = None

    def loaded(self, ledger: Ledger, times: array[int]) -> None:
        """Keep what was read; `times` are in milliseconds since 1970, of the events known by their exact ids."""
        self.ledger, self._times = ledger, times
        self.fold()

    def advanced(self, durable: Durable) -> None:
        """Add the events over which the head has moved, if the ledger is known."""
        ledger = self.ledger
        if ledger is None:
            return
        if durable.last[0] > ledger.head:  # another gateway has stored them
            for seq, event in durable.events:
                if seq > ledger.head:
                    ledger.learn(seq, event.event_id)
        self._times.extend(durable.millis())

    @property
    def tail_length(self) -> int:
        """The number of events after the full pages; 0 if the ledger has not been read."""
        return 0 if self.ledger is None else self.ledger.tail_length

    @property
    def whole(self) -> bool:
        """Whether all of the tail is known. During a commit, the times of its last events may be missing."""
        return self.ledger is not None and self.ledger.tail_length == len(self._times)

    def tail(self) -> LogTail:
        """Return what is known about the events after the full pages. The ledger must have been read."""
        assert self.ledger is not None
        first, ids = self.ledger.tail()
        return LogTail(first, ids, self._times[:])

    def fold(self) -> None:
        """Replace the full pages of the ledger by digests, and keep these in `full_pages` to be stored."""
        if self.ledger is None or self.ledger.tail_length < DIGEST_PAGE:
            return
        first = self.ledger.folded_pages
        for page, ids in enumerate(self.ledger.fold(), start=first):
            self.full_pages.append((page, ids, pack_times(self._times[:DIGEST_PAGE])))
            del self._times[:DIGEST_PAGE]
