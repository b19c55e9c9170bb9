"""The calls to stream: made-up ones that resemble those of voice bots and never vary, or recorded ones."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from msgspec import Struct

EVENTS_OF_A_CALL = 27
_TEXT = """
a about account address all and any appointment are around at available be because been before book but by call
can card change check could date day do does evening for friday from get go good have help how i in is it just
last let like make may monday morning my name need next no not number of on one order our please question ready
reservation right say see so sorry sure table thank that the there this time to today tomorrow two want we what
when which with would yes you your
"""
_WORDS = _TEXT.split()

Event = dict[str, Any]


class CallScript(Struct, frozen=True):
    """A call to stream."""

    session_id: str
    language: str
    events: list[Event]
    """As a client sends them: eventId, type, payload."""


def made_up_call(session_id: str, count: int = EVENTS_OF_A_CALL) -> CallScript:
    """Make a call of `count` events: a start, then turns of user and bot with an occasional tool, then an end."""
    random = Random(session_id)
    events: list[Event] = []
    clock = 400
    for number in range(1, count + 1):
        if number in (1, count):
            kind = "system"
            payload: Event = {"event": "call.started" if number == 1 else "call.ended"}
        elif number % 9 == 0:
            kind = "system"
            payload = {"event": "tool.completed", "name": "FindTable", "durationMs": random.randrange(90, 900)}
        else:
            kind = "user_speech" if number % 2 == 0 else "bot_speech"
            words = " ".join(random.choices(_WORDS, k=random.randrange(4, 22)))
            ends = clock + 70 * len(words)
            payload = {"text": words, "final": True, "turn": number // 2, "startedMs": clock, "endedMs": ends}
            clock = ends + 550
        events.append({"eventId": f"{session_id}-{number:05}", "type": kind, "payload": payload})
    return CallScript(session_id, "en", events)


def long_call(session_id: str, count: int) -> CallScript:
    """Make a call of any length that consists of turns only. The turns repeat, each time later in the call."""
    call = made_up_call(session_id, min(count, 200) + 2)
    turns = call.events[1:-1]
    length = max(event["payload"].get("endedMs", 0) for event in turns) + 550
    events = [
        {
            **_later(turns[number % len(turns)], number // len(turns) * length),
            "eventId": f"{session_id}-{number + 1:06}",
        }
        for number in range(count)
    ]
    return CallScript(session_id, "en", events)


def _later(event: Event, by: int) -> Event:
    """Return the event, as many milliseconds later in the call."""
    times = {name: event["payload"][name] + by for name in ("startedMs", "endedMs") if name in event["payload"]}
    return {**event, "payload": {**event["payload"], **times}}


def recorded_calls(path: Path, prefix: str, most: int | None = None) -> Iterator[CallScript]:
    """Read the calls of a file (NDJSON, one call on each line, optionally gzipped), and put a prefix before their
    session ids."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        for number, line in enumerate(lines):
            if most is not None and number >= most:
                return
            call = msgspec.json.decode(line)
            events = [{name: event[name] for name in ("eventId", "type", "payload")} for event in call["events"]]
            yield CallScript(prefix + call["sessionId"], call["language"], events)


def append_frame(events: list[Event]) -> bytes:
    """Return the payload of an `append` frame."""
    return msgspec.json.encode({"type": "append", "events": events})
