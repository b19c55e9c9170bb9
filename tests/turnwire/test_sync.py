"""The REST client for programs without an event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.support.gateways import Gateway
from turnwire import EventIn, errors
from turnwire.sync import Client


def use(url: str) -> None:
    """A program without an event loop."""
    with Client(url, token=lambda: "token") as client:
        client.check()
        session = client.create("call", "de", metadata={"a": 1})
        stored = client.append("call", [EventIn(f"e{n}", "user_speech", {"n": n}) for n in range(250)])
        assert [event.seq for event in stored] == list(range(1, 251))
        assert [event.payload["n"] for event in client.export("call")] == list(range(250))
        assert [event.seq for event in client.events("call", after_seq=248).events] == [249, 250]
        assert client.history("call", page=3, limit=100).events[0].seq == 201
        assert client.stats("call").turns.user == 1
        assert [each.session_id for each in client.list(language="de")] == ["call"]
        assert client.list_page(limit=1).sessions[0].session_id == "call"
        assert client.get("call").metadata == session.metadata
        assert client.complete("call", reason="done").end_reason == "done"
        with pytest.raises(errors.SessionNotFound):
            client.get("nobody")
        events = client.export("call")
        assert next(events).seq == 1
        events.close()  # type: ignore[attr-defined]
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.get("call")


async def test_calls_of_the_sync_client_return_when_they_are_done(gateway: Gateway) -> None:
    await asyncio.to_thread(use, gateway.url)
    assert not any(thread.name == "turnwire" for thread in threading.enumerate())


async def test_the_sync_client_may_be_used_by_many_threads(gateway: Gateway) -> None:
    def create_all(client: Client) -> None:
        for _ in range(20):
            client.create()

    with Client(gateway.url) as client:
        await asyncio.gather(*(asyncio.to_thread(create_all, client) for _ in range(5)))
        assert len((await gateway.get("/sessions?limit=100"))["sessions"]) == 100


def test_a_sync_client_with_a_wrong_url_leaves_no_thread_running() -> None:
    with pytest.raises(ValueError, match="nowhere"):
        Client("nowhere")
    assert not any(thread.name == "turnwire" for thread in threading.enumerate())
