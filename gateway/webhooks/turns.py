"""Whose turn it is: the order in which the sessions of one endpoint are served. Pure: no clock, no I/O."""

from __future__ import annotations

import heapq


class Turns:
    """Sessions that have something to tell. Each one is served by at most one caller of `take` at a time.

    First come, first served. A session whose message failed waits by itself until it is due: nobody waits for it.
    """

    def __init__(self) -> None:
        self._ready: dict[str, None] = {}
        self._due: dict[str, float] = {}
        """Sessions that wait, and until when."""
        self._heap: list[tuple[float, str]] = []
        """The same, in order. May hold entries that no longer count."""
        self._busy: set[str] = set()
        self._again: set[str] = set()
        """Sessions that are being served and have something new meanwhile."""

    def __len__(self) -> int:
        return len(self._ready) + len(self._due) + len(self._busy)

    @property
    def waiting(self) -> int:
        """The number of sessions that wait because a message of theirs has failed."""
        return len(self._due)

    def wake(self, session_id: str) -> None:
        """Note that the session has something to tell. One that waits after a failure goes on waiting."""
        if session_id in self._busy:
            self._again.add(session_id)
        elif session_id not in self._due:
            self._ready[session_id] = None

    def take(self, now: float) -> str | None:
        """Return the next session to serve; None if there is none now."""
        while self._heap and self._heap[0][0] <= now:
            due, session_id = heapq.heappop(self._heap)
            if self._due.get(session_id) == due:
                del self._due[session_id]
                self._ready[session_id] = None
        for session_id in self._ready:
            del self._ready[session_id]
            self._busy.add(session_id)
            return session_id
        return None

    def done(self, session_id: str, *, more: bool = False) -> None:
        """The session has been served. `more`: it has more to tell, when the others have had their turn."""
        self._busy.discard(session_id)
        if session_id in self._again or more:
            self._again.discard(session_id)
            self._ready[session_id] = None

    def later(self, session_id: str, due: float) -> None:
        """The session cannot be served now: it waits until it is `due`."""
        self._busy.discard(session_id)
        self._again.discard(session_id)
        self._due[session_id] = due
        heapq.heappush(self._heap, (due, session_id))

    def forget(self, session_id: str) -> None:
        """The session is no more. If it is being served, `done` or `later` must not be called any more."""
        self._ready.pop(session_id, None)
        self._due.pop(session_id, None)
        self._busy.discard(session_id)
        self._again.discard(session_id)

    def are_idle(self, session_id: str) -> bool:
        """Whether the session has nothing to tell, as far as is known here."""
        return not any(session_id in each for each in (self._ready, self._due, self._busy))

    def next_due(self) -> float | None:
        """When the next session that waits is due; None if none waits."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def rush(self) -> None:
        """Let no session wait any longer: what made their messages fail may have been mended."""
        self._ready |= dict.fromkeys(self._due)
        self._due.clear()
        self._heap.clear()
