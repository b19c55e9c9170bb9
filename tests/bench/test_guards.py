"""What the path of an event costs, in things that can be counted: commands, frames, blocks of memory. Not in time."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from tests.support.gateways import Gateway, Json, new_event, new_id
from turnwire.gateway.access.asked import Asked
from turnwire.gateway.config import Config
from turnwire.gateway.running import app as application
from turnwire.store.mongo import Store


class Commands(CommandListener):
    """The commands the driver sends, such as `insert events`, in order."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        collection = event.command.get(event.command_name)
        if isinstance(collection, str):
            self.sent.append(f"{event.command_name} {collection}")

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass

    def taken(self) -> list[str]:
        """Return the commands sent since the last call."""
        sent, self.sent = self.sent, []
        return sent


@pytest.fixture
def commands() -> Commands:
    return Commands()


@pytest.fixture
async def gateway(database_uri: str, database_name: str, commands: Commands) -> AsyncIterator[Gateway]:
    """A gateway whose commands are counted, and which writes lazy fields only when it stops."""
    config = Config(port=0, mongodb_database=database_name, flush_interval=60, search="off")  # alone on its database
    client: Any = AsyncIOMotorClient(database_uri, event_listeners=[commands], io_loop=asyncio.get_running_loop())
    store = Store(client, database_name)
    served = application.Gateway(config, store)
    runner = served.make_runner()
    await runner.setup()
    await web.TCPSite(runner, config.host, config.port).start()
    gateway = Gateway(f"http://{config.host}:{runner.addresses[0][1]}", served, runner, store)
    async with asyncio.timeout(20):
        await gateway.parts.sessions.prepared.wait()
        await gateway.get("/sessions")  # after this ping the gateway has finished the queries of its start
    commands.taken()
    yield gateway
    await gateway.stop()


async def publisher(gateway: Gateway, session_id: str, query: str = "?language=en") -> aiohttp.ClientWebSocketResponse:
    socket = await gateway.client.ws_connect(f"{gateway.ws_url}/sessions/{session_id}/publish{query}")
    assert (await socket.receive_json())["type"] == "opened"
    return socket


async def send(socket: aiohttp.ClientWebSocketResponse, *events: Json) -> None:
    await socket.send_str(msgspec.json.encode({"type": "append", "events": events}).decode())


async def acks(socket: aiohttp.ClientWebSocketResponse, count: int) -> list[int]:
    """Return how many events each frame acks, until all of `count` are acked."""
    frames: list[int] = []
    while sum(frames) < count:
        reply = await socket.receive_json()
        assert reply["type"] == "ack"
        frames.append(len(reply["acks"]))
    return frames


async def test_one_event_costs_one_database_command(gateway: Gateway, commands: Commands) -> None:
    socket = await publisher(gateway, new_id("s"))
    commands.taken()
    for number in range(5):
        await send(socket, new_event(f"e{number}"))
        await acks(socket, 1)
    assert commands.taken() == ["insert events"] * 5


async def test_a_frame_of_events_costs_one_command_and_one_answer(gateway: Gateway, commands: Commands) -> None:
    socket = await publisher(gateway, new_id("s"))
    commands.taken()
    await send(socket, *(new_event(f"e{number}", {"text": "word " * 10}) for number in range(200)))
    assert await acks(socket, 200) == [200]
    assert commands.taken() == ["insert events"]


async def test_frames_sent_together_share_commands_and_answers(gateway: Gateway, commands: Commands) -> None:
    socket = await publisher(gateway, new_id("s"))
    commands.taken()
    for number in range(100):
        await send(socket, new_event(f"e{number}"))
    frames = await acks(socket, 100)
    inserts = commands.taken()
    assert set(inserts) == {"insert events"}
    assert len(frames) == len(inserts), "each commit is answered by one frame"
    assert len(inserts) <= 20


async def test_events_of_several_sessions_share_commands(gateway: Gateway, commands: Commands) -> None:
    sockets = await asyncio.gather(*(publisher(gateway, new_id("s")) for _ in range(40)))
    created = commands.taken()
    assert set(created) == {"insert sessions"}
    assert len(created) <= 20
    for socket in sockets:
        await send(socket, new_event("e1"))
    await asyncio.gather(*(acks(socket, 1) for socket in sockets))
    inserts = commands.taken()
    assert set(inserts) == {"insert events"}
    assert len(inserts) <= 20
    for socket in sockets:
        await socket.send_str('{"type":"complete"}')
    await asyncio.gather(*(socket.receive_json() for socket in sockets))
    ends = commands.taken()
    assert set(ends) == {"update sessions"}
    assert len(ends) <= 20


