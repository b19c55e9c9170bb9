"""What keeps a gateway busy for long, one kind of work after the other, beside a heartbeat that measures its
silence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import msgspec
from msgspec import Struct

from bench.events import Event
from bench.heartbeat import Heartbeat, heartbeat
from bench.meter import Figures, Target
from bench.wire import HttpConnection, Socket, client_frame, http_request

_BATCH = 500
_AT_ONCE = 32
_AFTER_SECONDS = 0.5
"""What a request has started, and what continues after the answer to it."""
_INTERRUPTIONS = 500
_METADATA: dict[str, object] = {"items": [{"a": [number]} for number in range(4000)]}
"""60 KB of text."""


class Stall(Struct, frozen=True, kw_only=True, tag=True):
    """The figures are the slowest answers to the heartbeat during each kind of work, in milliseconds, and what is left
    of them without the waits for a core."""

    target: Target
    prefix: str
    events: int
    """The number of events of the long session, whose times go backwards."""
    utterances: int
    changing: int
    """The number of sessions that change at once, shown on this many `dashboards`."""
    dashboards: int
    large: int
    """The number of sessions with 60 KB of metadata each."""
    settle: float
    """Seconds until an unused session has left the memory."""

    async def run(self) -> Figures:
        async with heartbeat(self.target.address, self.target.server) as beat:
            run = _Run(self, beat)
            await run.all()
        return run.figures


class _Run:
    def __init__(self, load: Stall, beat: Heartbeat) -> None:
        self._load = load
        self._beat = beat
        self.figures: Figures = {}

    async def all(self) -> None:
        load, longs, talks = self._load, self._id("long"), self._id("talk")
        await self._fill(longs, _disordered(longs, load.events))
        await self._fill(talks, _talk(talks, load.utterances))
        await self._spread(
            [_create(self._id(f"large-{number}"), _METADATA) for number in range(load.large)],
        )
        await self._beside("nothing", lambda: asyncio.sleep(_AFTER_SECONDS))
        await asyncio.sleep(load.settle)
        await self._beside("reopen", lambda: self._append(longs, [_event(longs, load.events + 1, {})]))
        await self._beside("page_by_time", lambda: self._get(f"/sessions/{longs}"))
        await self._beside("page_by_time_again", lambda: self._get(f"/sessions/{longs}?page=2"))
        await self._beside("stats", lambda: self._get(f"/sessions/{talks}/stats"))
        await self._beside("summaries_and_interruptions", lambda: self._interrupt(talks))
        await self._beside("large_lists", lambda: self._get("/sessions?limit=100"))
        await self._feeds()

    def _id(self, name: str) -> str:
        return f"{self._load.prefix}-{name}"

    async def _beside(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        await self._beat.silence()
        await work()
        await asyncio.sleep(_AFTER_SECONDS)
        silence = await self._beat.silence()
        self.figures[f"{name}_ms"], self.figures[f"{name}_held_ms"] = 1e3 * silence.longest, 1e3 * silence.held

    async def _get(self, path: str) -> None:
        await self._spread([_get(path)])

    async def _append(self, session_id: str, events: list[Event]) -> None:
        body = msgspec.json.encode({"events": events})
        await self._spread([http_request("POST", f"/sessions/{session_id}/events", body)])

    async def _fill(self, session_id: str, events: list[Event]) -> None:
        await self._spread([_create(session_id)])
        for start in range(0, len(events), _BATCH):
            await self._append(session_id, events[start : start + _BATCH])

    async def _spread(self, requests: list[bytes]) -> None:
        """Send these requests over several connections."""
        left = iter(requests)

        async def some() -> None:
            connection = await HttpConnection.connect(self._load.target.address)
            for request in left:
                await connection.ask(request)
            connection.close()

        await asyncio.gather(*(some() for _ in range(min(_AT_ONCE, len(requests)))))

    async def _interrupt(self, session_id: str) -> None:
        board = await self._board("talk", lambda _: None)
        payloads = [{"event": "interruption", "by": "user", "atMs": 4000 * each} for each in range(_INTERRUPTIONS)]
        events = [_event(session_id, -each, payload, "system") for each, payload in enumerate(payloads)]
        await self._append(session_id, events)
        await asyncio.sleep(_AFTER_SECONDS)
        board.close()

    async def _feeds(self) -> None:
        """Change many sessions at once, before many dashboards."""
        load = self._load
        ids = [self._id(f"live-{number}") for number in range(load.changing)]
        await self._spread([_create(each) for each in ids])
        seen, wanted = [0], load.changing * load.dashboards
        all_seen = asyncio.Event()

        def see(frame: bytes) -> None:
            seen[0] += b'"lastSeq":1' in frame
            if seen[0] == wanted:
                all_seen.set()

        boards = [await self._board(f"b{number}", see) for number in range(load.dashboards)]
        requests = [
            http_request("POST", f"/sessions/{each}/events", msgspec.json.encode(_event(each, 1, {}))) for each in ids
        ]

        async def change() -> None:
            await self._spread(requests)
            await all_seen.wait()

        await self._beside("feeds", change)
        for board in boards:
            board.close()

    async def _board(self, ref: str, see: Callable[[bytes], None]) -> Socket:
        """Open a dashboard, and wait until it has its list."""
        listed = asyncio.Event()

        def on_frame(frame: bytes) -> None:
            if frame.startswith(b'{"type":"sessions"'):
                listed.set()
            elif listed.is_set():
                see(frame)

        board = await Socket.connect(self._load.target.address, "/subscribe", on_frame)
        command = {"type": "subscribe", "ref": ref, "feed": "sessions", "summaries": True, "status": ["active"]}
        board.write(client_frame(msgspec.json.encode(command)))
        await listed.wait()
        return board


def _get(path: str) -> bytes:
    return http_request("GET", path)


def _create(session_id: str, metadata: dict[str, object] | None = None) -> bytes:
    body = {"sessionId": session_id, "language": "en", "metadata": metadata or {}}
    return http_request("POST", "/sessions", msgspec.json.encode(body))


def _event(session_id: str, number: int, payload: dict[str, object], kind: str = "user_speech") -> Event:
    return {"eventId": f"{session_id}-{number}", "type": kind, "payload": payload}


def _disordered(session_id: str, count: int) -> list[Event]:
    chance = Random(session_id)
    return [
        {
            **_event(session_id, number, {"n": number}, "system"),
            "timestamp": f"2025-01-01T{chance.randrange(24):02}:{chance.randrange(60):02}:{chance.randrange(60):02}Z",
        }
        for number in range(1, count + 1)
    ]


def _talk(session_id: str, count: int) -> list[Event]:
    return [
        _event(
            session_id,
            number,
            {"text": "Good morning.", "startedMs": number * 2000, "endedMs": number * 2000 + 1500},
            "user_speech" if number % 2 else "bot_speech",
        )
        for number in range(1, count + 1)
    ]
