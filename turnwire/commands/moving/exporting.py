"""`turnwire export`: writes sessions with their events, one on each line, in the form that `turnwire import` reads."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import IO

import msgspec

from turnwire.client import Client
from turnwire.commands.console import check_gateway, fail, run
from turnwire.protocol.codec import JSON
from turnwire.protocol.messages import Event, Session
from turnwire.rest.session_filter import SessionFilter


def export(url: str, token: str | None, place: Path, sessions: Sequence[str], filter: SessionFilter) -> int:
    """Write these sessions, or all that match. Return the number written. `-` is standard output. A file has its name
    once it is complete."""
    if str(place) == "-":
        return run(_export(url, token, sys.stdout.buffer, sessions, filter))
    try:
        with _complete(place.resolve()) as file:
            return run(_export(url, token, file, sessions, filter))
    except OSError as error:
        raise fail(f"cannot write {place}: {error.strerror}") from None


@contextmanager
def _complete(place: Path) -> Iterator[IO[bytes]]:
    """Write a file beside the place, and move it there at the end. A pipe or a device is written as it is."""
    if place.exists() and not place.is_file():
        with place.open("wb") as pipe:
            yield pipe
        return
    part = place.with_name(f"{place.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)


async def _export(url: str, token: str | None, file: IO[bytes], sessions: Sequence[str], filter: SessionFilter) -> int:
    count = 0
    async with Client(url, token=token) as client:
        await check_gateway(client)
        async with aclosing(_sessions(client, sessions, filter)) as found:
            async for session in found:
                await _write(client, session, file)
                count += 1
    file.flush()
    return count


async def _sessions(client: Client, ids: Sequence[str], filter: SessionFilter) -> AsyncGenerator[Session, None]:
    if ids:
        for session_id in ids:
            yield await client.get(session_id)
        return
    async for session in client.list(**filter):
        yield session


async def _write(client: Client, session: Session, file: IO[bytes]) -> None:
    """Write one line: the session as it is listed, and its events up to that state."""
    session.commands = session.archived = msgspec.UNSET
    file.write(JSON.encode(session).removesuffix(b"}") + b',"events":[')
    if session.last_seq:
        async with aclosing(client.export(session.session_id)) as events:
            async for event in events:
                if event.seq <= session.last_seq:
                    file.write((b"," if event.seq > 1 else b"") + _without_session(event))
    file.write(b"]}\n")


def _without_session(event: Event) -> bytes:
    fields = {name: getattr(event, name) for name in ("type", "payload", "timestamp", "seq")}
    return msgspec.json.encode({"eventId": event.event_id, **fields})