async def test_a_whole_call_costs_one_creation_its_events_and_one_end(gateway: Gateway, commands: Commands) -> None:
    socket = await publisher(gateway, new_id("s"))
    await send(socket, *(new_event(f"e{number}") for number in range(27)))
    await acks(socket, 27)
    await socket.send_str('{"type":"complete"}')
    assert (await socket.receive_json())["type"] == "completed"
    assert commands.taken() == ["insert sessions", "insert events", "update sessions"]


async def test_events_appended_by_rest_cost_one_command(gateway: Gateway, commands: Commands) -> None:
    session_id = await gateway.create()
    commands.taken()
    events = [new_event(f"e{number}") for number in range(100)]
    await gateway.post(f"/sessions/{session_id}/events", {"events": events}, status=201)
    assert commands.taken() == ["insert events"]


async def test_a_page_of_history_costs_the_same_commands_at_any_depth(gateway: Gateway, commands: Commands) -> None:
    session_id = await gateway.create()
    await gateway.fill(session_id, 600)
    commands.taken()
    for page in (1, 15, 30):
        await gateway.get(f"/sessions/{session_id}?page={page}&limit=20")
        assert commands.taken() == ["find events"]
    bot = await publisher(gateway, session_id, "")
    commands.taken()
    for page in (1, 15, 30):
        await gateway.get(f"/sessions/{session_id}?page={page}&limit=20")
        assert commands.taken() == ["find events"]
    await bot.close()


async def test_live_subscribers_cost_the_database_nothing(gateway: Gateway, commands: Commands) -> None:
    session_id = new_id("s")
    socket = await publisher(gateway, session_id)
    subscribers = [await gateway.client.ws_connect(f"{gateway.ws_url}/subscribe") for _ in range(20)]
    for subscriber in subscribers:
        await subscriber.send_json({"type": "subscribe", "ref": "a", "sessionId": session_id})
        assert [(await subscriber.receive_json())["type"] for _ in range(2)] == ["subscribed", "caughtUp"]
    commands.taken()
    await send(socket, *(new_event(f"e{number}") for number in range(50)))
    await acks(socket, 50)
    for subscriber in subscribers:
        pushed = await subscriber.receive_json()
        assert [event["seq"] for event in pushed["events"]] == list(range(1, 51)), "one frame for each commit"
    assert commands.taken() == ["insert events"]


async def test_a_silent_socket_keeps_few_coroutines_and_nothing_of_its_handshake(gateway: Gateway) -> None:
    """A coroutine takes 200 to 400 bytes of each open socket."""
    before = asyncio.all_tasks()
    subscriber = await gateway.client.ws_connect(f"{gateway.ws_url}/subscribe")
    bot = await publisher(gateway, new_id("s"))
    kept = sorted(names for task in asyncio.all_tasks() - before if "receive" in (names := awaited(task)))
    assert kept == [
        ["_handle_request", "handle", "__call__", "publish", "_serve", "read", "receive"],
        ["_handle_request", "handle", "__call__", "subscribe", "read", "receive"],
    ]
    assert not [each for each in gc.get_objects() if type(each) is Asked]
    await subscriber.close()
    await bot.close()


def awaited(task: asyncio.Task[Any]) -> list[str]:
    """Return the names of the coroutines that a task is in, the outermost first, down to `receive`."""
    names, coroutine = list[str](), task.get_coro()
    while (code := getattr(coroutine, "cr_code", None)) is not None and "receive" not in names:
        names.append(code.co_name)
        coroutine = coroutine.cr_await  # type: ignore[union-attr]  # a coroutine's, since it has code
    return names


async def test_a_stored_event_leaves_few_bytes_in_memory(gateway: Gateway) -> None:
    """A live session keeps an event's eventId, seq and time, and a few figures of what was said."""
    socket = await publisher(gateway, new_id("s"))
    before = 0
    for first in (0, 400):
        await send(socket, *(new_event(f"event-{first + n}", {"text": "word " * 10, "n": [n]}) for n in range(400)))
        await acks(socket, 400)
        gc.collect()
        blocks, before = sys.getallocatedblocks() - before, sys.getallocatedblocks()
    assert blocks / 400 < 7


async def test_the_path_of_an_event_makes_no_reference_cycles(gateway: Gateway) -> None:
    """So the garbage collector has nothing to find there, and may run seldom."""
    socket = await publisher(gateway, new_id("s"))
    gc.collect()
    gc.disable()
    try:
        await send(socket, *(new_event(f"e{number}", {"text": "word", "n": [number]}) for number in range(500)))
        await acks(socket, 500)
        assert gc.collect() < 500
    finally:
        gc.enable()
