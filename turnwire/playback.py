"""Streaming recorded conversations through publishers, with their original timing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Literal

import aiohttp
from msgspec import Struct, field

from turnwire.client import Client
from turnwire.connecting.link import borrowed
from turnwire.errors import ClientError, SessionEnded
from turnwire.protocol.messages import EventIn, JsonObject, NackItem, Session
from turnwire.protocol.rules import same_event
from turnwire.publisher import Publisher
from turnwire.publishing.delivery import Acked
from turnwire.recording import RecordedEvent, Recording

INTERIM_STEP = 320
"""Milliseconds of the call between two interim transcripts of an utterance."""


class CallReport(Struct):
    """The outcome of streaming one recorded call."""

    recording: Recording
    acked: set[str] = field(default_factory=set)
    """The events known to be durable."""
    duplicates: int = 0
    """How many of them were stored before."""
    nacks: list[NackItem] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    """Seconds from sending to ack, for each event acked over the socket."""
    session: Session | None = None
    error: ClientError | None = None
    """Why the call could not be streamed completely."""

    @property
    def unanswered(self) -> int:
        """The number of events that have neither an ack nor a nack."""
        return len(self.recording.events) - len(self.acked) - len({nack.event_id for nack in self.nacks})

    @property
    def is_whole(self) -> bool:
        """Whether every event is durable, without an error."""
        return len(self.acked) == len(self.recording.events) and self.error is None


async def play(recording: Recording, call: Publisher, *, speed: float, interim: bool = False) -> None:
    """Send the events of a recording, each at its offset divided by `speed`; 0 means as fast as possible.

    Events that the session already has are sent at once, and the clock starts after them: a playback that was cut
    short continues where it stopped. With `interim`, growing parts of the user's utterances are sent as signals.
    """
    stored = 0 if call.session is None else min(call.session.last_seq, len(recording.events))
    start = recording.events[stored - 1].offset_ms if stored else 0
    loop = asyncio.get_running_loop()
    began = loop.time()
    for offset_ms, step in _steps(recording, interim and speed > 0):
        if speed > 0 and offset_ms > start:
            due = began + (offset_ms - start) / 1000 / speed
            await asyncio.sleep(max(0.0, due - loop.time()))
        elif not isinstance(step, RecordedEvent):
            continue
        if isinstance(step, RecordedEvent):
            await call.send(step.type, step.payload, step.event_id)
        else:
            await call.signal("user_speech", step)


async def stream(
    url: str,
    recording: Recording,
    *,
    speed: float,
    complete: bool = True,
    interim: bool = False,
    codec: Literal["json", "msgpack"] = "json",
    token: str | None = None,
    give_up_after: float | None = None,
    on_ack: Callable[[Acked], None] | None = None,
    http: aiohttp.ClientSession | None = None,
) -> CallReport:
    """Stream one recorded call through a publisher, and report the outcome. Raises no ClientError.

    Events get the time of their streaming, not of the recording. A stored event keeps its first time: streaming a call
    again adds nothing and conflicts with nothing, even after the session has ended.
    """
    report = CallReport(recording)

    def acked(ack: Acked) -> None:
        report.acked.add(ack.event_id)
        report.duplicates += ack.duplicate
        report.latencies.append(ack.latency)
        if on_ack is not None:
            on_ack(ack)

    async with borrowed(http) as shared:
        try:
            async with Publisher(
                url,
                recording.session_id,
                recording.language,
                metadata=recording.metadata or None,
                codec=codec,
                token=token,
                give_up_after=give_up_after,
                on_ack=acked,
                on_nack=report.nacks.append,
                http=shared,
            ) as call:
                report.session = call.session
                await play(recording, call, speed=speed, interim=interim)
                await call.flush()
                if complete:
                    report.session = await call.complete(reason=recording.end_reason)
        except SessionEnded as ended:
            await _look_up(Client(url, token=token, http=shared), report, ended, acked)
        except ClientError as error:
            report.error = error
    return report


async def _look_up(client: Client, report: CallReport, ended: SessionEnded, acked: Callable[[Acked], None]) -> None:
    """Find out which events of the recording an ended session has."""
    answered = report.acked | {nack.event_id for nack in report.nacks}
    left = {event.event_id: event for event in report.recording.events if event.event_id not in answered}
    samples = len(report.latencies)
    try:
        report.session = await client.get(report.recording.session_id)
        async for event in client.export(report.recording.session_id):
            recorded = left.get(event.event_id)
            if recorded and same_event(event, EventIn(event.event_id, recorded.type, recorded.payload)):
                acked(Acked(event.event_id, event.seq, True, 0.0))
    except ClientError as error:
        report.error = error
    del report.latencies[samples:]
    if report.unanswered and report.error is None:
        report.error = ended


def _steps(recording: Recording, interim: bool) -> Iterator[tuple[int, RecordedEvent | JsonObject]]:
    """Iterate over (offset in milliseconds, event or interim transcript), in order of offset."""
    before = 0
    for event in recording.events:
        if interim and event.type == "user_speech":
            yield from _interim(event, before)
        before = event.offset_ms
        yield event.offset_ms, event


def _interim(event: RecordedEvent, after: int) -> Iterator[tuple[int, JsonObject]]:
    """Iterate over the interim transcripts that a recogniser would have sent for an utterance, from `after` on."""
    text, began = event.payload.get("text"), event.payload.get("startedMs")
    if not isinstance(text, str) or not isinstance(began, int) or not 0 <= began < event.offset_ms:
        return
    words = text.split()
    heard = 0
    for offset_ms in range(began + INTERIM_STEP, event.offset_ms, INTERIM_STEP):
        count = len(words) * (offset_ms - began) // (event.offset_ms - began)
        if count > heard and offset_ms >= after:
            heard = count
            yield offset_ms, {"text": " ".join(words[:count]), "final": False, "turn": event.payload.get("turn")}
