"""`turnwire verify`: check that the logs of sessions are whole, by reading them as any client can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, field

from turnwire.client import Client
from turnwire.commands.console import check_gateway, output, printable, progress_bar, run, times
from turnwire.errors import SessionNotFound
from turnwire.protocol.messages import Event, EventIn, Session
from turnwire.protocol.rules import has_ended, same_event
from turnwire.protocol.times import parse_time
from turnwire.recording import RecordedEvent, Recording

CONCURRENCY = 8
MOST_SHOWN = 20


class Findings(Struct):
    """The faults found in one session's log."""

    session_id: str
    events: int = 0
    missing: int = 0
    doubled: int = 0
    faults: list[str] = field(default_factory=list)
    backwards: int = 0
    """The number of events with a time before that of the previous event. This is not a fault, because clocks may go
    back.
    """


class LogCheck:
    """A check of one log, event by event, that keeps only eventIds. `session` must be read before the log."""

    def __init__(self, session: Session, recording: Recording | None = None) -> None:
        self.findings = Findings(session.session_id)
        self._session = session
        self._ids: set[str] = set()
        self._last_seq = 0
        self._last_time: datetime | None = None
        self._expected = None if recording is None else {event.event_id: event for event in recording.events}
        self._recorded_order = [] if recording is None else [event.event_id for event in recording.events]
        self._stored_order: list[str] = []

    def take(self, event: Event) -> None:
        found = self.findings
        found.events += 1
        if event.session_id != self._session.session_id:
            found.faults.append(f"seq {event.seq} belongs to session {event.session_id!r}")
        if event.seq <= self._last_seq:
            found.doubled += 1
            found.faults.append(f"seq {event.seq} comes after seq {self._last_seq}")
        else:
            self._skip_to(event.seq)
            self._last_seq = event.seq
        if event.event_id in self._ids:
            found.doubled += 1
            found.faults.append(f"eventId {event.event_id!r} occurs twice, the second time at seq {event.seq}")
        self._ids.add(event.event_id)
        self._take_time(event)
        if self._expected is not None:
            self._compare(event, self._expected)

    def finish(self) -> Findings:
        """Finish the check, after all events have been read, and return the findings."""
        if self._last_seq < self._session.last_seq:
            self._skip_to(self._session.last_seq + 1)
        self._check_session()
        missing = [event_id for event_id in self._recorded_order if event_id not in self._ids]
        self.findings.missing += len(missing)
        self.findings.faults += [f"the recorded event {event_id!r} is missing" for event_id in missing]
        if self._stored_order != [event_id for event_id in self._recorded_order if event_id in self._ids]:
            self.findings.faults.append("the events are not in the order of the recording")
        return self.findings

    def _skip_to(self, seq: int) -> None:
        gap = seq - self._last_seq - 1
        if gap:
            self.findings.missing += gap
            text = f"seq {seq - 1} is" if gap == 1 else f"seqs {self._last_seq + 1} to {seq - 1} are"
            self.findings.faults.append(f"{text} missing")

    def _take_time(self, event: Event) -> None:
        moment = self._moment(event.timestamp, f"the timestamp of seq {event.seq}")
        if moment is None:
            return
        if self._last_time is not None and moment < self._last_time:
            self.findings.backwards += 1
        self._last_time = moment
        if event.seq == self._session.last_seq and event.timestamp != self._session.last_event_at:
            fault = f"lastEventAt is {self._session.last_event_at}, but its event has {event.timestamp}"
            self.findings.faults.append(fault)

    def _check_session(self) -> None:
        session, faults = self._session, self.findings.faults
        started = self._moment(session.started_at, "startedAt")
        if has_ended(session.status) != (session.ended_at is not None):
            faults.append(f"the status is {session.status}, but endedAt is {session.ended_at}")
        if session.ended_at is not None:
            ended = self._moment(session.ended_at, "endedAt")
            if started is not None and ended is not None and ended < started:
                faults.append(f"endedAt {session.ended_at} is before startedAt {session.started_at}")
        if session.last_seq == 0 and session.last_event_at is not None:
            faults.append(f"there is no event, but lastEventAt is {session.last_event_at}")
        if session.status == "initiated" and session.last_seq > 0:
            faults.append(f"the status is initiated, but there are {session.last_seq} events")

    def _moment(self, text: str, name: str) -> datetime | None:
        try:
            return parse_time(text)
        except ValueError:
            self.findings.faults.append(f"{name} is not a time: {text!r}")
            return None

    def _compare(self, event: Event, expected: Mapping[str, RecordedEvent]) -> None:
        recorded = expected.get(event.event_id)
        if recorded is None:
            return
        self._stored_order.append(event.event_id)
        as_sent = EventIn(event.event_id, recorded.type, recorded.payload)
        if not same_event(event, as_sent):
            self.findings.faults.append(f"seq {event.seq}, {event.event_id!r}, is not what was recorded")


