"""Whose turn it is: the order in which the sessions of one endpoint are served. Pure: no clock, no I/O."""

from __future__ import annotations

import heapq


class Turns:
    """Sessions with something to tell. At most one caller of `take` serves a session at a time.

    First come, first served. A session whose message failed waits until it is due, and holds up no other session.
    """

    def __init__(self) -> None:
        self._ready: dict[str, None] = {}
        self._due: dict[str, float] = {}
        """Sessions that wait, and until when."""
        self._heap: list[tuple[float, str]] = []
        """The same as a heap, earliest first. It may hold outdated entries."""
        self._busy: set[str] = set()
        self._again: set[str] = set()
        """Sessions that have more news while they are being served."""

    def __len__(self) -> int:
        return len(self._ready) + len(self._due) + len(self._busy)

    @property
    def waiting(self) -> int:
        """The number of sessions that wait after a failed message."""
        return len(self._due)

    def pending(self) -> list[str]:
        """Return the sessions that are being served, or will be as soon as it is their turn."""
        return [*self._busy, *self._ready]

    def wake(self, session_id: str) -> None:
        """Record that the session has something to tell. If it waits after a failure, it keeps waiting."""
        if session_id in self._busy:
            self._again.add(session_id)
        elif session_id not in self._due:
            self._ready[session_id] = None

    def take(self, now: float) -> str | None:
        """Return the next session to serve, or None if there is none now."""
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
        """Record that the session has been served. `more`: whether it has more to tell, after the others' turns."""
        self._busy.discard(session_id)
        if session_id in self._again or more:
            self._again.discard(session_id)
            self._ready[session_id] = None

    def later(self, session_id: str, due: float) -> None:
        """Make the session wait until `due`, because it cannot be served now."""
        self._busy.discard(session_id)
        self._again.discard(session_id)
        self._due[session_id] = due
        heapq.heappush(self._heap, (due, session_id))

    def forget(self, session_id: str) -> None:
        """Forget the session. If it is being served, `done` and `later` must not be called for it any more."""
        self._ready.pop(session_id, None)
        self._due.pop(session_id, None)
        self._busy.discard(session_id)
        self._again.discard(session_id)

    def are_idle(self, session_id: str) -> bool:
        """Return whether the session has nothing to tell, as far as is known here."""
        return not any(session_id in each for each in (self._ready, self._due, self._busy))

    def next_due(self) -> float | None:
        """Return when the next waiting session is due; None if none waits."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def rush(self) -> None:
        """End all waits, because the cause of the failures may have been fixed."""
        self._ready |= dict.fromkeys(self._due)
        self._due.clear()
        self._heap.clear()
