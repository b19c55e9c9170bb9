"""The history of a run, as the frames and the loops of a TypeScript client saw it, for the checker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from tests.support.history import Answer, Following, History, Publishing, entry_of, sending_of
from turnwire.client import Client
from turnwire.protocol.messages import Event, EventIn

BOT: Final = "bot"
FOLLOWER: Final = "follower"

Frame = Sequence[Any]
"""Number of the connection, its URL, `>` or `<`, text."""


async def history_of(url: str, session_id: str, frames: Sequence[Frame], received: list[Any]) -> History:
    """Return what happened to one session. `received` are the events that a loop from the beginning has got."""
    history = History(session_id, _publishings(session_id, frames), must_have_all={FOLLOWER})
    history.followings = [Following(FOLLOWER, 0, [entry_of(each) for each in msgspec.convert(received, list[Event])])]
    async with Client(url) as client:
        history.log = [entry_of(event) async for event in client.export(session_id)]
    return history


def _publishings(session_id: str, frames: Sequence[Frame]) -> list[Publishing]:
    found: dict[int, Publishing] = {}
    for number, url, way, text in frames:
        if urlsplit(url).path != f"/sessions/{session_id}/publish":
            continue
        message = json.loads(text)
        if message["type"] == "opened":
            # Nothing follows from two connections having one gateway.
            gateway = f"any-{number}"
            opened = message["epoch"], message["lastSeq"], message["lastEventId"]
            found[number] = Publishing(BOT, gateway, *opened)
        elif way == ">" and message["type"] == "append":
            found[number].sent += map(sending_of, msgspec.convert(message["events"], list[EventIn]))
        elif message["type"] in ("ack", "nack"):
            found[number].answers += map(_answer, message.get("acks") or message["nacks"])
    return list(found.values())


def _answer(item: dict[str, Any]) -> Answer:
    duplicate, retryable = item.get("duplicate", False), item.get("retryable", False)
    return Answer(item["eventId"], item.get("seq"), duplicate, item.get("code"), retryable)
