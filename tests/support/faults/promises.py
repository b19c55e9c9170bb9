"""Promises about ends, reads and stored fields at any gateway: noted as they happen, judged at the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from turnwire.gateway.config import Config
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.messages import Session
from turnwire.protocol.times import parse_time

Document = dict[str, Any]
_RISING = ("lastSeq", "heartbeat", "epoch")


class Promises:
    """Keeps what clients have been told, and collects contradictions. Times are those of the world's wall clock."""

    def __init__(self, config: Config) -> None:
        self.broken: list[str] = []
        self.answered: dict[str, int] = defaultdict(int)
        """Session → the highest seq that any client has been told."""
        self.ended: dict[str, Session] = {}
        """Session → its end, as the first client was told of it."""
        self.enders: dict[str, int] = defaultdict(int)
        """Session → the number of clients that were told that their request ended it."""
        self.holds: Callable[[str, int], bool] = lambda session_id, seq: True
        """Whether the primary's log holds this position."""
        self.is_void = False
        """Whether what clients were told may be gone, because the database is restored from older copies."""
        self._config = config
        self._sent: dict[tuple[str, str], datetime] = {}
        self._seats: dict[str, list[list[datetime]]] = defaultdict(list)

    def sent(self, session_id: str, event_id: str, now: datetime) -> None:
        self._sent.setdefault((session_id, event_id), now)

    def told(self, session_id: str, seq: int | None) -> None:
        self.answered[session_id] = max(self.answered[session_id], seq or 0)

    def put_back(self) -> None:
        """Drop what clients were told: the database has forgotten it."""
        self.is_void = True

    def seated(self, session_id: str, now: datetime) -> list[datetime]:
        """Record that a publisher is connected from now on. Return a function that records when it leaves."""
        seat = [now]
        self._seats[session_id].append(seat)
        return seat

    def read(self, session: Session, known: int, end: Session | None, how: str) -> None:
        """Check a session that a client was shown. `known` and `end` are what clients had been told before it asked."""
        if self.is_void:
            return
        if session.last_seq < known:
            self.broken.append(f"{how} of {session.session_id!r} shows lastSeq={session.last_seq}, {known} was acked")
        if end is not None:
            self.told_end(session, how)

    def told_end(self, session: Session, how: str) -> None:
        if self.is_void:
            return
        first = self.ended.setdefault(session.session_id, session)
        if (session.ended_at, session.status, session.end_reason) != (first.ended_at, first.status, first.end_reason):
            self.broken.append(f"{how} of {session.session_id!r} shows another end: {session}, not {first}")

    def stored(self, before: Document | None, after: Document) -> None:
        """Check a document that replaces another on the primary."""
        if before is None or "startedAt" not in after:
            return
        for field in _RISING:
            gone = field == "lastSeq" and not self.holds(before["_id"], before[field])
            if after[field] < before[field] and not gone:
                self.broken.append(f"{after['_id']!r}: {field} goes back from {before[field]} to {after[field]}")
        if before["endedAt"] is not None and after["endedAt"] != before["endedAt"]:
            self.broken.append(f"{after['_id']!r}: its end is moved")

    def judge(
        self, sessions: Mapping[str, Document], events: Sequence[Document], states: Sequence[SessionState]
    ) -> None:
        """Judge the end of a run: stored sessions, the order of all events, and the memory of the gateways."""
        logs: dict[str, list[Document]] = defaultdict(list)
        for event in events:
            logs[event["sessionId"]].append(event)
        for session_id, session in sessions.items():
            self._judge_end(session, logs[session_id])
            times = [event["timestamp"] for event in logs[session_id]]
            if session["timeOrdered"] and times != sorted(times):
                self.broken.append(f"{session_id!r} is said to be in the order of time")
            if session["lastSeq"] > len(times) and not self.is_void:
                self.broken.append(f"{session_id!r}: lastSeq={session['lastSeq']} of {len(times)} events")
        for state in states:
            seq = state.record.last_seq
            if seq and state.record.last_event_at != logs[state.session_id][seq - 1]["timestamp"]:
                self.broken.append(f"{state.session_id!r}: the time of seq={seq} is not the stored one")

    def _judge_end(self, session: Document, log: Sequence[Document]) -> None:
        session_id, ended_at = session["_id"], session["endedAt"]
        told = self.ended.get(session_id)
        if told is not None and (ended_at is None or told.ended_at is None or parse_time(told.ended_at) != ended_at):
            self.broken.append(f"{session_id!r} ended at {ended_at}, clients were told of {told.ended_at}")
        if self.enders[session_id] > 1:
            self.broken.append(f"{session_id!r} was ended {self.enders[session_id]} times")
        if ended_at is None:
            return
        over = ended_at + timedelta(seconds=self._config.end_grace + 0.1)
        late = [event["eventId"] for event in log if self._sent.get((session_id, event["eventId"]), ended_at) > over]
        if late:
            self.broken.append(f"{session_id!r} ended at {ended_at}: {late} were sent after the grace and stored")
        if session["endReason"] == "abandoned":
            for begin, *left in self._seats[session_id]:
                if begin < ended_at - timedelta(seconds=0.1) and (not left or left[0] > ended_at):
                    self.broken.append(f"{session_id!r} was abandoned at {ended_at}, its publisher came at {begin}")