def verify(
    url: str, session_ids: Sequence[str] | None, expected: Sequence[Recording], token: str | None = None
) -> bool:
    """Check these sessions, or all for None, and print the findings. Return whether there was no fault.

    The expected sessions must be as recorded. If all sessions are checked, the expected ones must be among them.
    """
    console = output()
    findings = run(_verify(url, session_ids, {call.session_id: call for call in expected}, token))
    for line in _report(findings):
        console.print(printable(line))
    return not any(found.faults for found in findings)


def _report(findings: Sequence[Findings]) -> list[str]:
    lines = []
    faulty = [found for found in findings if found.faults]
    for found in faulty[:MOST_SHOWN]:
        lines += [f"{found.session_id}: {fault}" for fault in found.faults[:MOST_SHOWN]]
        if len(found.faults) > MOST_SHOWN:
            lines.append(f"{found.session_id}: and {times(len(found.faults) - MOST_SHOWN, 'more fault')}")
    if len(faulty) > MOST_SHOWN:
        lines.append(f"and {times(len(faulty) - MOST_SHOWN, 'more session')} with faults")
    backwards = sum(found.backwards for found in findings)
    if backwards:
        lines.append(f"note: {times(backwards, 'timestamp')} before that of the previous event (a clock went back)")
    missing, doubled = sum(found.missing for found in findings), sum(found.doubled for found in findings)
    counts = f"{f'{missing:,}' if missing else 'none'} missing, {f'{doubled:,}' if doubled else 'none'} doubled"
    faults = sum(len(found.faults) for found in findings)
    total = f"{times(len(findings), 'session')}, {times(sum(found.events for found in findings), 'event')}: {counts}"
    lines.append(f"{total}; {times(faults, 'fault')}" if faults else total)
    return lines


async def _verify(
    url: str, ids: Sequence[str] | None, expected: Mapping[str, Recording], token: str | None
) -> list[Findings]:
    async with Client(url, token=token) as client:
        await check_gateway(client)
        if ids is None:
            there = [session.session_id async for session in client.list()]
            ids = list(dict.fromkeys([*there, *expected]))
        with progress_bar(output(), transient=True) as progress:
            bar = progress.add_task("sessions read", total=len(ids))
            findings = []
            async for found in _check_all(client, ids, expected):
                findings.append(found)
                progress.advance(bar)
    return findings


async def _check_all(client: Client, ids: Sequence[str], expected: Mapping[str, Recording]) -> AsyncIterator[Findings]:
    """Iterate over the findings of all sessions, in the order of `ids`, reading a few logs at a time."""
    for start in range(0, len(ids), CONCURRENCY):
        chunk = ids[start : start + CONCURRENCY]
        for found in await asyncio.gather(*(_check_one(client, id_, expected.get(id_)) for id_ in chunk)):
            yield found


async def _check_one(client: Client, session_id: str, recording: Recording | None) -> Findings:
    try:
        session = await client.get(session_id)
    except SessionNotFound:
        missing = 0 if recording is None else len(recording.events)
        return Findings(session_id, missing=missing, faults=["there is no such session"])
    check = LogCheck(session, recording)
    async for event in client.export(session_id):
        check.take(event)
    return check.finish()
